"""Rows of the index as records, by key and in the order of the keys asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tuipacs.dicom.kinds import kind_of
from tuipacs.dicom.names import sop_class_name, transfer_syntax_name
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.index.database import Reader, Row
from tuipacs.index.flags import flags_of

Record = TypeVar("Record", PatientRecord, StudyRecord, SeriesRecord, InstanceRecord)
_BATCH = 500


def _by_key(
    reader: Reader, sql: str, make: Callable[[Row], Record], keys: Sequence[int]
) -> tuple[Record, ...]:
    found: dict[int, Record] = {}
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        marks = ", ".join("?" * len(batch))
        for row in reader.execute(f"{sql} IN ({marks})", batch):
            found[row[0]] = make(row)
    return tuple(found[key] for key in keys if key in found)


def patients(reader: Reader, keys: Sequence[int]) -> tuple[PatientRecord, ...]:
    """Patients by key; a missing key is left out."""
    return _by_key(
        reader,
        "SELECT id, patient_id, issuer_of_patient_id, patient_name, patient_birth_date,"
        " patient_sex, studies, series, instances, substr(sort_date, 1, 8), modalities, bytes,"
        " received_at, flags FROM patient WHERE id",
        _patient,
        keys,
    )


def _patient(row: Row) -> PatientRecord:
    return PatientRecord(
        key=row[0],
        patient_id=row[1],
        issuer_of_patient_id=row[2],
        patient_name=row[3],
        patient_birth_date=row[4],
        patient_sex=row[5],
        number_of_patient_related_studies=row[6],
        number_of_patient_related_series=row[7],
        number_of_patient_related_instances=row[8],
        latest_study_date=row[9],
        modalities=_split(row[10]),
        size_bytes=row[11],
        received_at=row[12],
        flags=flags_of(row[13]),
    )


def studies(reader: Reader, keys: Sequence[int]) -> tuple[StudyRecord, ...]:
    """Studies by key; a missing key is left out."""
    return _by_key(
        reader,
        "SELECT s.id, s.patient, p.patient_id, p.issuer_of_patient_id, s.patient_name,"
        " s.patient_birth_date, s.patient_sex, s.study_instance_uid, s.study_date, s.study_time,"
        " s.accession_number, s.study_id, s.study_description, s.referring_physician_name,"
        " s.modalities, s.series, s.instances, s.bytes, s.first_received_at, s.received_at,"
        " s.calling_ae_title, s.flags FROM study s JOIN patient p ON p.id = s.patient WHERE s.id",
        _study,
        keys,
    )


def _study(row: Row) -> StudyRecord:
    return StudyRecord(
        key=row[0],
        patient_key=row[1],
        patient_id=row[2],
        issuer_of_patient_id=row[3],
        patient_name=row[4],
        patient_birth_date=row[5],
        patient_sex=row[6],
        study_instance_uid=row[7],
        study_date=row[8],
        study_time=row[9],
        accession_number=row[10],
        study_id=row[11],
        study_description=row[12],
        referring_physician_name=row[13],
        modalities_in_study=_split(row[14]),
        number_of_study_related_series=row[15],
        number_of_study_related_instances=row[16],
        size_bytes=row[17],
        first_received_at=row[18],
        received_at=row[19],
        calling_ae_title=row[20],
        flags=flags_of(row[21]),
    )


def series(reader: Reader, keys: Sequence[int]) -> tuple[SeriesRecord, ...]:
    """Series by key; a missing key is left out."""
    return _by_key(
        reader,
        "SELECT id, study, series_instance_uid, modality, series_number, series_description,"
        " series_date, series_time, body_part_examined, protocol_name, station_name,"
        " institution_name, instances, bytes, received_at, flags FROM series WHERE id",
        _series,
        keys,
    )


def _series(row: Row) -> SeriesRecord:
    return SeriesRecord(
        key=row[0],
        study_key=row[1],
        series_instance_uid=row[2],
        modality=row[3],
        series_number=row[4],
        series_description=row[5],
        series_date=row[6],
        series_time=row[7],
        body_part_examined=row[8],
        protocol_name=row[9],
        station_name=row[10],
        institution_name=row[11],
        number_of_series_related_instances=row[12],
        size_bytes=row[13],
        received_at=row[14],
        flags=flags_of(row[15]),
    )


def instances(reader: Reader, keys: Sequence[int]) -> tuple[InstanceRecord, ...]:
    """Instances by key; a missing key is left out."""
    return _by_key(
        reader,
        "SELECT id, series, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number,"
        " content_date, content_time, image_type, number_of_frames, rows, columns,"
        " photometric_interpretation, version, header_size + dataset_size, dataset_sha256,"
        " received_at, calling_ae_title, remarks, flags FROM instance WHERE id",
        _instance,
        keys,
    )


def _instance(row: Row) -> InstanceRecord:
    return InstanceRecord(
        key=row[0],
        series_key=row[1],
        sop_instance_uid=row[2],
        sop_class_uid=row[3],
        sop_class_name=sop_class_name(row[3]),
        transfer_syntax_uid=row[4],
        transfer_syntax_name=transfer_syntax_name(row[4]),
        instance_number=row[5],
        content_date=row[6],
        content_time=row[7],
        image_type=row[8],
        number_of_frames=row[9],
        rows=row[10],
        columns=row[11],
        photometric_interpretation=row[12],
        kind=kind_of(row[3], has_pixels=row[10] > 0 and row[11] > 0),
        version=row[13],
        size_bytes=row[14],
        sha256=row[15].hex(),
        received_at=row[16],
        calling_ae_title=row[17],
        remarks=tuple(row[18].splitlines()),
        flags=flags_of(row[19]),
    )


def _split(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.split("\\") if part)


def keys_of(reader: Reader, sql: str, parameters: Sequence[Any]) -> list[int]:
    """The first column of all rows."""
    return [row[0] for row in reader.execute(sql, parameters)]
