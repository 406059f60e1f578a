"""What C-FIND can be asked (PS3.4 C.3, C.6): information models, keys with conditions, a query.

`find_keys` has the table of keys that the index answers. It is the single source: the identifier is
read, the SQL is written, and the answer is encoded by it. Below it there are the keys that stored
objects answer themselves (`find_object`). Any other key is not supported, and answers say so
(0xFF01).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from tuipacs.domain.find_keys import (
    BY_TAG,
    KEYS,
    PATIENT_ID_TAG,
    SERIES_UID_TAG,
    SOP_INSTANCE_UID_TAG,
    STUDY_UID_TAG,
    FindKey,
    Held,
)
from tuipacs.domain.find_match import Condition, OneOf
from tuipacs.domain.find_object import ObjectKey
from tuipacs.domain.level import Level

__all__ = [
    "AVAILABILITY_TAG",
    "BY_TAG",
    "CHARACTER_SET_TAG",
    "KEYS",
    "LEVEL_TAG",
    "LEVEL_WORDS",
    "ORDER",
    "PATIENT_ID_TAG",
    "PATIENT_ROOT",
    "PATIENT_STUDY_ONLY",
    "RETRIEVE_AE_TAG",
    "SERIES_UID_TAG",
    "SOP_INSTANCE_UID_TAG",
    "STUDY_ROOT",
    "STUDY_UID_TAG",
    "UNIQUE_KEYS",
    "AskedKey",
    "FindKey",
    "FindModel",
    "FindQuery",
    "Held",
]


@dataclass(frozen=True)
class AskedKey:
    """A key of a query; ``condition`` is None for universal matching (return it only)."""

    key: FindKey
    condition: Condition | None

    def fits(self, text: str) -> bool:
        """Whether a stored attribute matches; of several values any may be the one that does."""
        if self.condition is None:
            return True
        if self.key.held is not Held.VALUES:
            return self.condition.fits(text)
        if isinstance(self.condition, OneOf) and self.condition.fits(text):
            return True  # the key itself has a backslash
        return any(map(self.condition.fits, text.split("\\")))


class FindModel(NamedTuple):
    """A query/retrieve information model: its name and its levels, highest first.

    What belongs to a patient is of the highest level where that is the study (PS3.4 C.6.2).
    """

    name: str
    levels: tuple[Level, ...]


@dataclass(frozen=True, kw_only=True)
class FindQuery:
    """A query as it was read from an identifier.

    ``keys`` are in the order of their tags; ``object_keys`` those that are answered from the
    headers of stored objects. ``below``: conditions on keys of levels below, which are matched and
    not returned; only a relational query has them, and only it may lack the unique keys above.
    ``unsupported``: the request has keys besides, which were neither matched nor are they returned.
    ``matches_nothing``: a condition on what is the same for all answers fails. ``character_set``
    is its (0008,0005) as stored, or the one assumed in its place. ``words`` are the keys as text
    for the audit log, and for nothing else: they hold PHI.
    """

    level: Level
    keys: tuple[AskedKey, ...]
    object_keys: tuple[ObjectKey, ...] = ()
    below: tuple[AskedKey, ...] = ()
    is_relational: bool = False
    wants_availability: bool = False
    unsupported: bool = False
    matches_nothing: bool = False
    character_set: bytes = b""
    words: str = ""

    def condition(self, tag: int) -> Condition | None:
        """What a key of the index asks; None if nothing, or if it is not there."""
        for asked in (*self.keys, *self.below):
            if asked.key.tag == tag:
                return asked.condition
        return None

    def single_value(self, tag: int) -> str:
        """The one value that a key is to have, if it is asked for one; else empty."""
        condition = self.condition(tag)
        if isinstance(condition, OneOf) and len(condition.values) == 1:
            return min(condition.values)
        return ""


PATIENT_ROOT = FindModel("Patient Root", (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE))
STUDY_ROOT = FindModel("Study Root", (Level.STUDY, Level.SERIES, Level.INSTANCE))
PATIENT_STUDY_ONLY = FindModel("Patient/Study Only", (Level.PATIENT, Level.STUDY))

ORDER = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)
LEVEL_WORDS = MappingProxyType(
    {
        Level.PATIENT: "PATIENT",
        Level.STUDY: "STUDY",
        Level.SERIES: "SERIES",
        Level.INSTANCE: "IMAGE",
    }
)
CHARACTER_SET_TAG = 0x00080005
LEVEL_TAG = 0x00080052
RETRIEVE_AE_TAG = 0x00080054
AVAILABILITY_TAG = 0x00080056
UNIQUE_KEYS = MappingProxyType(
    {
        Level.PATIENT: PATIENT_ID_TAG,
        Level.STUDY: STUDY_UID_TAG,
        Level.SERIES: SERIES_UID_TAG,
        Level.INSTANCE: SOP_INSTANCE_UID_TAG,
    }
)
