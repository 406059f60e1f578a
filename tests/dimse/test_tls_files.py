"""TLS files that are replaced, broken, too open or too late, under a listener that runs."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import ssl
import threading
import time
from pathlib import Path

import pytest

from tests.dimse.raw_peer import RawPeer
from tests.dimse.tls_site import Site, TlsPeer, secure_archive, sha256
from tests.waiting import eventually
from tuipacs.certificates.checking import TlsFiles
from tuipacs.certificates.reading import read_certificates
from tuipacs.config import TlsSettings
from tuipacs.dimse.tls import ServerTls, files_of, server_context
from tuipacs.domain.fingerprint import fingerprint
from tuipacs.errors import ConfigError, TuipacsError


@pytest.fixture
def files(site: Site, tmp_path: Path) -> TlsFiles:
    """Copies that may be damaged."""
    copies = TlsFiles(tmp_path / "own.crt", tmp_path / "own.key", tmp_path / "ca.crt")
    put(site, "archive", copies)
    shutil.copy(site.ca, tmp_path / "ca.crt")
    return copies


def folder_instead(path: Path) -> None:
    """What `mkdir` or a bind mount of a file that is not there leaves behind."""
    path.unlink()
    path.mkdir(mode=0o700)


def put(site: Site, name: str, files: TlsFiles) -> None:
    """Put that certificate and its key in place, as an administrator does."""
    shutil.copy(site.folder / f"{name}.crt", files.certificate)
    shutil.copy(site.folder / f"{name}.key", files.key)


def test_a_replaced_certificate_is_shown_to_the_next_caller(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    with secure_archive(tmp_path / "a", ServerTls(files)) as archive:
        port, context = archive.listener.tls_port, site.context(site.ct1)
        with TlsPeer(port, context) as first:
            put(site, "mr2", files)
            with TlsPeer(port, context) as second:
                shown = second.secured.getpeercert(binary_form=True)
                assert fingerprint(shown or b"") == sha256(site.mr2)
                assert second.associate().kind == "accept"
            assert first.associate().kind == "accept"  # who is in stays in


def test_who_is_in_is_asked_again_when_others_are_trusted(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    """Written again as it was, the list of authorities ends nothing; another list does."""
    tls = ServerTls(files)
    with secure_archive(tmp_path / "a", tls) as archive:
        tls.on_distrust = archive.listener.distrust
        assert files.ca is not None
        with (
            TlsPeer(archive.listener.tls_port, site.context(site.ct1)) as peer,
            RawPeer(archive.port) as plain,
        ):
            assert peer.associate().kind == plain.associate().kind == "accept"
            files.ca.write_bytes(files.ca.read_bytes())
            tls.refresh()
            assert peer.echo() == 0
            shutil.copy(files.certificate, files.ca)
            tls.refresh()
            assert peer.read() == (7, bytes(4))
            assert plain.echo() == 0
            eventually(lambda: [r for r in archive.records() if "trusted have changed" in r.reason])


def test_an_authority_that_is_taken_out_lets_nobody_in_any_more(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    other = Site(tmp_path / "other")
    with secure_archive(tmp_path / "a", ServerTls(files)) as archive:
        port, context = archive.listener.tls_port, site.context(site.ct1)
        with TlsPeer(port, context) as peer:
            assert peer.associate().kind == "accept"
        assert files.ca is not None
        shutil.copy(other.ca, files.ca)
        with pytest.raises(ssl.SSLError), TlsPeer(port, context) as peer:
            peer.associate()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda files: files.certificate.write_text("nothing"), "no certificate that can be read"),
        (lambda files: files.certificate.unlink(), "there is no such file"),
        (lambda files: files.key.write_bytes(b""), "no private key that can be read"),
        (lambda files: files.key.chmod(0o644), "others can read this key, mode 0644"),
        (lambda files: files.ca.write_text("-----BEGIN CERTIFICATE-----\n"), "no certificate"),
        (lambda files: folder_instead(files.certificate), "is no regular file"),
        (lambda files: folder_instead(files.key), "is no regular file"),
        (lambda files: folder_instead(files.ca), "is no regular file"),
    ],
)
def test_a_broken_new_file_leaves_the_old_ones_in_use_and_says_so(
    site: Site,
    files: TlsFiles,
    caplog: pytest.LogCaptureFixture,
    damage: object,
    words: str,
) -> None:
    tls = ServerTls(files)
    before = tls.context()
    assert callable(damage)
    damage(files)
    with caplog.at_level(logging.INFO, "tuipacs.dimse.tls"):
        assert tls.context() is before
        assert tls.context() is before
    assert words in tls.state.problem
    assert len(caplog.records) == 1  # and not at every handshake
    assert tls.state.facts.sha256 == sha256(site.archive)


def test_a_pair_that_arrives_one_file_at_a_time_is_taken_when_it_is_whole(
    site: Site, files: TlsFiles
) -> None:
    tls = ServerTls(files)
    shutil.copy(site.mr2.certificate, files.certificate)
    tls.refresh()
    assert "is not the key of" in tls.state.problem
    assert tls.state.facts.sha256 == sha256(site.archive)
    shutil.copy(site.mr2.key, files.key)
    tls.refresh()
    assert tls.state.problem == ""
    assert tls.state.facts.sha256 == sha256(site.mr2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: files.key.chmod(0o640), "others can read this key"),
        (lambda files: files.key.unlink(), "there is no such file"),
        (lambda files: files.certificate.write_bytes(b"\xff" * 40), "no certificate"),
    ],
)
def test_a_start_with_files_that_do_not_fit_is_refused_in_words(
    files: TlsFiles, change: object, words: str
) -> None:
    assert callable(change)
    change(files)
    with pytest.raises(TuipacsError, match=words):
        ServerTls(files)


def test_the_end_of_the_certificate_is_in_the_log_once_a_day(
    site: Site, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(site.issue("soon", days=20).certificate, files.certificate)
    shutil.copy(site.folder / "soon.key", files.key)
    tls = ServerTls(files)
    for _ in range(3):
        tls.context()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "this archive's TLS certificate expires in 19 days"
    ]


def test_nobody_can_be_trusted_by_nobody(files: TlsFiles) -> None:
    """An empty list means nobody, never everybody."""
    with pytest.raises(ConfigError, match="names none that could be trusted"):
        server_context(TlsFiles(files.certificate, files.key, None))
    assert (
        server_context(
            TlsFiles(files.certificate, files.key, None), require_certificate=False
        ).verify_mode
        is ssl.CERT_NONE
    )


def test_sessions_that_openssl_keeps_do_not_pile_up(site: Site, tmp_path: Path) -> None:
    """Clients of TLS 1.2 that end in order leave 12 kB each behind."""
    tls = ServerTls(site.files(), max_sessions=3)
    context = site.context(site.ct1)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with secure_archive(tmp_path / "a", tls) as archive:
        for _ in range(12):
            with TlsPeer(archive.listener.tls_port, context) as peer:
                peer.associate()
                peer.release()
                peer.secured.unwrap().close()
            eventually(lambda: "dicom-association" not in {t.name for t in threading.enumerate()})
        assert tls.context().session_stats()["number"] <= 4


def test_a_certificate_in_the_list_of_authorities_is_trusted_for_itself(
    site: Site, files: TlsFiles, tmp_path: Path
) -> None:
    foreign = Site(tmp_path / "foreign")
    assert files.ca is not None
    shutil.copy(foreign.ct1.certificate, files.ca)
    with secure_archive(tmp_path / "a", ServerTls(files)) as archive:
        for own, is_let_in in ((foreign.ct1, True), (foreign.mr2, False)):
            context = site.context(None)
            context.load_cert_chain(own.certificate, own.key)
            if is_let_in:
                with TlsPeer(archive.listener.tls_port, context) as peer:
                    assert peer.associate().kind == "accept"
            else:
                with (
                    pytest.raises(ssl.SSLError),
                    TlsPeer(archive.listener.tls_port, context) as peer,
                ):
                    peer.associate()


def test_paths_are_seen_from_the_archives_folder() -> None:
    settings = TlsSettings(certificate="tls/a.crt", key="/etc/a.key", ca="")
    assert files_of(settings, Path("/srv/pacs")) == TlsFiles(
        Path("/srv/pacs/tls/a.crt"), Path("/etc/a.key"), None
    )
    assert files_of(TlsSettings(), Path("/srv/pacs")) is None


def test_the_time_that_is_left_is_the_certificates_own(site: Site) -> None:
    (certificate,) = read_certificates(site.archive.certificate)
    left = ServerTls(site.files()).state.facts.not_after - dt.datetime.now(dt.UTC).timestamp()
    assert left == pytest.approx(730 * 86400, abs=3600)
    assert certificate.not_valid_after_utc > dt.datetime.now(dt.UTC)


class Now:
    """A clock that a test moves, in days from now."""

    days = 0.0

    def __call__(self) -> float:
        return time.time() + self.days * 86400


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("late", {"days": 30, "days_ago": 40}, "expired on"),
        ("early", {"days_ago": -3}, "not valid before"),
        ("ct1", None, "forbids it to be a TLS server's"),
    ],
)
def test_a_pair_that_is_worse_than_the_one_in_use_is_not_taken(
    site: Site, files: TlsFiles, name: str, wanted: dict[str, int] | None, words: str
) -> None:
    tls = ServerTls(files)
    before = tls.context()
    if wanted is not None:
        site.issue(name, **wanted)
    put(site, name, files)
    assert tls.context() is before
    assert tls.state.facts.sha256 == sha256(site.archive)
    assert "the new TLS files are not used" in tls.state.problem
    assert words in tls.state.problem
    put(site, "mr2", files)
    tls.refresh()
    assert (tls.state.facts.sha256, tls.state.problem) == (sha256(site.mr2), "")


def test_a_pair_that_came_early_is_taken_when_its_time_comes(site: Site, files: TlsFiles) -> None:
    now = Now()
    tls = ServerTls(files, now=now)
    early = site.issue("soon-valid", days_ago=-3)
    put(site, "soon-valid", files)
    tls.refresh()
    assert "not valid before" in tls.state.problem
    now.days = 4
    tls.refresh()
    assert (tls.state.facts.sha256, tls.state.problem) == (sha256(early), "")


def test_an_expired_pair_replaces_an_expired_one_and_is_no_secret(
    site: Site, files: TlsFiles
) -> None:
    """It makes nothing worse, and callers that do not look at the time go on."""
    now = Now()
    tls = ServerTls(files, now=now)
    now.days = 800
    late = site.issue("later", days=30)
    put(site, "later", files)
    tls.refresh()
    assert tls.state.facts.sha256 == sha256(late)
    assert "expired on" in tls.state.problem


def test_a_start_with_an_expired_certificate_is_loud(
    site: Site, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    site.issue("latest", days=30, days_ago=40)
    put(site, "latest", files)
    tls = ServerTls(files)
    assert "expired on" in tls.state.problem
    assert "HAS EXPIRED" in caplog.text
    for _ in range(3):
        tls.refresh()
    assert caplog.text.count("expired on") == 1


def test_no_start_with_a_certificate_that_servers_must_not_show(
    site: Site, files: TlsFiles
) -> None:
    put(site, "ct1", files)
    with pytest.raises(ConfigError, match="forbids it to be a TLS server's") as refused:
        ServerTls(files)
    assert "tuipacs tls certificate" in refused.value.remedy
