"""What a person types into the form, and what is asked of other archives for it."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.domain.remote import RemoteQuery
from tuipacs.domain.remote_keys import date_range, questions_of
from tuipacs.errors import UsageError

TODAY = dt.date(2026, 11, 22)


def keys(**fields: object) -> dict[str, str]:
    """Keyword to text, of the one question."""
    (question,) = questions_of(RemoteQuery(**fields), TODAY)  # type: ignore[arg-type]
    return {key.keyword: key.text for key in question}


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("doe", "doe*"),
        ("doe john", "doe*john*"),
        ("DOE^JO", "DOE^JO*"),
        ("doe, john", "doe^john*"),
        ("doe*", "doe*"),
        ("*doe", "*doe"),
        ("d?e", "d?e"),
        ('"DOE^JOHN"', "DOE^JOHN"),
        ("  doe  ", "doe*"),
        ("**doe**", "*doe*"),
    ],
)
def test_a_name_is_looked_for_at_its_beginning_unless_it_says_otherwise(
    typed: str, sent: str
) -> None:
    assert keys(patient_name=typed) == {"PatientName": sent}


@pytest.mark.parametrize(
    ("typed", "sent"), [("chest", "*chest*"), ("chest*", "chest*"), ('"CHEST W/O"', "CHEST W/O")]
)
def test_a_description_is_looked_for_anywhere(typed: str, sent: str) -> None:
    assert keys(study_description=typed) == {"StudyDescription": sent}


def test_ids_are_exact_unless_they_have_a_wildcard() -> None:
    assert keys(patient_id=" 4711 ", accession_number="A1*") == {
        "PatientID": "4711",
        "AccessionNumber": "A1*",
    }


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("today", "20261122"),
        ("yesterday", "20261121"),
        ("-7d", "20261115-"),
        ("-2w", "20261108-"),
        ("2026", "20260101-20261231"),
        ("202602", "20260201-20260228"),
        ("202402", "20240201-20240229"),
        ("2026-11-21", "20261121"),
        ("2026.11.21", "20261121"),
        ("20260101-", "20260101-"),
        ("-20260131", "-20260131"),
        ("20260101-20260131", "20260101-20260131"),
        ("2025-2026", "20250101-20261231"),
        ("2026-01-01-2026-01-31", "20260101-20260131"),
    ],
)
def test_dates_as_people_write_them(typed: str, sent: str) -> None:
    assert date_range(typed, TODAY) == sent


@pytest.mark.parametrize(
    "typed",
    ["soon", "-", "20261301", "20260230", "2026113", "20260131-20260101", "-99999d", "٢٠٢٦"],
)
def test_what_is_no_date_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        date_range(typed, TODAY)


@given(st.text(max_size=30))
def test_a_date_that_is_taken_is_one_that_dicom_knows(text: str) -> None:
    try:
        sent = date_range(text, TODAY)
    except UsageError:
        return
    assert condition_of("DA", sent) is not None


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (RemoteQuery(patient_name="*"), r"\* alone restricts nothing"),
        (RemoteQuery(modality="*", patient_id="*"), r"\* alone restricts nothing"),
        (RemoteQuery(), "the form is empty"),
        (RemoteQuery(study_date="-10000d"), "-10000d is too long ago"),
        (RemoteQuery(study_date="soon"), "a date is one of"),
    ],
)
def test_a_refusal_says_what_is_wrong(query: RemoteQuery, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        questions_of(query, TODAY)


def test_several_modalities_are_several_questions() -> None:
    """Only UIDs match as lists (PS3.4 C.2.2.2.2); at series level it is another attribute."""
    found = questions_of(RemoteQuery(modality="ct, MR ct", patient_id="1"), TODAY)
    assert [[key.text for key in question] for question in found] == [["1", "CT"], ["1", "MR"]]
    series = RemoteQuery(level=Level.SERIES, modality="CT", study_instance_uids=("1.2",))
    ((_, modality),) = questions_of(series, TODAY)
    assert modality.keyword == "Modality"


@pytest.mark.parametrize(
    "query",
    [
        RemoteQuery(),
        RemoteQuery(patient_name="*"),
        RemoteQuery(patient_name="a\\b"),
        RemoteQuery(patient_name="a\x1b[2J"),
        RemoteQuery(patient_id="x" * 65),
        RemoteQuery(modality="CT;DROP"),
        RemoteQuery(study_instance_uids=("1.2*",)),
        RemoteQuery(series_instance_uids=("1.2",)),
        RemoteQuery(level=Level.PATIENT, patient_id="1"),
        RemoteQuery(level=Level.SERIES),
        RemoteQuery(level=Level.SERIES, study_instance_uids=("1.2", "1.3")),
        RemoteQuery(level=Level.SERIES, study_instance_uids=("1.2",), patient_name="doe"),
        RemoteQuery(level=Level.INSTANCE, study_instance_uids=("1.2",)),
    ],
)
def test_what_cannot_be_asked_is_refused(query: RemoteQuery) -> None:
    """Nothing at all, values that are two, levels without what stands above them."""
    with pytest.raises(UsageError):
        questions_of(query, TODAY)
