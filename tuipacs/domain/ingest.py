"""What comes in, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tuipacs.domain.attributes import IndexedAttributes


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnouncedObject:
    """What a C-STORE command says of the composite object whose dataset follows."""

    transfer_syntax_uid: str  # of the presentation context
    sop_class_uid: str  # Affected SOP Class UID
    sop_instance_uid: str  # Affected SOP Instance UID
    calling_ae_title: str
    called_ae_title: str


@dataclass(frozen=True, slots=True)
class SaidPatient:
    """Whose a study is, as the node said that has it; without an ID it did not say."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""

    def is_other(self, patient_id: str, issuer_of_patient_id: str) -> bool:
        """Whether these are of somebody else. Nobody is where nothing was said, or unreadably."""
        said = self.patient_id.strip()
        if not said or "\N{REPLACEMENT CHARACTER}" in said:
            return False
        issuers = {self.issuer_of_patient_id.strip(), issuer_of_patient_id.strip()} - {""}
        return said != patient_id.strip() or len(issuers) > 1


UNSAID = SaidPatient()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedObjects:
    """What a node was asked for: instances of one series."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: frozenset[str]
    patient: SaidPatient = UNSAID

    def fault(self, found: IndexedAttributes) -> str:
        """Why this is none of them; empty if it is."""
        if found.study.study_instance_uid != self.study_instance_uid:
            return "it is of another study than was asked for"
        if found.series.series_instance_uid != self.series_instance_uid:
            return "it is of another series than was asked for"
        if found.instance.sop_instance_uid not in self.sop_instance_uids:
            return "it is another SOP instance than was asked for"
        whose = found.patient
        if self.patient.is_other(whose.patient_id, whose.issuer_of_patient_id):
            return "it is of another patient than the source said"
        return ""


class IngestResult(StrEnum):
    """Each of these is durable when it is returned, and is a Success to the sender."""

    STORED = "stored"  # also where the same bytes were known, and their file had been lost
    DUPLICATE = "duplicate"  # the same bytes were here already; nothing was written
    CONFLICT = "conflict"  # other bytes under a known SOP Instance UID; both are kept
