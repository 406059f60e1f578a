"""What the first object of a patient, study or series left empty is taken from a later one.

A structured report that comes first often has no accession number or description; without this no
query by them would ever find the study. A value that is there stays, whatever others say
(docs/adr/0004).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from types import MappingProxyType
from typing import Any

from msgspec.structs import astuple, replace

from tuipacs.domain.attributes import (
    IndexedAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.query import fold
from tuipacs.index import search
from tuipacs.index.database import Transaction
from tuipacs.index.sorting import sort_date_of, sort_number

# All but what identifies the row; the modality of a series is counted, and stays.
PATIENT_FIELDS = PatientAttributes.__struct_fields__[2:]
_OWN_STUDY_FIELDS = StudyAttributes.__struct_fields__[1:]
STUDY_FIELDS = _OWN_STUDY_FIELDS + PATIENT_FIELDS
SERIES_FIELDS = SeriesAttributes.__struct_fields__[2:]
_PERSON_AT = len(_OWN_STUDY_FIELDS)
_SERIES_AT = len(STUDY_FIELDS)
_PATIENT_AT = len(STUDY_FIELDS) + len(SERIES_FIELDS)
_DATE_OF = MappingProxyType(
    {
        "study_time": "study_date",
        "series_time": "series_date",
        "performed_procedure_step_start_time": "performed_procedure_step_start_date",
    }
)
_SEARCHED = frozenset(
    (
        *("patient_name", "accession_number", "study_description", "referring_physician_name"),
        *("study_date", "study_time"),
    )
)

COLUMNS = ", ".join(
    (
        *(f"st.{field}" for field in STUDY_FIELDS),
        *(f"s.{field}" for field in SERIES_FIELDS),
        *(f"p.{field}" for field in PATIENT_FIELDS),
    )
)


def contradicts(known: Sequence[str], said: Sequence[str]) -> bool:
    """Whether name, birth date or sex differ: the first three of `PATIENT_FIELDS`."""
    return any(
        old and new and old != new and fold(old) != fold(new)
        for old, new in zip(known[:3], said[:3], strict=True)
    )


def of_study(attributes: IndexedAttributes) -> tuple[str, ...]:
    """What one object says of `STUDY_FIELDS`."""
    return (*astuple(attributes.study)[1:], *astuple(attributes.patient)[2:])


def fill(
    tx: Transaction, keys: tuple[int, int, int], known: Sequence[str], own: IndexedAttributes
) -> None:
    """Fill what is empty in the rows (patient, study, series) whose `COLUMNS` are ``known``."""
    said = (*of_study(own), *astuple(own.series)[2:], *astuple(own.patient)[2:])
    if known == said or all(old or not new for new, old in zip(said, known, strict=True)):
        return  # nearly always
    patient, study, series = keys
    fill_patient(tx, patient, known[_PATIENT_AT:], own)
    fill_study(tx, patient, study, known[:_SERIES_AT], own)
    news = _news(SERIES_FIELDS, known[_SERIES_AT:_PATIENT_AT], astuple(own.series)[2:])
    if number := news.get("series_number"):
        news["sort_number"] = sort_number(number)
    _update(tx, "series", series, news)


def fill_patient(
    tx: Transaction, patient: int, known: Sequence[str], own: IndexedAttributes
) -> None:
    """Fill what is empty of `PATIENT_FIELDS`, now ``known``, unless it may be another person."""
    said = astuple(own.patient)[2:]
    if contradicts(known, said):
        return
    news = _news(PATIENT_FIELDS, known, said)
    if name := news.get("patient_name"):
        news["sort_name"] = fold(name)
    _update(tx, "patient", patient, news)


def fill_study(
    tx: Transaction, patient: int, study: int, known: Sequence[str], own: IndexedAttributes
) -> None:
    """Fill what is empty of `STUDY_FIELDS`, now ``known``, and make it found by that."""
    fields, said = STUDY_FIELDS, of_study(own)
    if contradicts(known[_PERSON_AT:], said[_PERSON_AT:]):  # no two people's mixture
        fields, said = fields[:_PERSON_AT], said[:_PERSON_AT]
    news = _news(fields, known[: len(fields)], said)
    if not _SEARCHED.isdisjoint(news):
        now = dict(zip(STUDY_FIELDS, known, strict=True)) | news
        person = replace(own.patient, **{field: now[field] for field in PATIENT_FIELDS})
        whole = replace(own.study, **{field: now[field] for field in _OWN_STUDY_FIELDS})
        sort_date = sort_date_of(whole)
        search.set_texts(tx, study, sort_date, search.searchable(person, whole, ""))
        news |= {"sort_name": fold(person.patient_name), "sort_date": sort_date}
        tx.execute(
            "UPDATE patient SET sort_date = max(sort_date, ?) WHERE id = ?", (sort_date, patient)
        )
    _update(tx, "study", study, news)


def _news(fields: Sequence[str], known: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    """The fields that were empty and have a value now. A time comes with the date it is of."""
    is_new = [bool(new) and not old for new, old in zip(said, known, strict=True)]
    found: dict[str, Any] = dict(compress(zip(fields, said, strict=True), is_new))
    for time in _DATE_OF.keys() & found.keys():
        at = fields.index(_DATE_OF[time])
        if known[at] and known[at] != said[at]:
            del found[time]
    return found


def _update(tx: Transaction, table: str, key: int, news: dict[str, Any]) -> None:
    if news:
        columns = ", ".join(f"{column} = ?" for column in news)
        tx.execute(f"UPDATE {table} SET {columns} WHERE id = ?", (*news.values(), key))
