"""What comes in, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class ReceivedObject:
    """One composite object as a DICOM peer sent it: the dataset's bytes, untouched."""

    dataset: bytes | memoryview
    transfer_syntax_uid: str
    sop_class_uid: str  # Affected SOP Class UID of the command
    sop_instance_uid: str  # Affected SOP Instance UID of the command
    calling_ae_title: str
    called_ae_title: str


class IngestResult(StrEnum):
    """Each of these is durable when it is returned, and is a Success to the sender."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the same bytes were here already; nothing was written
    CONFLICT = "conflict"  # other bytes under a known SOP Instance UID; both are kept
