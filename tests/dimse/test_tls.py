"""The TLS port: who gets in, who is told why not, and that nobody holds it up."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dimse.archive import Archive
from tests.dimse.raw_peer import CT, CT_CONTEXT, VERIFICATION, RawPeer, command, p_data
from tests.dimse.tls_site import (
    Site,
    TlsPeer,
    for_servers_alone,
    refused,
    secure_archive,
    self_signed,
    sha256,
)
from tests.waiting import eventually
from tuipacs.certificates.making import MadeFiles
from tuipacs.dimse.tls import ServerTls, server_context
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.schema.node_messages import NodeAddRequest, NodeRemoveRequest

from tests.dimse.archive import ADMIN  # isort: skip


@pytest.fixture(scope="module")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Mutual TLS, shared: tests look at the newest record only."""
    folder = tmp_path_factory.mktemp("tls") / "archive"
    with secure_archive(folder, ServerTls(site.files()), acse_timeout=1.0) as archive:
        yield archive


def tls_port(archive: Archive) -> int:
    return archive.listener.tls_port


def still_works(archive: Archive, site: Site) -> None:
    """A C-ECHO over TLS, and then nothing is left of anyone: no thread, no descriptor."""
    with TlsPeer(tls_port(archive), site.context(site.ct1)) as peer:
        assert peer.associate().kind == "accept"
        assert peer.echo() == 0
        assert peer.release() == 6
    eventually(lambda: "dicom-association" not in {t.name for t in threading.enumerate()})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_objects_come_through_both_versions_byte_for_byte(
    archive: Archive, site: Site, version: ssl.TLSVersion
) -> None:
    context = site.context(site.ct1)
    context.minimum_version = context.maximum_version = version
    dataset = os.urandom(300_001)  # many records, the last one odd
    with TlsPeer(tls_port(archive), context) as peer:
        assert peer.secured.version() == version.name.replace("_", ".")
        assert peer.associate([CT_CONTEXT], calling=version.name.encode()).kind == "accept"
        assert peer.store(dataset) == 0
        (record,) = [r for r in archive.records() if r.calling_ae_title == version.name]
        assert (record.is_tls, record.state) == (True, AssociationState.OPEN)
        assert peer.release() == 6
    assert archive.keeper.received[-1].dataset == dataset
    still_works(archive, site)


def test_several_messages_in_one_record_are_all_answered(archive: Archive, site: Site) -> None:
    """What OpenSSL has decrypted already makes no descriptor readable."""
    echo = p_data(1, 3, command(0x0030, VERIFICATION, dataset=False))
    with TlsPeer(tls_port(archive), site.context(site.ct1)) as peer:
        peer.associate()
        peer.send(echo * 5)
        assert [peer.status() for _ in range(5)] == [0] * 5
        assert peer.release() == 6


def test_a_peer_learns_of_the_end_by_a_close_notify(archive: Archive, site: Site) -> None:
    context = site.context(site.ct1)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with TlsPeer(tls_port(archive), context, suppress_ragged_eofs=False) as peer:
        peer.associate()
        assert peer.release() == 6
        assert peer.secured.recv(10) == b""  # an end without it raises


def test_only_what_bcp_195_recommends_is_offered(site: Site) -> None:
    for context in (server_context(site.files()), site.context(site.ct1)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        ciphers = context.get_ciphers()
        assert all(cipher["aead"] for cipher in ciphers)
        older = [cipher for cipher in ciphers if cipher["protocol"] != "TLSv1.3"]
        assert older
        assert all(cipher["kea"] == "kx-ecdhe" for cipher in older)
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION


def test_dicom_in_clear_on_the_tls_port_is_aborted_in_clear_and_named(
    archive: Archive, site: Site
) -> None:
    with RawPeer(tls_port(archive)) as peer:
        assert peer.associate().kind == "abort"
    refused(archive, "sent DICOM without TLS to the TLS port")
    still_works(archive, site)


def test_a_tls_hello_on_the_plain_port_is_named(archive: Archive, site: Site) -> None:
    with pytest.raises(ssl.SSLError):
        TlsPeer(archive.port, site.context(site.ct1))
    eventually(lambda: [r for r in archive.records() if "TLS on a port without TLS" in r.reason])
    still_works(archive, site)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "sent no TLS to the TLS port"),
        (b"\0" * 100, "sent no TLS to the TLS port"),
        (b"\x80\x2e\x01\x03\x01" + b"\0" * 40, "sent no TLS to the TLS port"),  # SSL 2
        (b"\x16\x03\x01\xff\xff" + b"\xff" * 200, "failed in the TLS handshake"),
        (b"\x16" + b"\xff" * 100, "TLS"),
        (b"\x16\x03\x01\x00\x05\x02\0\0\x01\0", "failed in the TLS handshake"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "in the TLS handshake"),  # and gone
    ],
)
def test_what_is_no_tls_is_refused_with_words(
    archive: Archive, site: Site, data: bytes, words: str
) -> None:
    with RawPeer(tls_port(archive)) as peer:
        peer.send(data)
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.read()[0]:
            pass
    refused(archive, words)
    still_works(archive, site)


def test_a_handshake_that_is_left_in_the_middle_is_named(archive: Archive, site: Site) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = site.context(site.ct1).wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    with RawPeer(tls_port(archive)) as peer:
        peer.send(outgoing.read())
        assert peer.socket.recv(1) == b"\x16"  # the archive's hello
    refused(archive, "went away inside the TLS handshake")
    still_works(archive, site)


def hello(site: Site) -> bytes:
    """What a client says first."""
    outgoing = ssl.MemoryBIO()
    client = site.context(site.ct1).wrap_bio(ssl.MemoryBIO(), outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_hellos_end_in_words_and_nothing_else(
    archive: Archive, site: Site, data: st.DataObject
) -> None:
    said = bytearray(hello(site))
    for _ in range(data.draw(st.integers(1, 4))):
        said[data.draw(st.integers(0, len(said) - 1))] = data.draw(st.integers(0, 255))
    said = said[: data.draw(st.integers(1, len(said)))]
    with RawPeer(tls_port(archive)) as peer:
        peer.send(bytes(said))
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(65536):
            pass
    assert all(row.state is AssociationState.REJECTED for row in archive.records()[:1])


def test_after_them_the_port_works(archive: Archive, site: Site) -> None:
    still_works(archive, site)


def test_silence_and_drip_cost_a_waiting_place_each_until_the_deadline(
    archive: Archive, site: Site
) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(RawPeer(tls_port(archive))) for _ in range(20)]
        for peer in silent[10:]:
            peer.send(b"\x16\x03\x01\x02\x00\x01")
        with TlsPeer(tls_port(archive), site.context(site.ct1)) as other:
            assert other.associate().kind == "accept"
            assert other.echo() == 0
            assert [peer.read() for peer in silent] == [(0, b"")] * 20
    refused(archive, "finished no TLS handshake in 1 s")
    still_works(archive, site)


def test_they_are_capped_for_each_address(site: Site, tmp_path: Path) -> None:
    tls = ServerTls(site.files())
    with (
        secure_archive(tmp_path / "a", tls, max_waiting_per_address=3) as archive,
        ExitStack() as s,
    ):
        waiting = [s.enter_context(RawPeer(tls_port(archive))) for _ in range(4)]
        assert waiting[3].read() == (0, b"")
        refused(archive, "wait to associate")


def handshake_fails(archive: Archive, context: ssl.SSLContext) -> None:
    """In TLS 1.3 the client learns of it with its first read."""
    with pytest.raises(ssl.SSLError), TlsPeer(tls_port(archive), context) as peer:
        peer.associate()


def test_no_certificate_is_refused(archive: Archive, site: Site) -> None:
    handshake_fails(archive, site.context(None))
    refused(archive, "sent no certificate, and one is required")
    still_works(archive, site)


def test_certificates_of_others_are_refused(archive: Archive, site: Site, tmp_path: Path) -> None:
    foreign = Site(tmp_path / "foreign")
    for own in (foreign.ct1, self_signed(tmp_path, "self")):
        context = site.context(None)
        context.load_cert_chain(own.certificate, own.key)
        handshake_fails(archive, context)
    refused(archive, "showed a certificate that is not accepted: unable to get local issuer")
    refused(archive, "showed a certificate that is not accepted: self-signed certificate")
    still_works(archive, site)


def test_an_expired_certificate_and_one_for_servers_alone_are_refused(
    archive: Archive, site: Site
) -> None:
    handshake_fails(archive, site.context(site.issue("late", days_ago=10, days=2)))
    refused(archive, "certificate has expired")
    handshake_fails(archive, site.context(for_servers_alone(site)))
    refused(archive, "unsuitable certificate purpose")
    still_works(archive, site)


def test_a_caller_that_does_not_trust_the_archive_is_named(
    archive: Archive, site: Site, tmp_path: Path
) -> None:
    foreign = Site(tmp_path / "foreign")
    context = foreign.context(None)
    context.load_cert_chain(site.ct1.certificate, site.ct1.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsPeer(tls_port(archive), context)
    refused(archive, "does not trust the issuer of this archive's certificate")
    still_works(archive, site)


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "DEFAULT:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AES+SHA256:ECDHE+AES+SHA384:!AESGCM"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_and_ciphers_without_aead_are_refused(
    archive: Archive, site: Site, version: ssl.TLSVersion, ciphers: str
) -> None:
    context = site.context(site.ct1)
    context.set_ciphers(ciphers)
    context.minimum_version = min(version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = version
    with pytest.raises(ssl.SSLError):
        TlsPeer(tls_port(archive), context)
    refused(archive, "no TLS 1.2" if version < ssl.TLSVersion.TLSv1_2 else "no cipher suite")
    still_works(archive, site)


def test_no_session_is_resumed(archive: Archive, site: Site) -> None:
    """A certificate that is not trusted any more must not come back by a ticket."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = site.context(site.ct1)
        context.maximum_version = version
        with TlsPeer(tls_port(archive), context) as peer:
            peer.associate()
            session = peer.secured.session
            assert session is None or not session.has_ticket


def test_without_the_demand_callers_need_no_certificate_and_bad_ones_are_still_refused(
    site: Site, tmp_path: Path
) -> None:
    foreign = Site(tmp_path / "foreign")
    tls = ServerTls(site.files(), require_certificate=False)
    with secure_archive(tmp_path / "archive", tls) as archive:
        with TlsPeer(tls_port(archive), site.context(None)) as peer:
            assert peer.associate().kind == "accept"
            assert peer.echo() == 0
        context = site.context(None)
        context.load_cert_chain(foreign.ct1.certificate, foreign.ct1.key)
        handshake_fails(archive, context)


# -- what a node's own certificate is good for


def know(archive: Archive, own: MadeFiles | None, **proof: object) -> int:
    request = NodeAddRequest(
        ae_title="CT1",
        address="",
        services=GIVEN_SERVICES,
        certificate_sha256=sha256(own) if own else "",
        **proof,  # type: ignore[arg-type]
    )
    return archive.nodes.add(ADMIN, request).key


def test_a_bound_node_is_itself_with_its_certificate_only(site: Site, tmp_path: Path) -> None:
    tls = ServerTls(site.files())
    with secure_archive(tmp_path / "a", tls, unknown=UnknownCallers.STORE) as archive:
        know(archive, site.ct1)
        with TlsPeer(tls_port(archive), site.context(site.ct1)) as peer:
            assert peer.associate([CT_CONTEXT], calling=b"CT1").kind == "accept"
            assert peer.store(b"x") == 0  # asked again for each request
        with RawPeer(archive.port) as peer:
            assert peer.associate(calling=b"CT1").detail == (1, 1, 3)
        with TlsPeer(tls_port(archive), site.context(site.mr2)) as peer:
            assert peer.associate(calling=b"CT1").detail == (1, 1, 3)
        shown = sha256(site.mr2)[:12]
        refused(archive, f"another certificate than the one shown (SHA-256 {shown}…)")
        refused(archive, "this node is bound to a certificate, and the connection has no TLS")


def test_binding_a_node_ends_its_association_in_clear(site: Site, tmp_path: Path) -> None:
    with secure_archive(tmp_path / "a", ServerTls(site.files())) as archive:
        key = know(archive, None)
        with (
            RawPeer(archive.port) as plain,
            TlsPeer(tls_port(archive), site.context(site.ct1)) as secured,
        ):
            assert plain.associate(calling=b"CT1").kind == "accept"
            assert secured.associate(calling=b"CT1").kind == "accept"
            archive.nodes.on_change = lambda: None
            archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
            archive.nodes.on_change = archive.listener.recheck
            know(archive, site.ct1)
            assert plain.read() == (7, b"\0\0\0\0")
            assert secured.echo() == 0


# -- ending from outside


def test_a_removed_node_is_told_over_tls_too(site: Site, tmp_path: Path) -> None:
    """The thread that dismisses must not touch the TLS object under the one that reads."""
    with secure_archive(tmp_path / "a", ServerTls(site.files())) as archive:
        key = know(archive, site.ct1)
        with TlsPeer(tls_port(archive), site.context(site.ct1)) as peer:
            peer.associate(calling=b"CT1")
            peer.echo()
            archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
            assert peer.read() == (7, b"\0\0\0\0")
        assert archive.record(AssociationState.ABORTED).reason == "the node was removed or changed"


def test_a_drain_lets_a_store_over_tls_finish_and_cuts_off_handshakes(
    site: Site, tmp_path: Path
) -> None:
    with secure_archive(tmp_path / "a", ServerTls(site.files())) as archive:
        archive.keeper.may_go_on.clear()
        with (
            TlsPeer(tls_port(archive), site.context(site.ct1)) as busy,
            RawPeer(tls_port(archive)) as silent,
        ):
            busy.associate([CT_CONTEXT])
            busy.request(3, command(1, CT, dataset=True, instance="1.2"), b"x" * 20_000)
            assert archive.keeper.entered.wait(5)
            silent.send(b"\x16\x03\x01")
            drain = threading.Thread(target=archive.listener.drain, args=(10,))
            drain.start()
            while silent.read()[0]:  # it ends long before its deadline of 30 s
                pass
            refused(archive, "this archive is shutting down")  # and not: went away
            archive.keeper.may_go_on.set()
            assert busy.status() == 0
            assert busy.read()[0] == 7
            drain.join()
        assert len(archive.keeper.received) == 1


def test_a_cut_ends_a_tls_association_at_once(site: Site, tmp_path: Path) -> None:
    with secure_archive(tmp_path / "a", ServerTls(site.files())) as archive:
        archive.keeper.may_go_on.clear()
        with TlsPeer(tls_port(archive), site.context(site.ct1)) as peer:
            peer.associate([CT_CONTEXT])
            peer.request(3, command(1, CT, dataset=True, instance="1.2"), b"x")
            assert archive.keeper.entered.wait(5)
            threading.Timer(0.3, archive.keeper.may_go_on.set).start()
            assert archive.listener.drain(0) == 1
            assert peer.read()[0] == 0


def test_descriptors_come_back(archive: Archive, site: Site) -> None:
    still_works(archive, site)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not read
    for _ in range(5):
        with RawPeer(tls_port(archive)) as peer:
            peer.send(b"\x16\x03\x01\xff\xff" + b"\xff" * 50)
        handshake_fails(archive, site.context(None))
    still_works(archive, site)
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208
