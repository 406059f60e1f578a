"""What is sent: real files in many transfer syntaxes, under UIDs that no other test sends."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from tests.bundled import FOLDER
from tests.e2e.daemon_fixture import RunningArchive
from tests.e2e.proof import dataset_of, export
from tests.interop.tap import Tap
from tuipacs.domain.uid import new_uid

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


def check_what_came_back(archive: RunningArchive, tap: Tap, folder: Path, study: str) -> set[str]:
    """Everything that went over the wire comes back byte for byte; the UIDs of it."""
    back = exported(archive, folder, study)
    assert {uid: dataset_of(path.read_bytes()) for uid, path in back.items()} == tap.stored()
    return set(back)


def read(part10: Path) -> Dataset:
    """The dataset of a file."""
    return pydicom.dcmread(BytesIO(part10.read_bytes()))
