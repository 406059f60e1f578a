"""What is sent: real files in many transfer syntaxes, under UIDs that no other test sends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.builders import make_dataset, part10_bytes
from tests.bundled import FOLDER
from tests.e2e.daemon_fixture import RunningArchive
from tests.e2e.proof import dataset_of, export
from tests.interop.tap import Tap
from tuipacs.certificates.making import MadeFiles
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.domain.uid import new_uid
from tuipacs.schema import operations
from tuipacs.schema.node_messages import NodeAddRequest, NodeRemoveRequest

USER = "vera"
WITH_USER = "WITHUSER"
"""A node that has to show the client's certificate and to name a user."""


@dataclass(frozen=True)
class Certificates:
    """For TLS; ``stranger`` is issued by an authority that the archive does not know."""

    authority: Path
    archive: MadeFiles
    client: MadeFiles
    stranger: MadeFiles


ANY = {
    "explicit little endian": "CT_small.dcm",
    "implicit little endian": "MR_small_implicit.dcm",
    "explicit big endian": "MR_small_bigendian.dcm",
    "JPEG baseline": "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG extended": "JPGExtended.dcm",
    "JPEG-LS lossless": "MR_small_jpeg_ls_lossless.dcm",
    "JPEG-LS near lossless": "JPEGLSNearLossless_08.dcm",
    "JPEG 2000 lossless": "MR_small_jp2klossless.dcm",
    "JPEG 2000": "JPEG2000.dcm",
    "RLE": "MR_small_RLE.dcm",
    "a structured report": "test-SR.dcm",
    "a waveform": "waveform_ecg.dcm",
}
"""One file of each transfer syntax, and two that are no pictures."""


def tls_port(archive: RunningArchive) -> int:
    """Where it listens for TLS."""
    assert archive.health is not None and archive.health.tls is not None
    return archive.health.tls.port


def as_one_study(folder: Path, names: Sequence[str]) -> tuple[str, dict[str, Path]]:
    """Copies of bundled files with new UIDs in one new study: its UID, SOP Instance UID to path."""
    study, written = new_uid(), {}
    for name in names:
        dataset = pydicom.dcmread(FOLDER / name)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, new_uid()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
        dataset.PatientID, dataset.PatientName = f"INTEROP-{study[-12:]}", "Interop^Test"
        path = folder / f"{len(written)}.dcm"
        dataset.save_as(path)
        written[str(dataset.SOPInstanceUID)] = path
    return study, written


def exported(archive: RunningArchive, folder: Path, study: str) -> dict[str, Path]:
    """What ``tuipacs export`` writes for a study, by SOP Instance UID."""
    return {one.sop_instance_uid: one.path for one in export(archive, folder, [study])}


def kept(archive: RunningArchive, folder: Path, study: str) -> dict[str, bytes]:
    """The datasets of a study as the archive keeps them, by SOP Instance UID."""
    files = exported(archive, folder, study)
    return {uid: dataset_of(path.read_bytes()) for uid, path in files.items()}


@contextmanager
def destination(archive: RunningArchive, ae_title: str, port: int) -> Iterator[Tap]:
    """A node that the archive may send to, with a tap on the line to the program at ``port``."""
    line = Tap(port)
    connection = archive.connect()
    call = NodeCall(host="127.0.0.1", port=line.port, services=tuple(CallService))
    request = NodeAddRequest(ae_title=ae_title, address="", services=GIVEN_SERVICES, call=call)
    node = connection.call(operations.NODE_ADD, request)
    try:
        yield line
    finally:
        connection.call(operations.NODE_REMOVE, NodeRemoveRequest(key=node.key))
        line.close()


def check_what_came_back(archive: RunningArchive, tap: Tap, folder: Path, study: str) -> set[str]:
    """Everything that went over the wire comes back byte for byte; the UIDs of it."""
    back = kept(archive, folder, study)
    assert back == tap.stored()
    return set(back)


NAME = "Müller^Jürgen"


def two_patients(folder: Path) -> tuple[list[Path], str, str]:
    """Files of one study of `NAME`, a CT and a PET, and of a study of somebody else.

    Returns them, and the patient ID and the Study Instance UID of `NAME`.
    """
    paths = []
    for name, charset, modalities in (
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ISO_IR 192", ("CT",)),
        (NAME, "ISO_IR 100", ("CT", "PT")),
    ):
        study = new_uid()
        for modality in modalities:
            dataset = make_dataset(
                SpecificCharacterSet=charset,
                PatientName=name,
                PatientID=study[-12:],
                StudyInstanceUID=study,
                Modality=modality,
            )
            paths.append(folder / f"{len(paths)}.dcm")
            paths[-1].write_bytes(part10_bytes(dataset))
    return paths, study[-12:], study


def keys_for(patient_id: str) -> dict[str, str]:
    """Matching keys in UTF-8, in another case than what is stored, and keys to return."""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "QueryRetrieveLevel": "STUDY",
        "PatientName": "mÜll*",
        "PatientID": patient_id,
        "StudyInstanceUID": "",
        "ModalitiesInStudy": "",
        "NumberOfStudyRelatedInstances": "",
    }
