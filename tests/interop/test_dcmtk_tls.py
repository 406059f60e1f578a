"""DCMTK's own clients over TLS: echoscu, storescu and findscu."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest

from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.samples import (
    NAME,
    Certificates,
    exported,
    keys_for,
    tls_port,
    two_patients,
)
from tuipacs.certificates.making import MadeFiles

pytestmark = pytest.mark.dcmtk


def dcmtk(
    archive: RunningArchive, authority: Path, shown: MadeFiles | None, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's clients over TLS with this certificate, or with none."""
    program, *rest = words
    tls = ["+tls", str(shown.key), str(shown.certificate)] if shown else ["+tla"]
    called = ["-aet", "DCMTK", "-aec", "TUIPACS", "127.0.0.1", str(tls_port(archive))]
    return subprocess.run(
        [program, *tls, "+cf", str(authority), *called, *rest],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_echoes_stores_and_finds(
    archive: RunningArchive, certificates: Certificates, tmp_path: Path
) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    shown, authority = certificates.client, certificates.authority
    done = dcmtk(archive, authority, shown, "echoscu")
    assert done.returncode == 0, done.stderr
    done = dcmtk(archive, authority, shown, "storescu", *map(str, paths))
    assert done.returncode == 0, done.stderr
    assert len(exported(archive, tmp_path / "out", study)) == 2
    asked = [word for key in keys_for(patient_id).items() for word in ("-k", "=".join(key))]
    answers = tmp_path / "answers"
    answers.mkdir()
    done = dcmtk(archive, authority, shown, "findscu", "-S", "-X", "-od", str(answers), *asked)
    assert done.returncode == 0, done.stderr
    (answer,) = answers.iterdir()
    found = pydicom.dcmread(answer)
    assert (found.PatientName, found.StudyInstanceUID) == (NAME, study)
    assert found.NumberOfStudyRelatedInstances == 2


@pytest.mark.parametrize("who", ["a stranger", "nobody"])
def test_who_shows_no_certificate_of_the_site_is_not_let_in(
    archive: RunningArchive, certificates: Certificates, who: str
) -> None:
    shown = certificates.stranger if who == "a stranger" else None
    done = dcmtk(archive, certificates.authority, shown, "echoscu")
    assert done.returncode != 0
    assert "Association Request Failed" in done.stderr
    done = dcmtk(archive, certificates.authority, certificates.client, "echoscu")
    assert done.returncode == 0, done.stderr


def test_an_archive_of_another_site_is_not_trusted(
    archive: RunningArchive, certificates: Certificates
) -> None:
    """It is the archive's certificate that the peer checks, and not a default of ours."""
    stranger = certificates.stranger
    done = dcmtk(archive, stranger.certificate, certificates.client, "echoscu")
    assert done.returncode != 0
    assert "certificate verify failed" in done.stderr
