"""The attributes of an instance that the index keeps (the rest stays in the file)."""

from __future__ import annotations

from msgspec import Struct


class PatientAttributes(Struct, frozen=True, kw_only=True):
    """Patient module (PS3.3 C.7.1.1); texts decoded to Unicode, dates as stored (trimmed)."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""  # all component groups: "Yamada^Tarou=山田^太郎=やまだ^たろう"
    patient_birth_date: str = ""
    patient_sex: str = ""
    other_patient_ids: str = ""
    patient_comments: str = ""


class StudyAttributes(Struct, frozen=True, kw_only=True):
    """General Study module (PS3.3 C.7.2.1)."""

    study_instance_uid: str
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_description: str = ""
    referring_physician_name: str = ""
    name_of_physicians_reading_study: str = ""
    patient_age: str = ""
    patient_size: str = ""
    patient_weight: str = ""
    admission_id: str = ""


class SeriesAttributes(Struct, frozen=True, kw_only=True):
    """General Series and General Equipment modules (PS3.3 C.7.3.1, C.7.5.1)."""

    series_instance_uid: str
    modality: str = ""
    series_number: str = ""  # IS as stored: "1" and "001" are told apart for display only
    series_description: str = ""
    series_date: str = ""
    series_time: str = ""
    body_part_examined: str = ""
    laterality: str = ""
    protocol_name: str = ""
    performing_physician_name: str = ""
    operators_name: str = ""
    institution_name: str = ""
    institutional_department_name: str = ""
    station_name: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    frame_of_reference_uid: str = ""
    performed_procedure_step_id: str = ""
    performed_procedure_step_start_date: str = ""
    performed_procedure_step_start_time: str = ""
    requested_procedure_id: str = ""  # from the first item of Request Attributes Sequence
    scheduled_procedure_step_id: str = ""  # likewise


class InstanceAttributes(Struct, frozen=True, kw_only=True):
    """SOP Common, General Image and Image Pixel attributes of one instance."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    specific_character_set: str = ""  # values joined with a backslash
    instance_number: str = ""
    content_date: str = ""
    content_time: str = ""
    acquisition_number: str = ""
    acquisition_date: str = ""
    acquisition_time: str = ""
    image_type: str = ""  # values joined with a backslash
    number_of_frames: int = 0  # 0: attribute absent
    rows: int = 0
    columns: int = 0
    bits_allocated: int = 0
    photometric_interpretation: str = ""
    instance_creation_date: str = ""
    instance_creation_time: str = ""
    document_title: str = ""


class IndexedAttributes(Struct, frozen=True, kw_only=True):
    """All that the index takes from one dataset.

    ``remarks`` says in words (no values, no PHI) what was odd: "PatientID is missing",
    "unknown character set", "no closing delimiter". Empty for a clean object.
    """

    patient: PatientAttributes
    study: StudyAttributes
    series: SeriesAttributes
    instance: InstanceAttributes
    remarks: tuple[str, ...] = ()
