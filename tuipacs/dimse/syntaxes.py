"""Which abstract and transfer syntaxes this archive takes as a service provider."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tuipacs.domain.uid import is_usable_uid

VERIFICATION = "1.2.840.10008.1.1"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"  # retired
PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.2"  # retired
PATIENT_STUDY_ONLY_GET = "1.2.840.10008.5.1.4.1.2.3.3"  # retired
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # Push Model SOP Class (PS3.4 J.3)
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # its well-known one
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
# Named "Storage", yet not composite objects that C-STORE carries: DICOMDIR and storage commitment.
_NOT_STORED = frozenset({"1.2.840.10008.1.3.10", STORAGE_COMMITMENT, "1.2.840.10008.1.20.2"})
# Transfer syntaxes of reports by mail (MIME, XML: retired) and of live video over RTP (PS3.22).
_NO_DATASETS = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
_UNCOMPRESSED = frozenset(
    str(uid)
    for uid in (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
)


def is_storage_class(uid: str) -> bool:
    """Whether C-STORE may carry objects of this SOP class.

    Standard classes: those that the dictionary calls storage, retired ones too, and those under the
    storage root that are newer than the dictionary. Any UID of another root is a private class:
    nobody but its maker could say otherwise, and an archive that refused it would lose objects.
    """
    if not is_usable_uid(uid):
        return False
    if not uid.startswith(_STANDARD_ROOT):
        return True
    entry = UID_dictionary.get(uid)
    if entry is None or not entry[0]:  # unknown to the dictionary, or retired without a name
        return uid.startswith(_STORAGE_ROOT)
    return entry[1] == "SOP Class" and "Storage" in entry[0] and uid not in _NOT_STORED


def is_transfer_syntax(uid: str) -> bool:
    """Whether a dataset can be kept under this transfer syntax: standard, newer, or private."""
    if not is_usable_uid(uid):
        return False
    if not uid.startswith(_STANDARD_ROOT):
        return True
    if uid.startswith(_NO_DATASETS):
        return False
    entry = UID_dictionary.get(uid)
    return uid.startswith("1.2.840.10008.1.2.") if entry is None else entry[1] == "Transfer Syntax"


def is_verification_syntax(uid: str) -> bool:
    """C-ECHO has no dataset: any uncompressed transfer syntax will do."""
    return uid in _UNCOMPRESSED


def is_identifier_syntax(uid: str) -> bool:
    """What the identifier of a query can come in: uncompressed, and not deflated."""
    return uid in _UNCOMPRESSED and uid != DeflatedExplicitVRLittleEndian


def name_of(uid: str) -> str:
    """The dictionary's name of a UID, or the UID itself."""
    entry = UID_dictionary.get(uid)
    return entry[0] if entry and entry[0] else uid
