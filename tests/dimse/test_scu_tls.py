"""Our requestor over TLS: whom it trusts, and that a password never leaves without it."""

from __future__ import annotations

import io
import os
import ssl
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.bundled import bundled_files
from tests.dimse.archive import ADMIN
from tests.dimse.hostile_acceptor import IMPATIENT, Call, playing
from tests.dimse.raw_peer import CT, EXPLICIT, IMPLICIT, VERIFICATION, item
from tests.dimse.tls_site import PASSWORD, Site, secure_archive, self_signed, sha256
from tests.ports import unused_port
from tests.waiting import eventually
from tuipacs.certificates.making import MadeFiles
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.tls import ServerTls, client_context
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.errors import UsageError
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_store import store_files, store_objects
from tuipacs.scu.requestor import Context, Peer, PeerTls, UserIdentity, open_association
from tuipacs.scu.sources import SourceObject


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate with its key."""

    files: MadeFiles

    @property
    def sha256(self) -> str:
        return sha256(self.files)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files.certificate, self.files.key)
        return context

    def trusting(self) -> ssl.SSLContext:
        return client_context(self.files.certificate)


def _make(folder: Path, name: str) -> Certificate:
    return Certificate(self_signed(folder, name))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return _make(tmp_path_factory.mktemp("tls"), "store")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return _make(tmp_path_factory.mktemp("tls"), "other")


def _echoed(call: Call) -> None:
    call.accept()
    call.answer()
    call.release()


def _failure(peer: Peer) -> AssociationFailedError:
    with pytest.raises(AssociationFailedError) as caught:
        echo(peer)
    return caught.value


def test_an_object_crosses_tls_byte_for_byte(certificate: Certificate) -> None:
    data = bytes(range(256)) * 2048 + b"tail"
    received = []

    def play(call: Call) -> None:
        call.accept()
        read = call.dataset
        call.dataset = lambda: received.append(read()) or b""  # type: ignore[method-assign, func-returns-value]
        call.answer()
        call.release()

    source = SourceObject(CT, "1.2", EXPLICIT, 0, lambda: io.BytesIO(data))
    with playing(play, certificate.server()) as acceptor:
        peer = acceptor.peer(tls=PeerTls(certificate.trusting(), certificate.sha256))
        (outcome,) = store_objects(peer, [source], [source.context])
    assert outcome.status == 0
    assert received == [data]


def test_a_certificate_that_is_trusted_but_another_is_refused(
    certificate: Certificate, other: Certificate
) -> None:
    with playing(lambda call: None, certificate.server()) as acceptor:
        error = _failure(acceptor.peer(tls=PeerTls(certificate.trusting(), other.sha256)))
    assert error.failure is Failure.TLS
    assert f"another certificate than the node's own (SHA-256 {certificate.sha256})" in (
        error.message
    )


def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: Certificate, other: Certificate
) -> None:
    with pytest.raises(ssl.SSLError), playing(_echoed, certificate.server()) as acceptor:
        error = _failure(acceptor.peer(tls=PeerTls(other.trusting())))
        assert error.failure is Failure.TLS
        assert "showed a certificate that is not accepted: self-signed certificate" in error.message


def test_a_pin_is_enough_without_an_authority(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with playing(_echoed, certificate.server()) as acceptor:
        peer = acceptor.peer(tls=PeerTls(context, certificate.sha256))
        assert echo(peer).status == 0
    with pytest.raises(UsageError, match="nobody checks"):
        PeerTls(context, " : ")
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        PeerTls(context, "12:34")


def test_a_peer_that_wants_our_certificate_says_so(certificate: Certificate) -> None:
    """In TLS 1.3 its alert comes after our handshake has ended."""
    server = certificate.server()
    server.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ssl.SSLError), playing(_echoed, server) as acceptor:
        error = _failure(acceptor.peer(tls=PeerTls(certificate.trusting())))
        assert error.failure is Failure.TLS
        assert "certificate required" in error.message


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "ended the connection in the TLS handshake"),
        (b"\7\0\0\0\0\4\0\0\0\0", "sent no TLS on the TLS port"),
    ],
)
def test_a_peer_without_tls_is_told_from_one_with_another_certificate(
    certificate: Certificate, said: bytes, words: str
) -> None:
    def play(call: Call) -> None:
        call.socket.recv(10)
        call.send(said)

    with playing(play) as acceptor:
        error = _failure(acceptor.peer(tls=PeerTls(certificate.trusting())))
    assert error.failure is Failure.TLS
    assert words in error.message


def test_a_handshake_that_does_not_go_on_ends(certificate: Certificate) -> None:
    def play(call: Call) -> None:
        while call.socket.recv(1024):
            pass

    with playing(play) as acceptor:
        error = _failure(acceptor.peer(IMPATIENT, PeerTls(certificate.trusting())))
    assert "did not finish the TLS handshake within 0.3 s" in error.message


def test_a_user_goes_with_tls_and_its_confirmation_is_waited_for(certificate: Certificate) -> None:
    seen = []

    def play(call: Call) -> None:
        call.accept(user=b"" if seen else item(0x59, b"\0\0"))
        seen.extend(call.user[0x58])
        if call.read()[0] == 5:
            call.send(b"\6\0\0\0\0\4\0\0\0\0")

    identity = UserIdentity("anna", "secret", must_be_confirmed=True)
    with playing(play, certificate.server()) as acceptor:
        peer = acceptor.peer(tls=PeerTls(certificate.trusting()), identity=identity)
        with open_association(peer, [Context(VERIFICATION, IMPLICIT)]):
            pass
        error = _failure(peer)
    assert error.failure is Failure.IDENTITY
    assert seen == [b"\2\1\0\4anna\0\6secret"] * 2


def test_a_user_is_never_sent_without_tls() -> None:
    peer = Peer("127.0.0.1", 1, "STORE", "TUIPACS", identity=UserIdentity("anna", "secret"))
    with pytest.raises(UsageError, match="with TLS only"):
        echo(peer)


def test_both_our_sides_agree_on_certificates_and_users(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (path,) = bundled_files("CT_small.dcm")
    services = GIVEN_SERVICES
    request = NodeAddRequest(
        ae_title="STRICT",
        address="",
        services=services,
        certificate_sha256=sha256(site.ct1),
        require_identity=True,
    )
    with secure_archive(tmp_path / "a", ServerTls(site.files()), accounts=("ada",)) as archive:
        archive.nodes.add(ADMIN, request)
        peer = Peer(
            "127.0.0.1",
            archive.listener.tls_port,
            "TUIPACS",
            "STRICT",
            PeerTls(site.context(site.ct1), sha256(site.archive)),
            UserIdentity("ada", PASSWORD, must_be_confirmed=True),
        )
        (outcome,) = store_files(peer, [path])
        wrong = _failure(replace(peer, identity=UserIdentity("ada", "wrong")))
        unsaid = _failure(replace(peer, identity=None))
    assert outcome.stored
    assert (wrong.failure, unsaid.failure) == (Failure.REJECTED, Failure.REJECTED)


@pytest.mark.dcmtk
def test_dcmtk_receives_over_tls_and_asks_for_our_certificate(
    certificate: Certificate, other: Certificate, tmp_path: Path
) -> None:
    """storescp requires a certificate of ours from an authority that it knows."""
    port = unused_port()
    ours, theirs = other.files, certificate.files
    words = ["+tls", str(theirs.key), str(theirs.certificate), "+cf", str(ours.certificate), "-rc"]
    process = subprocess.Popen(
        ["storescp", "-od", str(tmp_path), *words, str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        stderr=subprocess.DEVNULL,
    )
    with_ours = client_context(theirs.certificate, certificate=ours.certificate, key=ours.key)
    tls = PeerTls(with_ours, certificate.sha256)
    peer = Peer("127.0.0.1", port, "STORESCP", "TUIPACS", tls)
    (path,) = bundled_files("CT_small.dcm")
    try:
        eventually(lambda: _listens(peer))
        (outcome,) = store_files(peer, [path])
        error = _failure(replace(peer, tls=PeerTls(certificate.trusting())))
    finally:
        process.terminate()
        process.wait(10)
    assert outcome.stored
    assert len(list(tmp_path.iterdir())) == 1
    assert error.failure is Failure.TLS


def _listens(peer: Peer) -> bool:
    try:
        return echo(peer).status == 0
    except AssociationFailedError as error:
        if error.failure is not Failure.CONNECTION:
            raise
        return False
