"""The builders themselves: a test that leans on a wrong file proves nothing."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.builders import dataset_bytes, make_dataset, make_study, part10_bytes


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_a_part_10_file_reads_back_with_the_syntax_asked_for(transfer_syntax: str) -> None:
    dataset = make_dataset(PatientName="Ångström^Änne")
    read = dcmread(BytesIO(part10_bytes(dataset, transfer_syntax)))
    assert read.file_meta.TransferSyntaxUID == transfer_syntax
    assert read.PatientName == "Ångström^Änne"
    assert read.SOPInstanceUID == dataset.SOPInstanceUID


def test_the_dataset_bytes_are_the_end_of_the_file() -> None:
    dataset = make_dataset()
    data = dataset_bytes(dataset)
    assert part10_bytes(dataset).endswith(data)
    assert data[:4] == b"\x08\x00\x05\x00"


def test_a_study_has_one_uid_and_numbers_from_one() -> None:
    study = make_study(2, 3, PatientID="X")
    assert len({o.StudyInstanceUID for o in study}) == 1
    assert len({o.SeriesInstanceUID for o in study}) == 2
    assert len({o.SOPInstanceUID for o in study}) == 6
    assert [(int(o.SeriesNumber), int(o.InstanceNumber)) for o in study][-1] == (2, 3)


def test_none_removes_an_attribute() -> None:
    assert "PatientID" not in make_dataset(PatientID=None)
