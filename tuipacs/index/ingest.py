"""One object enters the index: its rows and the change, in the caller's transaction.

A patient is a PatientID with its issuer; without an ID each study is a patient of its own, for
nobody may be merged by accident. A study is its UID under one patient: if the same UID comes with
another patient, there are two rows, both flagged, and no name stands over another's pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import astuple

from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.query import fold
from tuipacs.domain.records import Flag
from tuipacs.index import counters, search
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.flags import BIT

_NO_ID = "PatientID is missing"  # a remark of the attribute reader that has a flag of its own


@dataclass(frozen=True)
class Arrival:
    """What is written of one object."""

    attributes: IndexedAttributes
    blob: StoredBlob
    calling_ae_title: str
    at: float


def versions(reader: Reader, sop_instance_uid: str) -> frozenset[bytes]:
    """SHA-256 of the datasets that are kept under a SOP Instance UID."""
    rows = reader.all(
        "SELECT dataset_sha256 FROM instance WHERE sop_instance_uid = ?", (sop_instance_uid,)
    )
    return frozenset(row[0] for row in rows)


def add(tx: Transaction, arrival: Arrival) -> IngestResult:
    """Insert all rows of one object, unless the same bytes are kept under its UID already."""
    instance = arrival.attributes.instance
    kept = versions(tx, instance.sop_instance_uid)
    if arrival.blob.dataset_sha256 in kept:
        return IngestResult.DUPLICATE
    others = len(kept)
    flags = BIT[Flag.CONFLICT] if others else 0
    if any(remark != _NO_ID for remark in arrival.attributes.remarks):
        flags |= BIT[Flag.REMARK]
    patient, patient_flags, patient_modalities = _patient(tx, arrival)
    study, study_flags, study_modalities, calling_ae_title = _study(
        tx, arrival, patient, patient_flags
    )
    series, modality = _series(tx, arrival, patient, study)
    above = (patient, study, series)
    news = counters.ALL_NEW
    if others:
        news = counters.news_to(tx, instance.sop_instance_uid, above)
    instance_id = _instance(tx, arrival, series, others + 1, flags)
    if others:
        counters.flag_versions(tx, instance.sop_instance_uid)
    counters.count(
        tx,
        above,
        news,
        flags=flags | study_flags,
        size=arrival.blob.header_size + arrival.blob.dataset_size,
        modality=modality,
        at=arrival.at,
    )
    counters.note_modality(tx, "patient", patient, patient_modalities, modality)
    if merged := counters.note_modality(tx, "study", study, study_modalities, modality):
        search.set_modalities(tx, study, merged)
    if calling_ae_title != arrival.calling_ae_title:
        search.set_calling_ae(tx, study, arrival.calling_ae_title)
        tx.execute(
            "UPDATE study SET calling_ae_title = ? WHERE id = ?", (arrival.calling_ae_title, study)
        )
    tx.execute(
        "INSERT INTO change (at, kind, patient, study, series, instance) VALUES (?, ?, ?, ?, ?, ?)",
        (arrival.at, "conflict" if others else "stored", patient, study, series, instance_id),
    )
    return IngestResult.CONFLICT if others else IngestResult.STORED


def identity_of(patient: PatientAttributes, study_instance_uid: str) -> str:
    """What makes two objects one patient's. The length keeps ID and issuer apart in any case."""
    patient_id, issuer = patient.patient_id, patient.issuer_of_patient_id
    if patient_id:
        return f"id {len(patient_id)} {patient_id} {issuer}"
    return f"study {study_instance_uid}"


def sort_date_of(study: StudyAttributes) -> str:
    """Date and time as digits that sort; "" without a date (20240131, or 2024.01.31 of old)."""
    date = study.study_date.replace(".", "")
    if len(date) != 8 or not (date.isascii() and date.isdigit()):
        return ""
    return date + study.study_time.replace(":", "")


def _patient(tx: Transaction, arrival: Arrival) -> tuple[int, int, str]:
    patient = arrival.attributes.patient
    study = arrival.attributes.study
    identity = identity_of(patient, study.study_instance_uid)
    without_id = 0 if patient.patient_id else BIT[Flag.NO_PATIENT_ID]
    row = tx.one(
        "SELECT id, patient_name, patient_birth_date, patient_sex, modalities"
        " FROM patient WHERE identity = ?",
        (identity,),
    )
    if row is not None:
        mismatch = any(
            old and new and fold(old) != fold(new)
            for old, new in zip(
                row[1:4],
                (patient.patient_name, patient.patient_birth_date, patient.patient_sex),
                strict=True,
            )
        )
        # Only this object's own mismatch: a study whose names agree is not under suspicion.
        return row[0], without_id | (BIT[Flag.PATIENT_MISMATCH] if mismatch else 0), row[4]
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
            arrival.at,
            without_id,
        ),
    )
    tx.execute("UPDATE total SET patients = patients + 1")
    return key, without_id, ""


def _study(
    tx: Transaction, arrival: Arrival, patient: int, patient_flags: int
) -> tuple[int, int, str, str]:
    """(key, flags, modalities and calling AE title before this object)."""
    study = arrival.attributes.study
    person = arrival.attributes.patient
    row = tx.one(
        "SELECT id, modalities, sop_classes, calling_ae_title FROM study"
        " WHERE study_instance_uid = ? AND patient = ?",
        (study.study_instance_uid, patient),
    )
    sop_class = arrival.attributes.instance.sop_class_uid
    if row is not None:
        if sop_class not in row[2].split("\\"):
            classes = "\\".join(sorted({*row[2].split("\\"), sop_class}))
            tx.execute("UPDATE study SET sop_classes = ? WHERE id = ?", (classes, row[0]))
        return row[0], patient_flags, row[1], row[3]
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
    key = tx.insert(
        "INSERT INTO study (patient, study_instance_uid, patient_name, patient_birth_date,"
        " patient_sex, study_date, study_time, accession_number, study_id, study_description,"
        " referring_physician_name, name_of_physicians_reading_study, patient_age, patient_size,"
        " patient_weight, admission_id, sort_name, sort_id, sort_date, first_received_at,"
        " received_at, calling_ae_title, modalities, sop_classes, flags) VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)",
        (
            patient,
            study.study_instance_uid,
            person.patient_name,
            person.patient_birth_date,
            person.patient_sex,
            study.study_date,
            study.study_time,
            study.accession_number,
            study.study_id,
            study.study_description,
            study.referring_physician_name,
            study.name_of_physicians_reading_study,
            study.patient_age,
            study.patient_size,
            study.patient_weight,
            study.admission_id,
            fold(person.patient_name),
            fold(person.patient_id),
            sort_date,
            arrival.at,
            arrival.at,
            arrival.calling_ae_title,
            sop_class,
            flags,
        ),
    )
    found_by = search.searchable(person, study, arrival.calling_ae_title)
    search.insert(tx, key, patient, arrival.at, sort_date, flags, found_by)
    tx.execute(
        "UPDATE patient SET studies = studies + 1, sort_date = max(sort_date, ?) WHERE id = ?",
        (sort_date, patient),
    )
    tx.execute("UPDATE total SET studies = studies + 1")
    return key, flags, "", arrival.calling_ae_title


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
        (study, _number(series.series_number), arrival.at, *astuple(series)),
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


_INSTANCE_FIELDS = InstanceAttributes.__struct_fields__
_INSERT_INSTANCE = (
    "INSERT INTO instance (series, version, sort_number, blob_key, header_size, header_sha256,"
    " dataset_size, dataset_sha256, received_at, calling_ae_title, remarks, flags, "
    f"{', '.join(_INSTANCE_FIELDS)}) VALUES ({', '.join('?' * (12 + len(_INSTANCE_FIELDS)))})"
)


def _instance(tx: Transaction, arrival: Arrival, series: int, version: int, flags: int) -> int:
    instance, blob = arrival.attributes.instance, arrival.blob
    return tx.insert(
        _INSERT_INSTANCE,
        (
            series,
            version,
            _number(instance.instance_number),
            blob.key,
            blob.header_size,
            blob.header_sha256,
            blob.dataset_size,
            blob.dataset_sha256,
            arrival.at,
            arrival.calling_ae_title,
            "\n".join(arrival.attributes.remarks),
            flags,
            *astuple(instance),
        ),
    )


def _number(text: str) -> int:
    """A sort key from an IS value; what is no number comes last."""
    try:
        value = int(text.split("\\")[0])
    except ValueError:
        return 1 << 31
    return max(-(1 << 31), min(value, 1 << 31))


def has_blob(reader: Reader, key: str) -> bool:
    """True if an instance has that file."""
    return reader.one("SELECT 1 FROM instance WHERE blob_key = ?", (key,)) is not None
