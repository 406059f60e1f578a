"""Where an object belongs: its patient, study and series, found or made.

A patient is a PatientID with its issuer; without an ID each study is a patient of its own, for
nobody may be merged by accident. A study is its UID under one patient: if the same UID comes with
another patient, there are two rows, both flagged, and no name stands over another's pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import astuple

from tuipacs.domain.attributes import (
    IndexedAttributes,
    PatientAttributes,
    SeriesAttributes,
)
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.query import fold
from tuipacs.domain.records import Flag
from tuipacs.index import counters, gaps, search
from tuipacs.index.database import Transaction
from tuipacs.index.flags import BIT
from tuipacs.index.sorting import sort_date_of, sort_number


@dataclass(frozen=True)
class Arrival:
    """What is written of one object."""

    attributes: IndexedAttributes
    blob: StoredBlob
    calling_ae_title: str
    at: float


class Place(NamedTuple):
    """The rows an object belongs to, as they were before it."""

    patient: int
    patient_modalities: str
    patient_received_at: float
    study: int
    study_modalities: str
    study_received_at: float
    calling_ae_title: str
    series: int
    modality: str
    flags: int  # that this object brings to the rows above it


_KNOWN_PLACE = (
    "SELECT p.id, p.modalities, p.received_at, st.id, st.modalities, st.received_at,"
    f" st.calling_ae_title, s.id, s.modality, st.sop_classes, {gaps.COLUMNS}"
    " FROM series s CROSS JOIN study st ON st.id = s.study"
    " CROSS JOIN patient p ON p.id = st.patient"  # CROSS: in this order
    " WHERE s.series_instance_uid = ? AND st.study_instance_uid = ? AND p.identity = ?"
)


def known_place(tx: Transaction, arrival: Arrival) -> Place | None:
    """Where an object of a known series belongs, by one query: nearly all are such."""
    attributes = arrival.attributes
    study_instance_uid = attributes.study.study_instance_uid
    row = tx.one(
        _KNOWN_PLACE,
        (
            attributes.series.series_instance_uid,
            study_instance_uid,
            identity_of(attributes.patient, study_instance_uid),
        ),
    )
    if row is None:
        return None
    _note_sop_class(tx, row[3], row[9], attributes.instance.sop_class_uid)
    gaps.fill(tx, (row[0], row[3], row[7]), row[10:], attributes)
    known_person = row[-len(gaps.PATIENT_FIELDS) :]
    return Place._make((*row[:9], _flags_of_person(attributes.patient, known_person)))


def new_place(tx: Transaction, arrival: Arrival) -> Place:
    """Where an object belongs, with the rows that it is the first to need."""
    patient, flags, patient_modalities, patient_at = _patient(tx, arrival)
    study, flags, study_modalities, calling, study_at = _study(tx, arrival, patient, flags)
    series, modality = _series(tx, arrival, patient, study)
    return Place(
        patient,
        patient_modalities,
        patient_at,
        study,
        study_modalities,
        study_at,
        calling,
        series,
        modality,
        flags,
    )


def identity_of(patient: PatientAttributes, study_instance_uid: str) -> str:
    """What makes two objects one patient's. The length keeps ID and issuer apart in any case."""
    patient_id, issuer = patient.patient_id, patient.issuer_of_patient_id
    if patient_id:
        return f"id {len(patient_id)} {patient_id} {issuer}"
    return f"study {study_instance_uid}"


def _flags_of_person(patient: PatientAttributes, known: Sequence[str]) -> int:
    """What one object says against the ``known`` name, birth date and sex (the first three).

    Only this object's own mismatch: a study whose names agree is not under suspicion.
    """
    flags = 0 if patient.patient_id else BIT[Flag.NO_PATIENT_ID]
    if gaps.contradicts(
        known, (patient.patient_name, patient.patient_birth_date, patient.patient_sex)
    ):
        flags |= BIT[Flag.PATIENT_MISMATCH]
    return flags


def _patient(tx: Transaction, arrival: Arrival) -> tuple[int, int, str, float]:
    """(key, flags, modalities and time before this object)."""
    patient = arrival.attributes.patient
    study = arrival.attributes.study
    identity = identity_of(patient, study.study_instance_uid)
    row = tx.one(
        f"SELECT id, modalities, received_at, {', '.join(gaps.PATIENT_FIELDS)}"
        " FROM patient WHERE identity = ?",
        (identity,),
    )
    if row is not None:
        gaps.fill_patient(tx, row[0], row[3:], arrival.attributes)
        return row[0], _flags_of_person(patient, row[3:]), row[1], row[2]
    without_id = 0 if patient.patient_id else BIT[Flag.NO_PATIENT_ID]
    second = counters.to_the_second(arrival.at)
    key = tx.insert(
        "INSERT INTO patient (identity, patient_id, issuer_of_patient_id, patient_name,"
        " patient_birth_date, patient_sex, other_patient_ids, patient_comments, sort_name, sort_id,"
        " sort_date, received_at, modalities, flags)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)",
        (
            identity,
            patient.patient_id,
            patient.issuer_of_patient_id,
            patient.patient_name,
            patient.patient_birth_date,
            patient.patient_sex,
            patient.other_patient_ids,
            patient.patient_comments,
            fold(patient.patient_name),
            fold(patient.patient_id),
            sort_date_of(study),
            second,
            without_id,
        ),
    )
    tx.execute("UPDATE total SET patients = patients + 1")
    return key, without_id, "", second


def _note_sop_class(tx: Transaction, study: int, known: str, sop_class_uid: str) -> None:
    if sop_class_uid != known and sop_class_uid not in known.split("\\"):
        classes = "\\".join(sorted({*known.split("\\"), sop_class_uid}))
        tx.execute("UPDATE study SET sop_classes = ? WHERE id = ?", (classes, study))


_INSERT_STUDY = (
    "INSERT INTO study (patient, study_instance_uid, sort_name, sort_id, sort_date,"
    " first_received_at, received_at, calling_ae_title, sop_classes, flags, modalities,"
    f" {', '.join(gaps.STUDY_FIELDS)}) VALUES"
    f" (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', {', '.join('?' * len(gaps.STUDY_FIELDS))})"
)


def _study(
    tx: Transaction, arrival: Arrival, patient: int, patient_flags: int
) -> tuple[int, int, str, str, float]:
    """(key, flags, modalities, calling AE title and time before this object)."""
    study = arrival.attributes.study
    person = arrival.attributes.patient
    row = tx.one(
        "SELECT id, modalities, calling_ae_title, received_at, sop_classes,"
        f" {', '.join(gaps.STUDY_FIELDS)} FROM study WHERE study_instance_uid = ? AND patient = ?",
        (study.study_instance_uid, patient),
    )
    sop_class = arrival.attributes.instance.sop_class_uid
    if row is not None:
        _note_sop_class(tx, row[0], row[4], sop_class)
        gaps.fill_study(tx, patient, row[0], row[5:], arrival.attributes)
        return row[0], patient_flags, *row[1:4]
    others = [
        other[0]
        for other in tx.execute(
            "SELECT id FROM study WHERE study_instance_uid = ?", (study.study_instance_uid,)
        )
    ]
    flags = patient_flags | (BIT[Flag.UID_SHARED] if others else 0)
    for other in others:
        counters.flag_study(tx, other, BIT[Flag.UID_SHARED])
    sort_date = sort_date_of(study)
    second = counters.to_the_second(arrival.at)
    key = tx.insert(
        _INSERT_STUDY,
        (
            patient,
            study.study_instance_uid,
            fold(person.patient_name),
            fold(person.patient_id),
            sort_date,
            second,
            second,
            arrival.calling_ae_title,
            sop_class,
            flags,
            *gaps.of_study(arrival.attributes),
        ),
    )
    found_by = search.searchable(person, study, arrival.calling_ae_title)
    search.insert(tx, key, patient, second, sort_date, flags, found_by)
    tx.execute(
        "UPDATE patient SET studies = studies + 1, sort_date = max(sort_date, ?) WHERE id = ?",
        (sort_date, patient),
    )
    tx.execute("UPDATE total SET studies = studies + 1")
    return key, flags, "", arrival.calling_ae_title, second


_SERIES_FIELDS = SeriesAttributes.__struct_fields__
_INSERT_SERIES = (
    f"INSERT INTO series (study, sort_number, received_at, {', '.join(_SERIES_FIELDS)})"
    f" VALUES ({', '.join('?' * (3 + len(_SERIES_FIELDS)))})"
)


def _series(tx: Transaction, arrival: Arrival, patient: int, study: int) -> tuple[int, str]:
    """(key, modality): a series has the modality of its first object, whatever others claim."""
    series = arrival.attributes.series
    row = tx.one(
        "SELECT id, modality FROM series WHERE series_instance_uid = ? AND study = ?",
        (series.series_instance_uid, study),
    )
    if row is not None:
        return row[0], row[1]
    key = tx.insert(
        _INSERT_SERIES,
        (study, sort_number(series.series_number), arrival.at, *astuple(series)),
    )
    tx.execute("UPDATE study SET series = series + 1 WHERE id = ?", (study,))
    tx.execute("UPDATE patient SET series = series + 1 WHERE id = ?", (patient,))
    tx.execute("UPDATE total SET series = series + 1")
    tx.execute(
        "INSERT INTO modality_use VALUES (?, 1, 0, 0)"
        " ON CONFLICT (modality) DO UPDATE SET series = series + 1",
        (series.modality,),
    )
    return key, series.modality
