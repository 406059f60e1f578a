"""What the identifier of a C-MOVE or C-GET names, and what failed as it is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT, answer, identifier
from tuipacs.dicom.failed_list import encode_failed_list
from tuipacs.dicom.retrieve_identifier import RetrieveKeys, read_retrieve_identifier
from tuipacs.domain.find import PATIENT_ROOT, STUDY_ROOT
from tuipacs.domain.level import Level
from tuipacs.errors import InvalidQueryError, QueryModelError

STUDY, SERIES, IMAGE = 0x0020000D, 0x0020000E, 0x00080018


def read(
    level: str = "STUDY", model: Any = STUDY_ROOT, syntax: str = EXPLICIT, **keys: object
) -> RetrieveKeys:
    relational = bool(keys.pop("relational", False))
    data = identifier(level, syntax, **keys)
    return read_retrieve_identifier(data, syntax, model, is_relational=relational)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_a_list_of_uids_is_taken_at_the_level_itself(syntax: str) -> None:
    keys = read(
        "IMAGE",
        syntax=syntax,
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        SOPInstanceUID=["1.2.3.5", "1.2.3.4"],
    )
    assert keys.level is Level.INSTANCE
    assert (keys.studies, keys.series) == (("1.2",), ("1.2.3",))
    assert keys.instances == ("1.2.3.4", "1.2.3.5")
    assert (keys.patient_id, keys.issuer) == (None, None)


def test_a_patient_is_an_id_and_its_issuer() -> None:
    keys = read("PATIENT", PATIENT_ROOT, PatientID="P 1 ", IssuerOfPatientID="US")
    assert (keys.patient_id, keys.issuer) == ("P 1", "US")
    keys = read("PATIENT", PATIENT_ROOT, PatientID="P", IssuerOfPatientID="")
    assert (keys.patient_id, keys.issuer) == ("P", None)


def test_keys_that_name_nothing_are_passed_over() -> None:
    keys = read(StudyInstanceUID="1.2", PatientName="DOE*", StudyDate="20240101-", PatientSex="")
    assert keys.studies == ("1.2",)


def test_a_patient_id_restricts_a_study_root_retrieve_too() -> None:
    assert read(StudyInstanceUID="1.2", PatientID="P").patient_id == "P"


@pytest.mark.parametrize(
    ("keys", "tag"),
    [
        ({}, STUDY),
        ({"StudyInstanceUID": ""}, STUDY),
        ({"level": "SERIES", "SeriesInstanceUID": "1"}, STUDY),
        ({"level": "SERIES", "StudyInstanceUID": "1"}, SERIES),
        ({"level": "SERIES", "StudyInstanceUID": ["1", "2"], "SeriesInstanceUID": "3"}, STUDY),
        ({"StudyInstanceUID": "1", "SOPInstanceUID": "1.2"}, IMAGE),
        ({"StudyInstanceUID": "1", "Modality": "CT"}, 0x00080060),
        ({"StudyInstanceUID": "1", "PatientID": "P?"}, 0x00100020),
        ({"model": PATIENT_ROOT, "level": "PATIENT", "PatientID": "*"}, 0x00100020),
        ({"level": "PATIENT", "PatientID": "P"}, 0x00080052),
        ({"level": "", "StudyInstanceUID": "1"}, 0x00080052),
    ],
)
def test_what_names_nothing_is_refused_with_its_tag(keys: dict[str, Any], tag: int) -> None:
    with pytest.raises(QueryModelError) as refused:
        read(**keys)
    assert refused.value.tag == tag


def test_only_a_relational_retrieve_may_lack_what_is_above() -> None:
    keys = read("IMAGE", SOPInstanceUID=["1.2", "1.3"], relational=True)
    assert keys.instances == ("1.2", "1.3")
    with pytest.raises(QueryModelError):
        read("IMAGE", SOPInstanceUID="1.2")
    with pytest.raises(QueryModelError):
        read("IMAGE", StudyInstanceUID="1.2", relational=True)
    with pytest.raises(QueryModelError):
        read("STUDY", StudyInstanceUID="1.2", Modality="CT", relational=True)


@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, EXPLICIT, BIG]), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, syntax: str, relational: bool) -> None:
    try:
        keys = read_retrieve_identifier(data, syntax, STUDY_ROOT, is_relational=relational)
    except InvalidQueryError:
        return
    assert keys.studies or keys.series or keys.instances


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("count", [1, 2, 3000])
def test_a_list_of_failures_is_read_by_others(syntax: str, count: int) -> None:
    """Also one that is too long for the VR of UIDs."""
    uids = [f"1.2.840.113619.2.404.3.{10**39 + number}" for number in range(count)]
    told = answer(encode_failed_list("\\".join(uids).encode(), syntax), syntax)
    found = told.FailedSOPInstanceUIDList
    if isinstance(found, bytes):  # pydicom leaves an UN of that size as it is
        found = found.decode().rstrip("\0").split("\\")
    assert ([found] if isinstance(found, str) else list(found)) == uids
