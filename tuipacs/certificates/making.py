"""A site's own certificate authority, and the certificates it issues (RFC 5280).

An authority of one's own is what a small site needs: a dozen modalities that never leave the
house. Whoever has its key can be any node: keep that file away from the archive's machine.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tuipacs.certificates.files import key_file_fault, make_folder, write_new
from tuipacs.certificates.reading import facts_of, read_certificates, read_private_key
from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError

CA_DAYS = 3650
CERTIFICATE_DAYS = 730  # modalities are not renewed by a robot; two years is what people keep up
MAX_DAYS = 7300
CA_NAME = "ca"
_BACKDATED = dt.timedelta(minutes=10)  # clocks of modalities are late
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyKind(StrEnum):
    """What a key is. The suites that RFC 7525 4.2 recommended are all RSA: every peer knows it."""

    RSA = "rsa"
    EC = "ec"


@dataclass(frozen=True)
class MadeFiles:
    """Where the two files of a certificate lie."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A certificate to issue. ``hosts`` are DNS names; ``client_only``: for who only calls.

    The files have ``name``. ``subject`` (else the name) and ``others`` are those of a certificate
    that is issued again.
    """

    name: str
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    client_only: bool = False
    days: int = CERTIFICATE_DAYS
    kind: KeyKind = KeyKind.RSA
    subject: x509.Name | None = None
    others: tuple[x509.GeneralName, ...] = ()


def make_authority(
    folder: Path, name: str, *, now: dt.datetime, days: int = CA_DAYS, kind: KeyKind = KeyKind.RSA
) -> MadeFiles:
    """Make ``ca.crt`` and ``ca.key`` there. Raises `UsageError`, `ConflictError`, `ForbiddenError`.

    It may sign certificates of nodes and no further authorities.
    """
    _check_days(days)
    subject = _name(name)
    make_folder(folder)
    files = _free_names(folder, CA_NAME)
    key = _new_key(kind)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(subject, subject, key, now, now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(of_authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, SHA256())
    )
    return _write(files, certificate, key)


def issue(folder: Path, wanted: Wanted, *, now: dt.datetime) -> MadeFiles:
    """Make ``NAME.crt`` and ``NAME.key`` there, signed by the folder's ``ca.key``.

    Raises `UsageError`, `ConflictError`, `ForbiddenError`, and `NotFoundError` without an
    authority. A certificate never outlives its issuer.
    """
    _check_days(wanted.days)
    if not _FILE_NAME.fullmatch(wanted.name) or wanted.name == CA_NAME:
        raise UsageError(
            "the name becomes a file's: letters, digits, dot, hyphen and underscore, 63 at most"
        )
    names = _alternatives(wanted)
    authority, authority_key = _authority(folder, now)
    files = _free_names(folder, wanted.name)
    key = _new_key(wanted.kind)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if not wanted.client_only:
        purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    end = min(now + dt.timedelta(days=wanted.days), authority.not_valid_after_utc)
    builder = (
        _builder(wanted.subject or _name(wanted.name), authority.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(of_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _write(files, builder.sign(authority_key, SHA256()), key)


def renewal_of(
    old: Path, folder: Path, *, now: dt.datetime, days: int = CERTIFICATE_DAYS
) -> Wanted:
    """The same once more, for `issue` in ``folder``: subject, names and use of ``old``.

    The key is new, and the files' name has the date. Raises as `read_certificates`, `UsageError`
    for an authority's own certificate, `ConflictError` for one that another authority issued.
    """
    certificate = read_certificates(old)[0]
    facts = facts_of(certificate)
    if facts.is_ca:
        raise UsageError(
            "an authority is not renewed: every node has to be given the new one",
            remedy="tuipacs tls ca --folder DIR makes another",
        )
    authority, _ = _authority(folder, now)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        raise ConflictError(
            f"{old}: {facts.issuer} issued it, and not the authority in {folder}",
            remedy="that authority has to issue it again; one by yours: tuipacs tls certificate",
        ) from None
    return Wanted(
        name=f"{re.sub(r'-[0-9]{8}$', '', old.stem)}-{now:%Y%m%d}",
        subject=certificate.subject,
        others=tuple(_alternatives_of(certificate)),
        client_only=facts.purposes == ("client",),
        days=days,
        kind=KeyKind.EC if facts.key.startswith("EC") else KeyKind.RSA,
    )


def _alternatives_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return x509.SubjectAlternativeName([])


def _authority(folder: Path, now: dt.datetime) -> tuple[x509.Certificate, _Key]:
    try:
        fault = key_file_fault(folder / f"{CA_NAME}.key")
        if fault:
            raise ForbiddenError(fault, remedy=f"chmod 600 {folder / CA_NAME}.key")
        certificate = read_certificates(folder / f"{CA_NAME}.crt")[0]
        key = read_private_key(folder / f"{CA_NAME}.key")
    except NotFoundError as error:
        raise NotFoundError(
            error.message,
            remedy="bring the authority's ca.crt and ca.key back there, or name their folder with"
            " --folder; make one: tuipacs tls ca",
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise UsageError("the authority's key is neither RSA nor EC")
    if key.public_key() != certificate.public_key():
        raise ConflictError(
            f"{folder}: ca.crt and ca.key do not belong together",
            remedy="a ca.crt and the ca.key that was made with it are needed",
        )
    if certificate.not_valid_after_utc <= now:
        raise ConflictError(
            f"{folder / CA_NAME}.crt: the authority's certificate has expired",
            remedy="make another: tuipacs tls ca --folder DIR, and give its ca.crt to all nodes",
        )
    return certificate, key


def _alternatives(wanted: Wanted) -> list[x509.GeneralName]:
    names = list(wanted.others)
    for host in wanted.hosts:
        if not _HOST_NAME.fullmatch(host):
            raise UsageError("a --host is no DNS name", remedy="addresses go with --ip")
        names.append(x509.DNSName(host.lower()))
    for address in wanted.addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            raise UsageError("an --ip is no IP address", remedy="names go with --host") from None
    return names


def _check_days(days: int) -> None:
    if not 1 <= days <= MAX_DAYS:
        raise UsageError(f"a certificate is valid for 1 to {MAX_DAYS} days")


def _name(text: str) -> x509.Name:
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise UsageError("a certificate's name has 1 to 64 printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _new_key(kind: KeyKind) -> _Key:
    if kind is KeyKind.EC:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


def _usage(*, of_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates and nothing else; the others sign, as ECDHE needs it."""
    return x509.KeyUsage(
        digital_signature=not of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, now: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
    )


def _free_names(folder: Path, name: str) -> MadeFiles:
    files = MadeFiles(folder / f"{name}.crt", folder / f"{name}.key")
    for path in (files.certificate, files.key):
        if path.exists() or path.is_symlink():
            raise ConflictError(
                f"{path} exists already and is not overwritten",
                remedy="move it away, or take another name or --folder",
            )
    return files


def _write(files: MadeFiles, certificate: x509.Certificate, key: _Key) -> MadeFiles:
    write_new(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        write_new(files.certificate, certificate.public_bytes(Encoding.PEM))
    except BaseException:
        files.key.unlink()  # no key is left without its certificate
        raise
    return files
