"""What `tuipacs tls check` finds in files that do not fit."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dimse.tls_site import Site, self_signed
from tuipacs.certificates.checking import CertificateFinding, TlsFiles, check_files
from tuipacs.certificates.reading import facts_of, read_certificates, read_private_key
from tuipacs.domain.verdict import Verdict
from tuipacs.errors import UsageError

DAY = 86400.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def now() -> float:
    return dt.datetime.now(dt.UTC).timestamp()


def check(files: TlsFiles, *, in_days: float = 0) -> list[CertificateFinding]:
    return list(check_files(files, now() + in_days * DAY))


def faults(found: list[CertificateFinding], verdict: Verdict = Verdict.FAIL) -> str:
    return "\n".join(f.words for f in found if f.verdict is verdict)


def test_a_set_that_fits_has_no_fault_and_says_what_it_is(site: Site) -> None:
    found = check(site.files())
    assert {finding.verdict for finding in found} == {Verdict.OK}
    assert [finding.part for finding in found] == ["certificate", "key", "ca", "chain"]


@pytest.mark.parametrize(
    ("in_days", "verdict", "words"),
    [
        (699, Verdict.OK, "valid until"),
        (701, Verdict.WARN, "expires in 28 days"),
        (731, Verdict.FAIL, "expired on"),
        (-1, Verdict.FAIL, "not valid before"),
    ],
)
def test_the_time_that_is_left_is_told_from_30_days_on(
    site: Site, in_days: float, verdict: Verdict, words: str
) -> None:
    first = check(site.files(), in_days=in_days)[0]
    assert first.verdict is verdict
    assert words in first.words


def swap_key(site: Site) -> TlsFiles:
    return TlsFiles(site.archive.certificate, site.mr2.key, site.ca)


def open_key(site: Site) -> TlsFiles:
    site.archive.key.chmod(0o604)
    return site.files()


def client_only(site: Site) -> TlsFiles:
    return TlsFiles(site.ct1.certificate, site.ct1.key, site.ca)


def empty_list(site: Site) -> TlsFiles:
    site.ca.write_text("# nobody\n")
    return site.files()


def passphrase(site: Site) -> TlsFiles:
    key = read_private_key(site.archive.key)
    protected = BestAvailableEncryption(b"secret")
    site.archive.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protected))
    return site.files()


def wrong_order(site: Site) -> TlsFiles:
    chain = site.archive.certificate.read_bytes() + site.mr2.certificate.read_bytes()
    site.archive.certificate.write_bytes(chain)
    return site.files()


def short_key(site: Site) -> TlsFiles:
    """A certificate as of 2008: RSA of 1024 bits."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365))
        .sign(key, SHA256())
    )
    site.archive.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    site.archive.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return site.files()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (swap_key, "is not the key of the certificate"),
        (open_key, "others can read this key, mode 0604"),
        (client_only, "forbids it to be a TLS server's"),
        (empty_list, "no certificate that can be read"),
        (passphrase, "protected by a passphrase"),
        (wrong_order, "is not signed by the next certificate of the file"),
        (short_key, "1024 bits is too short"),
        (lambda site: TlsFiles(site.folder / "none", site.archive.key, site.ca), "no such file"),
        (lambda site: TlsFiles(site.archive.certificate, site.ca, site.ca), "no private key"),
        (lambda site: TlsFiles(site.folder, site.archive.key, site.ca), "is no regular file"),
        (lambda site: TlsFiles(site.archive.certificate, site.folder, site.ca), "no regular file"),
        (lambda site: TlsFiles(site.archive.certificate, site.archive.key, site.folder), "regular"),
    ],
)
def test_each_fault_has_its_words(
    site: Site, damage: Callable[[Site], TlsFiles], words: str
) -> None:
    assert words in faults(check(damage(site)))


def test_an_authoritys_own_certificate_does_not_belong_on_a_server(site: Site) -> None:
    files = TlsFiles(site.ca, site.folder / "ca.key", site.ca)
    assert "authority's certificate" in faults(check(files), Verdict.WARN)


def test_a_nodes_own_certificate_among_the_authorities_is_named_as_such(site: Site) -> None:
    site.ca.write_bytes(site.ca.read_bytes() + site.ct1.certificate.read_bytes())
    parts = [finding.part for finding in check(site.files())]
    assert parts == ["certificate", "key", "ca", "ca (one node's own certificate)", "chain"]


def test_self_signed_and_foreign_certificates_say_whom_peers_have_to_trust(
    site: Site, tmp_path: Path
) -> None:
    own = self_signed(tmp_path, "alone")
    found = check(TlsFiles(own.certificate, own.key, site.ca))
    assert "self-signed" in found[-1].words
    foreign = Site(tmp_path / "foreign")
    found = check(TlsFiles(foreign.archive.certificate, foreign.archive.key, site.ca))
    assert "peers have to trust that authority" in found[-1].words


def test_der_is_read_too_and_texts_come_as_they_are(site: Site, tmp_path: Path) -> None:
    """Who shows them cleans them: the common name may hold anything."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\x1b[2Jevil")])
    start = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Org")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
        .sign(key, SHA256())
    )
    (tmp_path / "x.der").write_bytes(certificate.public_bytes(Encoding.DER))
    facts = facts_of(read_certificates(tmp_path / "x.der")[0])
    assert (facts.subject, facts.issuer) == ("\x1b[2Jevil", "O=Org")
    assert (facts.names, facts.purposes, facts.is_ca) == ((), (), False)


@pytest.mark.filterwarnings("ignore")  # of the library, about numbers that are none
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_certificate_is_refused_or_read_and_never_breaks_anything(
    tmp_path: Path, site: Site, data: st.DataObject
) -> None:
    whole = read_certificates(site.archive.certificate)[0].public_bytes(Encoding.DER)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.crt"
    path.write_bytes(damaged)
    list(check_files(TlsFiles(path, site.archive.key, path), now()))
    with contextlib.suppress(UsageError):
        for certificate in read_certificates(path):
            assert facts_of(certificate).sha256


@pytest.mark.parametrize("data", [b"", b"\x30\x82\x01\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(UsageError, match="holds no certificate"):
        read_certificates(tmp_path / "x")


def pkcs12(site: Site) -> bytes:
    key = read_private_key(site.archive.key)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    (certificate,) = read_certificates(site.archive.certificate)
    return serialize_key_and_certificates(b"archive", key, certificate, None, NoEncryption())


@pytest.mark.parametrize(
    ("content", "of_certificate", "of_key"),
    [
        (pkcs12, "openssl pkcs12 -in", "openssl pkcs12 -in"),
        (lambda site: site.archive.key.read_bytes(), "it is a private key", ""),
        (lambda site: site.ca.read_bytes(), "", "it is a certificate"),
        (lambda _: b"-----BEGIN CERTIFICATE REQUEST-----\n", "to the authority", "PEM"),
        (lambda _: b"\x00garbage", "has to be PEM", "has to be PEM"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_way_out(
    site: Site,
    tmp_path: Path,
    content: Callable[[Site], bytes],
    of_certificate: str,
    of_key: str,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(site))
    if of_certificate:
        with pytest.raises(UsageError) as refused:
            read_certificates(path)
        assert of_certificate in refused.value.remedy
    if of_key:
        with pytest.raises(UsageError) as refused:
            read_private_key(path)
        assert of_key in refused.value.remedy


def test_no_fault_is_without_a_remedy(site: Site, tmp_path: Path) -> None:
    none = tmp_path / "none"
    found = check(TlsFiles(none, none, none)) + check(swap_key(site)) + check(client_only(site))
    assert all(finding.remedy for finding in found if finding.verdict is not Verdict.OK)
    assert "begins in the archive's folder" in found[0].remedy


def test_a_certificate_without_names_is_a_warning(site: Site) -> None:
    files = TlsFiles(site.mr2.certificate, site.mr2.key, site.ca)
    assert "names no host and no address" in faults(check(files), Verdict.WARN)
