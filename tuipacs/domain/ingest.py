"""What comes in, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnouncedObject:
    """What a C-STORE command says of the composite object whose dataset follows."""

    transfer_syntax_uid: str  # of the presentation context
    sop_class_uid: str  # Affected SOP Class UID
    sop_instance_uid: str  # Affected SOP Instance UID
    calling_ae_title: str
    called_ae_title: str


class IngestResult(StrEnum):
    """Each of these is durable when it is returned, and is a Success to the sender."""

    STORED = "stored"  # also where the same bytes were known, and their file had been lost
    DUPLICATE = "duplicate"  # the same bytes were here already; nothing was written
    CONFLICT = "conflict"  # other bytes under a known SOP Instance UID; both are kept
