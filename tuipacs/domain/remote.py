"""Asking many archives at once: what is asked, what each answered, and what is here already."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.level import Level

HERE = 0
"""The key that stands for this archive among the nodes asked."""

MAX_NODES = 32  # of one query
MAX_ROWS = 1000  # of one node in one query

_KEYWORDS = {
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_instance_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_description": "StudyDescription",
    "referring_physician_name": "ReferringPhysicianName",
    "modalities_in_study": "ModalitiesInStudy",
    "series_count": "NumberOfStudyRelatedSeries",
    "series_instance_uid": "SeriesInstanceUID",
    "modality": "Modality",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "series_date": "SeriesDate",
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "instance_number": "InstanceNumber",
}


class RemoteQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form as a person filled it in; `domain.remote_keys` makes the question of it.

    An empty field asks for nothing. Above what is asked for, the UIDs have to name one study (and
    one series); of ``modality`` several may be named, joined with a comma.
    """

    level: Level = Level.STUDY  # study, series or instance
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    accession_number: str = ""
    study_date: str = ""
    modality: str = ""
    study_description: str = ""
    referring_physician_name: str = ""
    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()


class RemoteRow(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One answer of one node, exact as it was decoded; only the fields of its level are filled.

    ``instances`` is what the node says that it has below this row, None if it did not say.
    ``here`` counts the SOP instances that this archive has of it.
    """

    node: int  # key of the node; HERE for this archive
    level: Level
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_instance_uid: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_description: str = ""
    referring_physician_name: str = ""
    modalities_in_study: tuple[str, ...] = ()
    series_count: int | None = None
    series_instance_uid: str = ""
    modality: str = ""
    series_number: str = ""
    series_description: str = ""
    series_date: str = ""
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    instance_number: str = ""
    instances: int | None = None
    here: int = 0

    @property
    def uid(self) -> str:
        """The unique key of its level."""
        if self.level is Level.STUDY:
            return self.study_instance_uid
        return self.series_instance_uid if self.level is Level.SERIES else self.sop_instance_uid


class NodeState(StrEnum):
    """Where one node's part of a query is."""

    WAITING = "waiting"
    ASKING = "asking"
    COMPLETE = "complete"
    LIMITED = "limit reached"  # more match than are shown
    CANCELLED = "cancelled"
    REFUSED = "refused"  # by the node, or by what it is set up for
    UNREACHABLE = "unreachable"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """True when nothing more will come."""
        return self not in (NodeState.WAITING, NodeState.ASKING)

    @property
    def is_partial(self) -> bool:
        """True when there may be more than was shown."""
        return self.ended and self is not NodeState.COMPLETE


class NodeAnswer(Struct, frozen=True, kw_only=True):
    """How one node's part of a query stands, with what was left out of its answers and why."""

    node: int
    ae_title: str
    state: NodeState
    words: str = ""  # why it ended so, and what was left out
    rows: int = 0
    malformed: int = 0  # answers that could not be read
    unasked: int = 0  # answers that did not fit the question
    repeated: int = 0

    @property
    def reason(self) -> str:
        """``words`` without the node's own name and address in front, for where that stands."""
        before = f"{self.ae_title} at "
        if not self.words.startswith(before):
            return self.words
        return self.words.removeprefix(before).partition(" ")[2] or self.words

    @property
    def is_partial(self) -> bool:
        """True when it may have more than was shown."""
        return self.state.is_partial or (self.state.ended and self.malformed > 0)


class Presence(StrEnum):
    """What this archive has of a row."""

    HAVE = "have"
    PARTIAL = "partial"
    MISSING = "missing"
    UNKNOWN = "some"  # something is here, and no node says how much there is


def presence(here: int, elsewhere: int | None) -> Presence:
    """Judged by counts alone: equal counts may be of other objects, which a comparison shows."""
    if here <= 0:
        return Presence.MISSING
    if elsewhere is None:
        return Presence.UNKNOWN
    return Presence.HAVE if here >= elsewhere else Presence.PARTIAL


class SeriesComparison(Struct, frozen=True, kw_only=True, rename=_KEYWORDS):
    """One series of a study at a node, and here, by its SOP Instance UIDs.

    ``missing`` of those ``there`` are not here, ``extra`` of those here are not there.
    """

    series_instance_uid: str
    modality: str = ""
    series_number: str = ""
    series_description: str = ""
    there: int = 0
    here: int = 0
    missing: int = 0
    extra: int = 0

    @property
    def presence(self) -> Presence:
        """Exact, unlike that of a row."""
        if not self.missing:
            return Presence.HAVE
        return Presence.MISSING if self.missing == self.there else Presence.PARTIAL
