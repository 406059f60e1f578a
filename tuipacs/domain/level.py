"""The four levels of the DICOM query/retrieve information model (PS3.4 C.3)."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """Query/retrieve level; ``instance`` is IMAGE in DICOM's own word."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"
