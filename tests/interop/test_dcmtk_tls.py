"""DCMTK's own clients over TLS, against a whole daemon; who is refused is in tests/dimse."""

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

pytestmark = pytest.mark.dcmtk


def dcmtk(
    archive: RunningArchive, certificates: Certificates, program: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's clients over TLS."""
    own = certificates.client
    tls = ["+tls", str(own.key), str(own.certificate), "+cf", str(certificates.authority)]
    called = ["-aet", "DCMTK", "-aec", "TUIPACS", "127.0.0.1", str(tls_port(archive))]
    return subprocess.run(
        [program, *tls, *called, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_echoes_stores_and_finds(
    archive: RunningArchive, certificates: Certificates, tmp_path: Path
) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    done = dcmtk(archive, certificates, "echoscu")
    assert done.returncode == 0, done.stderr
    done = dcmtk(archive, certificates, "storescu", *map(str, paths))
    assert done.returncode == 0, done.stderr
    assert len(exported(archive, tmp_path / "out", study)) == 2
    asked = [word for key in keys_for(patient_id).items() for word in ("-k", "=".join(key))]
    answers = tmp_path / "answers"
    answers.mkdir()
    done = dcmtk(archive, certificates, "findscu", "-S", "-X", "-od", str(answers), *asked)
    assert done.returncode == 0, done.stderr
    (answer,) = answers.iterdir()
    found = pydicom.dcmread(answer)
    assert (found.PatientName, found.StudyInstanceUID) == (NAME, study)
    assert found.NumberOfStudyRelatedInstances == 2
