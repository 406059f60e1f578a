"""npm's dcmjs-dimse as a client: a DICOM network and an encoder of its own, in JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bundled import FOLDER
from tests.e2e.daemon_fixture import PASSWORD, RunningArchive
from tests.e2e.proof import run
from tests.interop.drivers import drive
from tests.interop.samples import (
    ANY,
    NAME,
    USER,
    WITH_USER,
    Certificates,
    as_one_study,
    check_what_came_back,
    destination,
    exported,
    kept,
    keys_for,
    tls_port,
    two_patients,
)
from tests.interop.tap import Tap
from tests.ports import unused_port
from tuipacs.certificates.making import MadeFiles
from tuipacs.domain.uid import new_uid

pytestmark = pytest.mark.node
CLIENT = Path(__file__).parent / "dcmjs_client.cjs"
CT = "1.2.840.10008.5.1.4.1.1.2"


def dcmjs(port: int, called: str = "TUIPACS", **asked: object) -> Any:
    """Have dcmjs-dimse do what is asked; what it says."""
    return drive(["node", str(CLIENT)], port, called, asked)


def test_stores_every_transfer_syntax_over_one_association(
    archive: RunningArchive, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    paths = [str(path) for path in files.values()]
    said = dcmjs(tap.port, files=paths)
    assert (said["echo"], said["stored"]) == (0x0000, dict.fromkeys(paths, 0x0000))
    assert check_what_came_back(archive, tap, tmp_path / "out", study) == set(files)


def test_is_told_that_it_calls_somebody_else(archive: RunningArchive) -> None:
    said = dcmjs(archive.port, called="SOMEBODY")
    assert said == {"refused": 'rejected {"result":1,"source":1,"reason":7}'}


def test_a_dataset_that_is_not_deflated_as_agreed_is_refused(
    archive: RunningArchive, tap: Tap
) -> None:
    """dcmjs-dimse proposes the deflated syntax and sends explicit little endian: unreadable."""
    path = FOLDER / "image_dfl.dcm"
    said = dcmjs(tap.port, files=[str(path)])
    assert list(said["stored"].values()) == [0xC000]
    (sent,) = tap.stored().values()
    assert sent.startswith(b"\x08\x00\x16\x00UI")  # the day it deflates, this test can go


def check_find(said: Any, patient_id: str, study: str) -> None:
    """The one answer is about the study of `two_patients`."""
    (found,) = said["found"]
    assert said["find"] == 0x0000
    assert found["PatientName"] == [{"Alphabetic": NAME}]
    assert (found["PatientID"], found["StudyInstanceUID"]) == (patient_id, study)
    assert found["ModalitiesInStudy"] == ["CT", "PT"]
    assert found["NumberOfStudyRelatedInstances"] == 2


def test_finds_the_study_by_a_name_beyond_ascii(archive: RunningArchive, tmp_path: Path) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    said = dcmjs(archive.port, files=[str(path) for path in paths], find=keys_for(patient_id))
    check_find(said, patient_id, study)


def test_gets_a_study_on_its_own_association(
    archive: RunningArchive, tap: Tap, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, ["CT_small.dcm", "MR_small.dcm"])
    run(archive, "import", *map(str, files.values()))  # dcmjs-dimse would send it implicit
    said = dcmjs(tap.port, get=study)
    assert said["get"] == {"status": 0x0000, "completed": 2, "failed": 0}
    assert set(said["got"]) == set(files)
    assert tap.given() == kept(archive, tmp_path / "out", study)


def test_has_a_study_moved_to_another_archive(
    archive: RunningArchive, tmp_path: Path, storescp: int
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    with destination(archive, "DCMJSDEST", storescp) as line:
        dcmjs(archive.port, files=[str(path) for path in files.values()])
        said = dcmjs(archive.port, move={"study": study, "destination": "DCMJSDEST"})
        assert said["move"] == {"status": 0x0000, "completed": len(files), "failed": 0}
        assert line.stored() == kept(archive, tmp_path / "out", study)


def test_asks_for_commitment_and_gets_its_report(archive: RunningArchive, tmp_path: Path) -> None:
    """For an object that is here, and for one that nobody has sent."""
    _, files = as_one_study(tmp_path, ["CT_small.dcm"])
    (here,), missing = files, new_uid()
    run(archive, "import", *map(str, files.values()))
    port, transaction = unused_port(), new_uid()
    with destination(archive, "DCMJSASKS", port):
        said = dcmjs(
            archive.port,
            calling="DCMJSASKS",
            commit={
                "transaction": transaction,
                "items": [[CT, here], [CT, missing]],
                "listen": port,
            },
        )
    assert (said["commit"], said["report"]["type"]) == (0x0000, 2)
    report = said["report"]["dataset"]
    assert report["TransactionUID"] == transaction
    (good,), (bad,) = report["ReferencedSOPSequence"], report["FailedSOPSequence"]
    assert good["ReferencedSOPInstanceUID"] == here
    assert (bad["ReferencedSOPInstanceUID"], bad["FailureReason"]) == (missing, 0x0112)


def pem(files: MadeFiles, authority: Path) -> dict[str, str]:
    """For the client's TLS."""
    return {"key": str(files.key), "cert": str(files.certificate), "ca": str(authority)}


def test_all_of_it_over_tls(
    archive: RunningArchive, certificates: Certificates, tmp_path: Path
) -> None:
    paths, patient_id, study = two_patients(tmp_path)
    tls = pem(certificates.client, certificates.authority)
    files = [str(path) for path in paths]
    said = dcmjs(tls_port(archive), files=files, find=keys_for(patient_id), tls=tls)
    assert (said["echo"], said["stored"]) == (0x0000, dict.fromkeys(files, 0x0000))
    check_find(said, patient_id, study)
    assert len(exported(archive, tmp_path / "out", study)) == 2


def test_a_certificate_of_an_unknown_authority_is_not_let_in(
    archive: RunningArchive, certificates: Certificates
) -> None:
    tls = pem(certificates.stranger, certificates.authority)
    assert "unknown ca" in dcmjs(tls_port(archive), tls=tls)["refused"]


@pytest.mark.parametrize(
    ("user", "let_in"),
    [
        ([USER, PASSWORD], True),
        ([USER, None], True),  # the node's own certificate vouches for the name
        ([USER, "not the password"], False),
        (["nobody", None], False),
        (None, False),
    ],
)
def test_a_node_that_has_to_name_a_user(
    archive: RunningArchive, certificates: Certificates, user: list[str | None] | None, let_in: bool
) -> None:
    tls = pem(certificates.client, certificates.authority)
    said = dcmjs(tls_port(archive), calling=WITH_USER, tls=tls, user=user)
    assert said.get("echo") == (0x0000 if let_in else None)
    assert ("refused" in said) is not let_in
