"""Rows of the archive as screens and commands see them.

On the wire every DICOM attribute goes by its keyword (``PatientID``); what is tuipacs' own stays in
lower case. Texts are exact here, as decoded: the reader cleans them before they reach a terminal.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.content import DocumentKind

_KEYWORDS = {
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "number_of_patient_related_studies": "NumberOfPatientRelatedStudies",
    "number_of_patient_related_series": "NumberOfPatientRelatedSeries",
    "number_of_patient_related_instances": "NumberOfPatientRelatedInstances",
    "study_instance_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_description": "StudyDescription",
    "referring_physician_name": "ReferringPhysicianName",
    "modalities_in_study": "ModalitiesInStudy",
    "number_of_study_related_series": "NumberOfStudyRelatedSeries",
    "number_of_study_related_instances": "NumberOfStudyRelatedInstances",
    "series_instance_uid": "SeriesInstanceUID",
    "modality": "Modality",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "series_date": "SeriesDate",
    "series_time": "SeriesTime",
    "body_part_examined": "BodyPartExamined",
    "protocol_name": "ProtocolName",
    "station_name": "StationName",
    "institution_name": "InstitutionName",
    "number_of_series_related_instances": "NumberOfSeriesRelatedInstances",
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "transfer_syntax_uid": "AvailableTransferSyntaxUID",
    "instance_number": "InstanceNumber",
    "content_date": "ContentDate",
    "content_time": "ContentTime",
    "image_type": "ImageType",
    "number_of_frames": "NumberOfFrames",
    "rows": "Rows",
    "columns": "Columns",
    "photometric_interpretation": "PhotometricInterpretation",
}


class Flag(StrEnum):
    """What a person should know before trusting a row."""

    CONFLICT = "conflict"  # one SOP Instance UID, different bytes: both kept
    PATIENT_MISMATCH = "patient-mismatch"  # name, birth date or sex differ under one patient ID
    UID_SHARED = "uid-shared"  # one Study Instance UID under two patients
    NO_PATIENT_ID = "no-patient-id"
    REMARK = "remark"  # the header had oddities; see the instance's remarks


class PatientRecord(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One patient: PatientID with its issuer, or one row per study where there is no ID."""

    key: int
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    number_of_patient_related_studies: int
    number_of_patient_related_series: int
    number_of_patient_related_instances: int
    latest_study_date: str
    modalities: tuple[str, ...]
    size_bytes: int
    received_at: float  # seconds since the epoch, UTC; of the newest object, to the second
    flags: tuple[Flag, ...] = ()


class StudyRecord(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One study, with the patient's attributes as this study's objects carry them."""

    key: int
    patient_key: int
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_instance_uid: str
    study_date: str
    study_time: str
    accession_number: str
    study_id: str
    study_description: str
    referring_physician_name: str
    modalities_in_study: tuple[str, ...]
    number_of_study_related_series: int
    number_of_study_related_instances: int
    size_bytes: int
    first_received_at: float
    received_at: float  # both to the second
    calling_ae_title: str  # of the newest object; empty when imported
    flags: tuple[Flag, ...] = ()


class SeriesRecord(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One series of one study."""

    key: int
    study_key: int
    series_instance_uid: str
    modality: str
    series_number: str
    series_description: str
    series_date: str
    series_time: str
    body_part_examined: str
    protocol_name: str
    station_name: str
    institution_name: str
    number_of_series_related_instances: int
    size_bytes: int
    received_at: float
    flags: tuple[Flag, ...] = ()


class InstanceRecord(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One stored object. Two with one SOP Instance UID differ in ``version``."""

    key: int
    series_key: int
    sop_instance_uid: str
    sop_class_uid: str
    sop_class_name: str
    transfer_syntax_uid: str
    transfer_syntax_name: str
    instance_number: str
    content_date: str
    content_time: str
    image_type: str
    number_of_frames: int
    rows: int
    columns: int
    photometric_interpretation: str
    kind: DocumentKind
    version: int
    size_bytes: int
    sha256: str  # of the dataset bytes, hex
    received_at: float
    calling_ae_title: str
    remarks: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
