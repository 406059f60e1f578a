"""Which data elements the index takes, with their VR and where they go (PS3.6)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from tuipacs.domain.find import CHARACTER_SET_TAG
from tuipacs.domain.find_object import REQUESTS_TAG


class Target(IntEnum):
    """The struct of :mod:`tuipacs.domain.attributes` that a value goes to."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3
    READER = 4  # not indexed: the reader itself needs it


class Indexed(NamedTuple):
    """One indexed element."""

    tag: int
    vr: bytes
    target: Target
    field: str


DIRECTORY_RECORDS_TAG = 0x00041220
SAMPLES_TAG = 0x00280002

_P, _S, _R, _I = Target.PATIENT, Target.STUDY, Target.SERIES, Target.INSTANCE

TAGS = (
    Indexed(0x00100020, b"LO", _P, "patient_id"),
    Indexed(0x00100021, b"LO", _P, "issuer_of_patient_id"),
    Indexed(0x00100010, b"PN", _P, "patient_name"),
    Indexed(0x00100030, b"DA", _P, "patient_birth_date"),
    Indexed(0x00100040, b"CS", _P, "patient_sex"),
    Indexed(0x00101000, b"LO", _P, "other_patient_ids"),
    Indexed(0x00104000, b"LT", _P, "patient_comments"),
    Indexed(0x0020000D, b"UI", _S, "study_instance_uid"),
    Indexed(0x00080020, b"DA", _S, "study_date"),
    Indexed(0x00080030, b"TM", _S, "study_time"),
    Indexed(0x00080050, b"SH", _S, "accession_number"),
    Indexed(0x00200010, b"SH", _S, "study_id"),
    Indexed(0x00081030, b"LO", _S, "study_description"),
    Indexed(0x00080090, b"PN", _S, "referring_physician_name"),
    Indexed(0x00081060, b"PN", _S, "name_of_physicians_reading_study"),
    Indexed(0x00101010, b"AS", _S, "patient_age"),
    Indexed(0x00101020, b"DS", _S, "patient_size"),
    Indexed(0x00101030, b"DS", _S, "patient_weight"),
    Indexed(0x00380010, b"LO", _S, "admission_id"),
    Indexed(0x0020000E, b"UI", _R, "series_instance_uid"),
    Indexed(0x00080060, b"CS", _R, "modality"),
    Indexed(0x00200011, b"IS", _R, "series_number"),
    Indexed(0x0008103E, b"LO", _R, "series_description"),
    Indexed(0x00080021, b"DA", _R, "series_date"),
    Indexed(0x00080031, b"TM", _R, "series_time"),
    Indexed(0x00180015, b"CS", _R, "body_part_examined"),
    Indexed(0x00200060, b"CS", _R, "laterality"),
    Indexed(0x00181030, b"LO", _R, "protocol_name"),
    Indexed(0x00081050, b"PN", _R, "performing_physician_name"),
    Indexed(0x00081070, b"PN", _R, "operators_name"),
    Indexed(0x00080080, b"LO", _R, "institution_name"),
    Indexed(0x00081040, b"LO", _R, "institutional_department_name"),
    Indexed(0x00081010, b"SH", _R, "station_name"),
    Indexed(0x00080070, b"LO", _R, "manufacturer"),
    Indexed(0x00081090, b"LO", _R, "manufacturer_model_name"),
    Indexed(0x00200052, b"UI", _R, "frame_of_reference_uid"),
    Indexed(0x00400253, b"SH", _R, "performed_procedure_step_id"),
    Indexed(0x00400244, b"DA", _R, "performed_procedure_step_start_date"),
    Indexed(0x00400245, b"TM", _R, "performed_procedure_step_start_time"),
    Indexed(0x00080018, b"UI", _I, "sop_instance_uid"),
    Indexed(0x00080016, b"UI", _I, "sop_class_uid"),
    Indexed(0x00080005, b"CS", _I, "specific_character_set"),
    Indexed(0x00200013, b"IS", _I, "instance_number"),
    Indexed(0x00080023, b"DA", _I, "content_date"),
    Indexed(0x00080033, b"TM", _I, "content_time"),
    Indexed(0x00200012, b"IS", _I, "acquisition_number"),
    Indexed(0x00080022, b"DA", _I, "acquisition_date"),
    Indexed(0x00080032, b"TM", _I, "acquisition_time"),
    Indexed(0x00080008, b"CS", _I, "image_type"),
    Indexed(0x00280008, b"IS", _I, "number_of_frames"),
    Indexed(0x00280010, b"US", _I, "rows"),
    Indexed(0x00280011, b"US", _I, "columns"),
    Indexed(0x00280100, b"US", _I, "bits_allocated"),
    Indexed(0x00280004, b"CS", _I, "photometric_interpretation"),
    Indexed(0x00080012, b"DA", _I, "instance_creation_date"),
    Indexed(0x00080013, b"TM", _I, "instance_creation_time"),
    Indexed(0x00420010, b"ST", _I, "document_title"),
    Indexed(SAMPLES_TAG, b"US", Target.READER, "samples_per_pixel"),
    Indexed(REQUESTS_TAG, b"SQ", Target.READER, "requests"),
    Indexed(DIRECTORY_RECORDS_TAG, b"SQ", Target.READER, "directory_records"),
)

# Taken from the first item of Request Attributes Sequence.
REQUEST_TAGS = (
    Indexed(0x00401001, b"SH", _R, "requested_procedure_id"),
    Indexed(0x00400009, b"SH", _R, "scheduled_procedure_step_id"),
    Indexed(CHARACTER_SET_TAG, b"CS", Target.READER, "specific_character_set"),
)


def keys_of(tags: tuple[Indexed, ...], *, big_endian: bool) -> dict[bytes, Indexed]:
    """The elements by the four bytes of their tag as stored in a byte order."""
    order = ">HH" if big_endian else "<HH"
    return {
        struct.pack(order, indexed.tag >> 16, indexed.tag & 0xFFFF): indexed for indexed in tags
    }
