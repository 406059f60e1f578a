"""What a certificate says, in plain texts; they come from outside: clean them before a terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from tuipacs.certificates.files import read_limited
from tuipacs.domain.fingerprint import fingerprint
from tuipacs.errors import UsageError

MAX_CERTIFICATES = 1000  # in one file
_PKCS7_DATA = bytes.fromhex("06092a864886f70d010701")
_PEM = b"-----BEGIN "
_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
}


class CertificateFacts(Struct, frozen=True, kw_only=True):
    """One certificate. Times in seconds since the epoch, UTC; ``sha256`` is of its DER form."""

    subject: str
    issuer: str
    names: tuple[str, ...]  # DNS names and IP addresses
    not_before: float
    not_after: float
    sha256: str
    key: str  # "RSA 3072", "EC secp256r1"
    is_ca: bool
    self_issued: bool
    purposes: tuple[str, ...]  # "server", "client", "any", or an OID; empty: not limited
    may_sign: bool  # key usage: none, or with digitalSignature
    signature: str  # "sha256", "sha1"


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file, in the file's order.

    Raises `UsageError` when there is none or one that cannot be read, and as `read_limited`.
    """
    data = read_limited(path)
    try:
        if _PEM in data:
            found = tuple(x509.load_pem_x509_certificates(data))
        else:
            found = (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion):
        raise UsageError(
            f"{path}: holds no certificate that can be read", remedy=_certificate_remedy(path, data)
        ) from None
    if len(found) > MAX_CERTIFICATES:
        raise UsageError(f"{path}: more than {MAX_CERTIFICATES} certificates")
    for number, certificate in enumerate(found, start=1):
        try:  # the rest is read when it is asked for: a damaged one must not surprise later
            facts_of(certificate)
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError(
                f"{path}: certificate {number} is damaged, or of a kind that is not known"
            ) from None
    return found


def read_private_key(path: Path) -> PrivateKeyTypes:
    """The private key of a PEM file.

    Raises `UsageError` for none, an unreadable one, or one under a passphrase: a daemon that starts
    alone has nobody to ask.
    """
    data = read_limited(path)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise UsageError(
            f"{path}: the key is protected by a passphrase, which a daemon cannot give",
            remedy="write it without one: openssl pkey -in OLD -out NEW",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"{path}: holds no private key that can be read", remedy=_key_remedy(path, data)
        ) from None


def _certificate_remedy(path: Path, data: bytes) -> str:
    """What the file is instead, and how a certificate is got out of it."""
    if b"CERTIFICATE REQUEST-----" in data:
        return "it is a request: send it to the authority, and take what comes back"
    if b"PRIVATE KEY-----" in data:
        return "it is a private key: name the certificate that belongs to it (.crt, .pem)"
    if _is_pkcs12(data):
        return f"it is PKCS#12: openssl pkcs12 -in {path} -clcerts -nokeys -out NAME.crt"
    return "it has to be PEM (-----BEGIN CERTIFICATE-----) or DER"


def _key_remedy(path: Path, data: bytes) -> str:
    if b"-----BEGIN CERTIFICATE-----" in data:
        return "it is a certificate: name the key that belongs to it (.key)"
    if _is_pkcs12(data):
        return f"it is PKCS#12: openssl pkcs12 -in {path} -nocerts -nodes -out NAME.key"
    return "it has to be PEM; from DER: openssl pkey -inform DER -in OLD -out NEW"


def _is_pkcs12(data: bytes) -> bool:
    """A PFX names the type of its content, PKCS#7 data, near its begin (RFC 7292 4)."""
    return data[:1] == b"\x30" and _PKCS7_DATA in data[:64]


def certificate_sha256(path: Path) -> str:
    """The SHA-256 of the first certificate in a file: what a node is bound to."""
    return fingerprint(read_certificates(path)[0].public_bytes(Encoding.DER))


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """What a certificate of `read_certificates` says.

    Extensions that cannot be read count as absent.
    """
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        extensions = x509.Extensions([])
    is_ca, purposes, may_sign, names = False, [], True, []
    with contextlib.suppress(x509.ExtensionNotFound):
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with contextlib.suppress(x509.ExtensionNotFound):
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        purposes = [_PURPOSES.get(oid, oid.dotted_string) for oid in usage]
    with contextlib.suppress(x509.ExtensionNotFound):
        may_sign = extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    with contextlib.suppress(x509.ExtensionNotFound):
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            str(name.value)
            for name in alternatives
            if isinstance(name, x509.DNSName | x509.IPAddress)
        ]
    hashing = certificate.signature_hash_algorithm
    return CertificateFacts(
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        names=tuple(names),
        not_before=_seconds(certificate.not_valid_before_utc),
        not_after=_seconds(certificate.not_valid_after_utc),
        sha256=fingerprint(certificate.public_bytes(Encoding.DER)),
        key=_key_text(certificate),
        is_ca=is_ca,
        self_issued=certificate.subject == certificate.issuer,
        purposes=tuple(purposes),
        may_sign=may_sign,
        signature=hashing.name if hashing is not None else "",
    )


def name_text(name: x509.Name) -> str:
    """The common name if there is one, else the whole name (RFC 4514)."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _seconds(moment: dt.datetime) -> float:
    return moment.timestamp()


def _key_text(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    return "Ed448" if isinstance(key, ed448.Ed448PublicKey) else "another kind"
