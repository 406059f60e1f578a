"""Another archive that echoes, sends and asks: Orthanc, over DCMTK's network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.interop.samples import (
    ANY,
    NAME,
    Certificates,
    as_one_study,
    check_what_came_back,
    exported,
    keys_for,
    tls_port,
    two_patients,
)
from tests.interop.tap import Tap

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def orthanc(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Orthanc]:
    settings = {
        "DicomTlsCertificate": str(certificates.client.certificate),
        "DicomTlsPrivateKey": str(certificates.client.key),
        "DicomTlsTrustedCertificates": str(certificates.authority),
    }
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), settings) as running:
        yield running


def upload(orthanc: Orthanc, files: dict[str, Path]) -> str:
    """Put the files of one study into Orthanc; its name for the study."""
    parents = {
        orthanc.ask("POST", "/instances", path.read_bytes())["ParentStudy"]
        for path in files.values()
    }
    (study,) = parents
    return str(study)


def test_echoes_and_sends_a_study_of_many_transfer_syntaxes(
    archive: RunningArchive, orthanc: Orthanc, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    orthanc.know("archive", "TUIPACS", tap.port)
    orthanc.ask("POST", "/modalities/archive/echo", {})
    sent = orthanc.ask("POST", "/modalities/archive/store", [upload(orthanc, files)])
    assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (len(files), 0)
    assert check_what_came_back(archive, tap, tmp_path / "out", study) == set(files)


def test_is_told_that_it_calls_somebody_else(archive: RunningArchive, orthanc: Orthanc) -> None:
    orthanc.know("somebody", "SOMEBODY", archive.port)
    with pytest.raises(httpx.HTTPStatusError, match="500"):
        orthanc.ask("POST", "/modalities/somebody/echo", {})


@pytest.mark.parametrize("tls", [False, True])
def test_sends_and_finds_a_study_with_and_without_tls(
    archive: RunningArchive, orthanc: Orthanc, tmp_path: Path, tls: bool
) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    node = f"archive-{tls}"
    orthanc.know(node, "TUIPACS", tls_port(archive) if tls else archive.port, tls=tls)
    orthanc.ask("POST", f"/modalities/{node}/echo", {})
    for path in paths:
        instance = orthanc.ask("POST", "/instances", path.read_bytes())["ID"]
        orthanc.ask("POST", f"/modalities/{node}/store", [instance])
    query = {"Level": "Study", "Query": keys_for(patient_id), "Normalize": False}
    asked = orthanc.ask("POST", f"/modalities/{node}/query", query)
    (found,) = orthanc.ask("GET", f"/queries/{asked['ID']}/answers?expand&simplify")
    assert found["PatientName"] == NAME
    assert (found["PatientID"], found["StudyInstanceUID"]) == (patient_id, study)
    assert found["ModalitiesInStudy"] == "CT\\PT"
    assert found["NumberOfStudyRelatedInstances"] == "2"
    assert len(exported(archive, tmp_path / "out", study)) == 2


def test_does_not_get_in_where_tls_is_spoken_without_it(
    archive: RunningArchive, orthanc: Orthanc
) -> None:
    orthanc.know("plain", "TUIPACS", tls_port(archive))
    with pytest.raises(httpx.HTTPStatusError, match="500"):
        orthanc.ask("POST", "/modalities/plain/echo", {})
