"""A site with an authority, certificates for all parts of the play, and archives that speak TLS."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.dimse.archive import Archive
from tests.dimse.raw_peer import RawPeer
from tests.unit.services.parts import fast_hasher
from tests.waiting import eventually
from tuipacs.certificates.checking import TlsFiles
from tuipacs.certificates.making import KeyKind, MadeFiles, Wanted, issue, make_authority
from tuipacs.certificates.reading import certificate_sha256, read_private_key
from tuipacs.dimse.tls import ServerTls, client_context
from tuipacs.domain.clock import system_clock
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import Role
from tuipacs.index import users
from tuipacs.index.database import Index
from tuipacs.services.authentication import Authentication
from tuipacs.services.identities import Identities

PASSWORD = "correct horse battery staple"


class Site:
    """Its authority, the archive's certificate, and two nodes': "ct1" and "mr2"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_authority(folder, "Site", now=dt.datetime.now(dt.UTC), kind=KeyKind.EC)
        self.ca = folder / "ca.crt"
        self.archive = self.issue("archive", hosts=("localhost",))
        self.ct1 = self.issue("ct1", client_only=True)
        self.mr2 = self.issue("mr2")

    def issue(self, name: str, *, days_ago: int = 0, **wanted: Any) -> MadeFiles:
        """A certificate of that name; one issued ``days_ago`` has its time behind it."""
        now = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
        return issue(self.folder, Wanted(name=name, kind=KeyKind.EC, **wanted), now=now)

    def files(self, *, ca: bool = True) -> TlsFiles:
        """What the archive is given."""
        return TlsFiles(self.archive.certificate, self.archive.key, self.ca if ca else None)

    def context(self, own: MadeFiles | None) -> ssl.SSLContext:
        """A node's, with its own certificate or none."""
        if own is None:
            return client_context(self.ca)
        return client_context(self.ca, certificate=own.certificate, key=own.key)


def sha256(files: MadeFiles) -> str:
    """What a node is bound to."""
    return certificate_sha256(files.certificate)


def self_signed(folder: Path, name: str) -> MadeFiles:
    """A certificate that no authority stands behind."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _written(folder, name, key, _builder(name, name, key).sign(key, hashes.SHA256()))


def for_servers_alone(site: Site) -> MadeFiles:
    """One of the site's that must not be shown by who calls."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority_key = read_private_key(site.folder / "ca.key")
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = _builder("web", "Site", key).add_extension(usage, critical=False)
    return _written(site.folder, "web", key, builder.sign(authority_key, hashes.SHA256()))


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _written(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> MadeFiles:
    files = MadeFiles(folder / f"{name}.crt", folder / f"{name}.key")
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.key.chmod(0o600)
    return files


class TlsPeer(RawPeer):
    """A peer made of bytes that speaks TLS."""

    def __init__(self, port: int, context: ssl.SSLContext, **options: bool) -> None:
        super().__init__(port)
        try:
            self.secured = context.wrap_socket(self.socket, **options)  # type: ignore[arg-type]
        except OSError:
            self.socket.close()
            raise
        self.socket = self.secured


@contextmanager
def secure_archive(
    folder: Path, tls: ServerTls, accounts: tuple[str, ...] = (), **settings: Any
) -> Iterator[Archive]:
    """An archive with both ports, and accounts that all have `PASSWORD`."""

    def doors(index: Index) -> dict[str, Any]:
        hasher = fast_hasher()
        for name in accounts:
            with index.write() as tx:
                users.add_user(tx, name, Role.TECHNOLOGIST, hasher.hash(PASSWORD), 0.0)
        checks = Authentication(index, system_clock, hasher)
        return {"tls": tls, "identify": Identities(index, system_clock, checks).verify}

    folder.mkdir()
    archive = Archive(folder, doors=doors, tls_port=0, **settings)
    try:
        yield archive
    finally:
        archive.close()


def refused(archive: Archive, words: str) -> None:
    """Wait until a refusal with these words is on the incoming screen."""
    eventually(
        lambda: any(
            words in row.reason
            for row in archive.records()
            if row.state is AssociationState.REJECTED
        )
    )
