"""User identity on the wire: answers, refusals, and what the archive remembers of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.raw_peer import CT_CONTEXT, RawPeer, item
from tests.dimse.tls_site import PASSWORD, Site, TlsPeer, refused, secure_archive, sha256
from tests.unit.services.parts import fast_hasher
from tests.waiting import eventually
from tuipacs.dimse.tls import ServerTls
from tuipacs.domain.clock import system_clock
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.index import users
from tuipacs.schema.messages import UserDisableRequest
from tuipacs.schema.node_messages import NodeAddRequest, NodeRemoveRequest
from tuipacs.services.sessions import Sessions
from tuipacs.services.users import Users


@pytest.fixture(scope="module")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """CT1 has a certificate of its own, MR2 has none; STRICT has one and must name a user."""
    folder = tmp_path_factory.mktemp("tls") / "archive"
    accounts = ("ada", "bob", "eve")
    with secure_archive(folder, ServerTls(site.files()), accounts=accounts) as archive:
        know(archive, "CT1", sha256(site.ct1))
        know(archive, "MR2", "")
        know(archive, "STRICT", sha256(site.ct1), require_identity=True)
        yield archive


def know(archive: Archive, title: str, certificate: str, *, require_identity: bool = False) -> int:
    return archive.nodes.add(
        ADMIN,
        NodeAddRequest(
            ae_title=title,
            address="",
            services=GIVEN_SERVICES,
            certificate_sha256=certificate,
            require_identity=require_identity,
        ),
    ).key


def identity(kind: int, user: bytes, passcode: bytes = b"", *, wants: bool = True) -> bytes:
    fields = len(user).to_bytes(2, "big") + user + len(passcode).to_bytes(2, "big") + passcode
    return item(0x58, bytes((kind, wants)) + fields)


def secure(archive: Archive, site: Site) -> TlsPeer:
    return TlsPeer(archive.listener.tls_port, site.context(site.ct1))


GOOD = identity(2, b"ada", PASSWORD.encode())


def test_a_proven_user_is_confirmed_shown_and_in_the_log_beside_the_node(
    archive: Archive, site: Site
) -> None:
    with secure(archive, site) as peer:
        reply = peer.associate([CT_CONTEXT], calling=b"STRICT", user=GOOD)
        assert (reply.kind, reply.has_confirmed) == ("accept", True)
        assert peer.store(b"x") == 0
        assert peer.release() == 6
    record = next(row for row in archive.records() if row.calling_ae_title == "STRICT")
    assert (record.user, record.is_tls) == ("ada", True)
    assert "user identity from node STRICT: name and passcode" in archive.audited("identities")


def test_without_the_wish_there_is_no_answer(archive: Archive, site: Site) -> None:
    with secure(archive, site) as peer:
        user = identity(2, b"ada", PASSWORD.encode(), wants=False)
        reply = peer.associate(calling=b"STRICT", user=user)
        assert (reply.kind, reply.has_confirmed) == ("accept", False)


@pytest.mark.parametrize(
    ("calling", "user", "words"),
    [
        (b"STRICT", b"", "named no user, and this node has to (user identity)"),
        (b"STRICT", identity(2, b"bob", b"wrong"), "user or password is wrong"),
        (b"STRICT", identity(2, b"nobody", b"x"), "user or password is wrong"),
        (b"STRICT", identity(3, b"ticket"), "Kerberos (type 3) is not supported"),
        (b"STRICT", identity(5, b"token"), "JWT (type 5) is not supported"),
        (b"STRICT", identity(1, b"nobody"), "user or password is wrong"),
        (b"MR2", identity(2, b"bob", b"wrong"), "user or password is wrong"),
    ],
)
def test_a_wrong_or_missing_one_is_rejected_in_words(
    archive: Archive, site: Site, calling: bytes, user: bytes, words: str
) -> None:
    with secure(archive, site) as peer:
        assert peer.associate(calling=calling, user=user).detail == (1, 1, 1)
    refused(archive, words)
    with secure(archive, site) as peer:
        assert peer.associate(calling=b"STRICT", user=GOOD).kind == "accept"
        assert peer.echo() == 0


@pytest.mark.parametrize(
    ("calling", "user", "words"),
    [
        (b"MR2", identity(1, b"ada"), "a name without a passcode"),
        (b"MR2", identity(4, b"<saml/>"), "SAML (type 4) is not supported"),
        (b"STRANGER", GOOD, "the caller is no known node"),
    ],
)
def test_what_does_not_count_is_remarked_where_none_is_needed(
    archive: Archive, site: Site, calling: bytes, user: bytes, words: str
) -> None:
    with secure(archive, site) as peer:
        reply = peer.associate(calling=calling, user=user)
        assert (reply.kind, reply.has_confirmed) == ("accept", False)
        (record,) = [row for row in archive.records() if row.state is AssociationState.OPEN]
        assert (record.user, words in record.remark) == ("", True)
        assert peer.release() == 6
    eventually(lambda: all(r.state is not AssociationState.OPEN for r in archive.records()))


def test_in_clear_it_is_never_looked_at_and_never_logged(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(archive.audited("identities"))
    with caplog.at_level(logging.DEBUG), RawPeer(archive.port) as peer:
        wrong = identity(2, b"ada", b"SECRET-PASSCODE")
        reply = peer.associate(calling=b"MR2", user=wrong)
        assert (reply.kind, reply.has_confirmed) == ("accept", False)
        peer.release()
    eventually(lambda: any("it came without TLS" in row.remark for row in archive.records()))
    assert len(archive.audited("identities")) == before
    assert "SECRET-PASSCODE" not in caplog.text + repr(archive.records())


@pytest.mark.parametrize("user", [identity(9, b"x"), GOOD + GOOD, item(0x58, b"\2\0\0\4ada")])
def test_a_broken_sub_item_is_aborted_on_either_port(
    archive: Archive, site: Site, user: bytes
) -> None:
    with secure(archive, site) as peer:
        assert peer.associate(calling=b"CT1", user=user).kind == "abort"
    with RawPeer(archive.port) as plain:
        assert plain.associate(calling=b"MR2", user=user).kind == "abort"
    refused(archive, "a user identity")


def test_an_identity_of_64_kib_is_refused_in_the_same_words(archive: Archive, site: Site) -> None:
    with secure(archive, site) as peer:
        user = identity(2, b"x" * 30_000, b"y" * 30_000)
        assert peer.associate(calling=b"STRICT", user=user).detail == (1, 1, 1)


def test_a_disabled_account_stores_nothing_more(archive: Archive, site: Site) -> None:
    with secure(archive, site) as peer:
        user = identity(2, b"eve", PASSWORD.encode())
        assert peer.associate([CT_CONTEXT], calling=b"STRICT", user=user).kind == "accept"
        assert peer.store(b"x") == 0
        with archive.index.write() as tx:
            account = users.account(tx, "eve")
            assert account is not None
            users.update_user(tx, account.key, disabled=True)
        assert peer.store(b"y") == 0x0124


def test_the_association_of_a_disabled_account_ends(archive: Archive, site: Site) -> None:
    """Nobody has to wait for its next request, or for the end of an object that never ends."""
    with secure(archive, site) as proven, secure(archive, site) as other:
        user = identity(2, b"bob", PASSWORD.encode())
        assert proven.associate(calling=b"STRICT", user=user).kind == "accept"
        assert other.associate(calling=b"STRICT", user=GOOD).kind == "accept"
        hasher = fast_hasher()
        sessions = Sessions(
            archive.index, system_clock, hasher, lock_after=60.0, command_seconds=60.0
        )
        accounts = Users(archive.index, system_clock, hasher, sessions)
        accounts.on_disable = lambda: archive.listener.recheck("an account was disabled")
        accounts.set_disabled(ADMIN, UserDisableRequest(name="bob", disabled=True))
        assert proven.read() == (7, bytes(4))
        assert other.echo() == 0
        assert archive.record(AssociationState.ABORTED).reason == "an account was disabled"
        accounts.set_disabled(ADMIN, UserDisableRequest(name="bob", disabled=False))


def test_a_change_of_nodes_asks_nobody_for_a_password_again(archive: Archive, site: Site) -> None:
    with secure(archive, site) as proven, secure(archive, site) as nameless:
        assert proven.associate(calling=b"STRICT", user=GOOD).kind == "accept"
        assert nameless.associate(calling=b"MR2").kind == "accept"
        before = len(archive.audited("identities"))
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=know(archive, "OTHER", "")))
        assert proven.echo() == nameless.echo() == 0
        assert len(archive.audited("identities")) == before


def test_a_node_that_has_to_name_a_user_from_now_on_is_ended(archive: Archive, site: Site) -> None:
    key = know(archive, "LATER", "")
    with secure(archive, site) as peer:
        assert peer.associate(calling=b"LATER").kind == "accept"
        archive.nodes.on_change = lambda: None
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        archive.nodes.on_change = archive.listener.recheck
        know(archive, "LATER", "", require_identity=True)
        assert peer.read() == (7, b"\0\0\0\0")
