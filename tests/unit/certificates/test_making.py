"""An authority of a site's own and what it issues: right, private, never overwritten (RFC 5280)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tuipacs.certificates.files import key_file_fault, read_limited, write_new
from tuipacs.certificates.making import KeyKind, Wanted, issue, make_authority, renewal_of
from tuipacs.certificates.reading import facts_of, read_certificates, read_private_key
from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_authority(tmp_path / "tls", "Site CA", now=NOW, kind=KeyKind.EC)
    return tmp_path / "tls"


def read(path: Path) -> x509.Certificate:
    return read_certificates(path)[0]


def test_an_authority_may_sign_nodes_and_no_further_authority(folder: Path) -> None:
    certificate = read(folder / "ca.crt")
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)
    assert facts_of(certificate).self_issued


def test_what_it_issues_is_for_calling_and_being_called(folder: Path) -> None:
    wanted = Wanted(
        name="archive",
        hosts=("PACS.example.org",),
        addresses=("192.0.2.7", "2001:db8::7"),
        kind=KeyKind.EC,
    )
    files = issue(folder, wanted, now=NOW)
    certificate = read(files.certificate)
    certificate.verify_directly_issued_by(read(folder / "ca.crt"))
    assert read_private_key(files.key).public_key() == certificate.public_key()
    facts = facts_of(certificate)
    assert facts.purposes == ("server", "client")
    assert facts.names == ("pacs.example.org", "192.0.2.7", "2001:db8::7")
    assert (facts.subject, facts.issuer, facts.is_ca) == ("archive", "Site CA", False)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress)[0] == ipaddress.ip_address("192.0.2.7")


def test_a_client_that_is_never_called_gets_no_more(folder: Path) -> None:
    files = issue(folder, Wanted(name="ct1", client_only=True, kind=KeyKind.EC), now=NOW)
    usage = read(files.certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_it_is_valid_a_little_before_now_for_late_clocks_and_never_outlives_its_issuer(
    folder: Path,
) -> None:
    files = issue(folder, Wanted(name="long", days=7300, kind=KeyKind.EC), now=NOW)
    certificate = read(files.certificate)
    assert certificate.not_valid_before_utc == NOW - dt.timedelta(minutes=10)
    assert certificate.not_valid_after_utc == NOW + dt.timedelta(days=3650)


def test_rsa_is_the_default_for_peers_that_know_nothing_else(tmp_path: Path) -> None:
    files = make_authority(tmp_path, "Site", now=NOW)
    assert facts_of(read(files.certificate)).key == "RSA 3072"


def test_everything_is_private_to_its_owner(folder: Path) -> None:
    issue(folder, Wanted(name="ct1", kind=KeyKind.EC), now=NOW)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("taken", ["ct1.crt", "ct1.key"])
def test_nothing_is_overwritten_and_nothing_half_made_is_left(folder: Path, taken: str) -> None:
    (folder / taken).write_text("mine")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ConflictError, match="not overwritten"):
        issue(folder, Wanted(name="ct1", kind=KeyKind.EC), now=NOW)
    with pytest.raises(ConflictError, match="not overwritten"):
        make_authority(folder, "Another", now=NOW, kind=KeyKind.EC)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / taken).read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError):
        write_new(tmp_path / "link", b"key")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name", ["", "ca", "../up", "a/b", ".hidden", "-x", "a b", "a\n", "a" * 64]
)
def test_a_name_is_that_of_a_file_and_nothing_else(folder: Path, name: str) -> None:
    with pytest.raises(UsageError):
        issue(folder, Wanted(name=name, kind=KeyKind.EC), now=NOW)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(name="x", hosts=("not a host",)),
        Wanted(name="x", hosts=("a/b",)),
        Wanted(name="x", addresses=("192.0.2.300",)),
        Wanted(name="x", days=0),
        Wanted(name="x", days=100_000),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(folder: Path, wanted: Wanted) -> None:
    with pytest.raises(UsageError):
        issue(folder, wanted, now=NOW)
    assert not (folder / "x.key").exists()


def test_without_an_authority_nothing_is_issued(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as refused:
        issue(tmp_path, Wanted(name="ct1"), now=NOW)
    assert "tuipacs tls ca" in refused.value.remedy


def test_an_authority_that_has_expired_or_is_open_to_others_issues_nothing(folder: Path) -> None:
    with pytest.raises(ConflictError, match="expired"):
        issue(folder, Wanted(name="ct1"), now=NOW + dt.timedelta(days=4000))
    (folder / "ca.key").chmod(0o640)
    with pytest.raises(ForbiddenError, match="others can read this key") as refused:
        issue(folder, Wanted(name="ct1"), now=NOW)
    assert "chmod 600" in refused.value.remedy


def test_a_key_of_another_authority_is_found_out(folder: Path, tmp_path: Path) -> None:
    other = make_authority(tmp_path / "other", "Site CA", now=NOW, kind=KeyKind.EC)
    (folder / "ca.key").write_bytes(other.key.read_bytes())
    with pytest.raises(ConflictError, match="do not belong together"):
        issue(folder, Wanted(name="ct1"), now=NOW)


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        read_limited(tmp_path / "pipe")


def test_a_folder_in_place_of_a_file_is_told_in_words(folder: Path) -> None:
    with pytest.raises(UsageError, match="is no regular file"):
        read_limited(folder)
    with pytest.raises(UsageError, match="is no regular file"):
        key_file_fault(folder)
    with pytest.raises(UsageError, match="is no regular file"):
        renewal_of(folder, folder, now=NOW)


@pytest.mark.parametrize(("mode", "is_private"), [(0o600, True), (0o400, True), (0o640, False)])
def test_a_key_is_private_to_its_owner(tmp_path: Path, mode: int, is_private: bool) -> None:
    path = tmp_path / "key"
    path.touch()
    path.chmod(mode)
    assert (not key_file_fault(path)) is is_private


@pytest.mark.parametrize("client_only", [True, False])
def test_a_renewal_is_the_same_with_a_new_key_and_a_dated_name(
    folder: Path, client_only: bool
) -> None:
    wanted = Wanted(
        name="ct1",
        hosts=("ct1.example.org",),
        addresses=("192.0.2.9",),
        client_only=client_only,
        kind=KeyKind.EC,
    )
    old = issue(folder, wanted, now=NOW)
    later = NOW + dt.timedelta(days=700)
    new = issue(folder, renewal_of(old.certificate, folder, now=later), now=later)
    assert new.certificate.name == "ct1-20281021.crt"
    before, after = facts_of(read(old.certificate)), facts_of(read(new.certificate))
    assert (after.names, after.purposes, after.key) == (before.names, before.purposes, before.key)
    assert after.subject == before.subject == "ct1"
    assert after.sha256 != before.sha256
    assert read_private_key(new.key).public_key() != read_private_key(old.key).public_key()
    again = renewal_of(new.certificate, folder, now=later + dt.timedelta(days=1))
    assert again.name == "ct1-20281022"


def test_an_authority_is_not_renewed_behind_the_nodes_back(folder: Path) -> None:
    with pytest.raises(UsageError, match="not renewed"):
        renewal_of(folder / "ca.crt", folder, now=NOW)


def test_what_another_authority_issued_is_not_renewed_as_if_it_were_ours(
    folder: Path, tmp_path: Path
) -> None:
    """Even one of the same name: nodes that trust the other would refuse it."""
    make_authority(tmp_path / "other", "Site CA", now=NOW, kind=KeyKind.EC)
    foreign = issue(tmp_path / "other", Wanted(name="ct1", kind=KeyKind.EC), now=NOW)
    with pytest.raises(ConflictError, match="not the authority in"):
        renewal_of(foreign.certificate, folder, now=NOW)
