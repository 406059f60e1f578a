"""Answers to C-FIND are read within bounds, whatever a peer sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.builders import dataset_bytes, make_dataset
from tuipacs.dicom.match_reader import MAX_TEXT, MatchReader
from tuipacs.errors import InvalidObjectError

NAME, PATIENT_ID, STUDY_UID, COUNT = 0x00100010, 0x00100020, 0x0020000D, 0x00201208
READER = MatchReader({NAME: "PN", PATIENT_ID: "LO", STUDY_UID: "UI", COUNT: "IS"})


def match(**keywords: object) -> Dataset:
    return make_dataset(pixels=False, **keywords)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_texts_come_without_padding(syntax: str) -> None:
    answer = match(PatientID=" P-1 ", NumberOfStudyRelatedInstances="12 ", StudyInstanceUID="1.2.3")
    found = READER.read(dataset_bytes(answer, syntax), syntax)
    assert found == {NAME: "TEST^PATIENT", PATIENT_ID: "P-1", STUDY_UID: "1.2.3", COUNT: "12"}


def test_what_an_answer_lacks_is_left_out() -> None:
    answer = match(PatientID=None, PatientName=None, StudyInstanceUID=None)
    assert READER.read(dataset_bytes(answer), ExplicitVRLittleEndian) == {}


def test_the_character_set_of_the_node_counts_where_none_is_named() -> None:
    answer = match(SpecificCharacterSet="ISO_IR 144", PatientName="Иванов^Иван")
    data = dataset_bytes(answer)
    named = READER.read(data, ExplicitVRLittleEndian, "ISO_IR 100")
    unnamed = data.replace(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 144", b"")
    assumed = READER.read(unnamed, ExplicitVRLittleEndian, "ISO_IR 144")
    assert named[NAME] == assumed[NAME] == "Иванов^Иван"


def test_a_value_without_end_is_cut() -> None:
    data = b"\x10\x00\x20\x00LO" + (60_000).to_bytes(2, "little") + b"P" * 60_000
    assert len(READER.read(data, ExplicitVRLittleEndian)[PATIENT_ID]) == MAX_TEXT


@given(st.binary(max_size=400))
def test_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = READER.read(data, ExplicitVRLittleEndian)
    except InvalidObjectError:
        return
    assert set(found) <= {NAME, PATIENT_ID, STUDY_UID, COUNT}


@given(st.integers(0, 400))
def test_an_answer_that_is_cut_off_is_no_answer(end: int) -> None:
    """A value that is shorter than it says would be another value."""
    whole = dataset_bytes(match(PatientComments=None))
    try:
        found = READER.read(whole[:end], ExplicitVRLittleEndian)
    except InvalidObjectError:
        return
    complete = READER.read(whole, ExplicitVRLittleEndian)
    assert all(complete[tag] == text for tag, text in found.items())
