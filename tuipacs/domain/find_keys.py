"""The one table of keys that the index answers (PS3.4 C.6, PS3.6): tag, VR, level, column."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from tuipacs.domain.level import Level

PATIENT_ID_TAG = 0x00100020
STUDY_UID_TAG = 0x0020000D
SERIES_UID_TAG = 0x0020000E
SOP_INSTANCE_UID_TAG = 0x00080018


class Held(StrEnum):
    """What a column of the index holds."""

    TEXT = "text"
    VALUES = "values"  # several, joined with a backslash: any of them may match
    COUNT = "count"
    INTEGER = "integer"  # 0 where the object does not have the attribute


class FindKey(NamedTuple):
    """A supported key. ``column``: p(atient), s(tudy), r (series) or i(nstance), and its name."""

    tag: int
    keyword: str
    vr: str
    level: Level
    column: str
    held: Held = Held.TEXT


_P, _S, _R, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE

KEYS = (
    # A study keeps its patient's attributes as its own objects have them (docs/adr/0004). A CS is
    # split into its values also where one is allowed: senders write HEAD\NECK.
    FindKey(0x00100010, "PatientName", "PN", _P, "s.patient_name"),
    FindKey(PATIENT_ID_TAG, "PatientID", "LO", _P, "p.patient_id"),
    FindKey(0x00100021, "IssuerOfPatientID", "LO", _P, "p.issuer_of_patient_id"),
    FindKey(0x00100030, "PatientBirthDate", "DA", _P, "s.patient_birth_date"),
    FindKey(0x00100040, "PatientSex", "CS", _P, "s.patient_sex", Held.VALUES),
    FindKey(0x00101000, "OtherPatientIDs", "LO", _P, "s.other_patient_ids", Held.VALUES),
    FindKey(0x00104000, "PatientComments", "LT", _P, "s.patient_comments"),
    FindKey(0x00201200, "NumberOfPatientRelatedStudies", "IS", _P, "p.studies", Held.COUNT),
    FindKey(0x00201202, "NumberOfPatientRelatedSeries", "IS", _P, "p.series", Held.COUNT),
    FindKey(0x00201204, "NumberOfPatientRelatedInstances", "IS", _P, "p.instances", Held.COUNT),
    FindKey(STUDY_UID_TAG, "StudyInstanceUID", "UI", _S, "s.study_instance_uid"),
    FindKey(0x00080020, "StudyDate", "DA", _S, "s.study_date"),
    FindKey(0x00080030, "StudyTime", "TM", _S, "s.study_time"),
    FindKey(0x00080050, "AccessionNumber", "SH", _S, "s.accession_number"),
    FindKey(0x00080061, "ModalitiesInStudy", "CS", _S, "s.modalities", Held.VALUES),
    FindKey(0x00080062, "SOPClassesInStudy", "UI", _S, "s.sop_classes", Held.VALUES),
    FindKey(0x00080090, "ReferringPhysicianName", "PN", _S, "s.referring_physician_name"),
    FindKey(0x00081030, "StudyDescription", "LO", _S, "s.study_description"),
    FindKey(
        0x00081060,
        "NameOfPhysiciansReadingStudy",
        "PN",
        _S,
        "s.name_of_physicians_reading_study",
        Held.VALUES,
    ),
    FindKey(0x00101010, "PatientAge", "AS", _S, "s.patient_age"),
    FindKey(0x00101020, "PatientSize", "DS", _S, "s.patient_size"),
    FindKey(0x00101030, "PatientWeight", "DS", _S, "s.patient_weight"),
    FindKey(0x00200010, "StudyID", "SH", _S, "s.study_id"),
    FindKey(0x00201206, "NumberOfStudyRelatedSeries", "IS", _S, "s.series", Held.COUNT),
    FindKey(0x00201208, "NumberOfStudyRelatedInstances", "IS", _S, "s.instances", Held.COUNT),
    FindKey(0x00380010, "AdmissionID", "LO", _S, "s.admission_id"),
    FindKey(SERIES_UID_TAG, "SeriesInstanceUID", "UI", _R, "r.series_instance_uid"),
    FindKey(0x00080021, "SeriesDate", "DA", _R, "r.series_date"),
    FindKey(0x00080031, "SeriesTime", "TM", _R, "r.series_time"),
    FindKey(0x00080060, "Modality", "CS", _R, "r.modality", Held.VALUES),
    FindKey(0x00080070, "Manufacturer", "LO", _R, "r.manufacturer"),
    FindKey(0x00080080, "InstitutionName", "LO", _R, "r.institution_name"),
    FindKey(0x00081010, "StationName", "SH", _R, "r.station_name"),
    FindKey(0x0008103E, "SeriesDescription", "LO", _R, "r.series_description"),
    FindKey(0x00081040, "InstitutionalDepartmentName", "LO", _R, "r.institutional_department_name"),
    FindKey(
        0x00081050, "PerformingPhysicianName", "PN", _R, "r.performing_physician_name", Held.VALUES
    ),
    FindKey(0x00081070, "OperatorsName", "PN", _R, "r.operators_name", Held.VALUES),
    FindKey(0x00081090, "ManufacturerModelName", "LO", _R, "r.manufacturer_model_name"),
    FindKey(0x00180015, "BodyPartExamined", "CS", _R, "r.body_part_examined", Held.VALUES),
    FindKey(0x00181030, "ProtocolName", "LO", _R, "r.protocol_name"),
    FindKey(0x00200011, "SeriesNumber", "IS", _R, "r.series_number"),
    FindKey(0x00200052, "FrameOfReferenceUID", "UI", _R, "r.frame_of_reference_uid"),
    FindKey(0x00200060, "Laterality", "CS", _R, "r.laterality", Held.VALUES),
    FindKey(0x00201209, "NumberOfSeriesRelatedInstances", "IS", _R, "r.instances", Held.COUNT),
    FindKey(
        0x00400244,
        "PerformedProcedureStepStartDate",
        "DA",
        _R,
        "r.performed_procedure_step_start_date",
    ),
    FindKey(
        0x00400245,
        "PerformedProcedureStepStartTime",
        "TM",
        _R,
        "r.performed_procedure_step_start_time",
    ),
    FindKey(0x00400253, "PerformedProcedureStepID", "SH", _R, "r.performed_procedure_step_id"),
    FindKey(SOP_INSTANCE_UID_TAG, "SOPInstanceUID", "UI", _I, "i.sop_instance_uid"),
    FindKey(0x00080008, "ImageType", "CS", _I, "i.image_type", Held.VALUES),
    FindKey(0x00080012, "InstanceCreationDate", "DA", _I, "i.instance_creation_date"),
    FindKey(0x00080013, "InstanceCreationTime", "TM", _I, "i.instance_creation_time"),
    FindKey(0x00080016, "SOPClassUID", "UI", _I, "i.sop_class_uid"),
    FindKey(0x00080022, "AcquisitionDate", "DA", _I, "i.acquisition_date"),
    FindKey(0x00080023, "ContentDate", "DA", _I, "i.content_date"),
    FindKey(0x00080032, "AcquisitionTime", "TM", _I, "i.acquisition_time"),
    FindKey(0x00080033, "ContentTime", "TM", _I, "i.content_time"),
    FindKey(0x00083002, "AvailableTransferSyntaxUID", "UI", _I, "i.transfer_syntax_uid"),
    FindKey(0x00200012, "AcquisitionNumber", "IS", _I, "i.acquisition_number"),
    FindKey(0x00200013, "InstanceNumber", "IS", _I, "i.instance_number"),
    FindKey(
        0x00280004,
        "PhotometricInterpretation",
        "CS",
        _I,
        "i.photometric_interpretation",
        Held.VALUES,
    ),
    FindKey(0x00280008, "NumberOfFrames", "IS", _I, "i.number_of_frames", Held.INTEGER),
    FindKey(0x00280010, "Rows", "US", _I, "i.rows", Held.INTEGER),
    FindKey(0x00280011, "Columns", "US", _I, "i.columns", Held.INTEGER),
    FindKey(0x00280100, "BitsAllocated", "US", _I, "i.bits_allocated", Held.INTEGER),
    FindKey(0x00420010, "DocumentTitle", "ST", _I, "i.document_title"),
)
BY_TAG = MappingProxyType({key.tag: key for key in KEYS})
