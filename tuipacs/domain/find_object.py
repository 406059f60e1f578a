"""Keys of C-FIND that the index does not hold: a stored object's own header answers them.

Excluded are private attributes, and what may be bulk by its VR (OB, OD, OF, OL, OV, OW, UN): the
keys of a query are identifying attributes, and no way to fetch pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tuipacs.domain.find_match import Condition, OneOf

REQUESTS_TAG = 0x00400275  # Request Attributes Sequence: a series has it from its first object
MAX_VALUE = 0xFFFE  # bytes of a value as it is stored; longer ones are not returned
MAX_VALUES = 256 << 10  # bytes of all values of one answer
MAX_DEPTH = 8  # sequences within sequences
TEXT_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI")
) | {"UR", "UT"}
NUMBER_VRS = frozenset(("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"))
_ONE_TEXT = frozenset(("LT", "ST", "UR", "UT"))  # in which a backslash is a character


class Value(NamedTuple):
    """One element of a stored object. ``text``: without padding, several values joined with a
    backslash; numbers as text, too (AT as eight hexadecimal digits). ``items`` of a sequence.
    """

    vr: str
    text: str = ""
    items: tuple[Mapping[int, Value], ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """Its values one by one."""
        return (self.text,) if self.vr in _ONE_TEXT else tuple(self.text.split("\\"))


@dataclass(frozen=True)
class ObjectKey:
    """A key for a stored header. Of a sequence ``items`` are the keys of its one item.

    A sequence without any is asked for as a whole.
    """

    tag: int
    vr: str
    condition: Condition | None = None
    items: tuple[ObjectKey, ...] = ()

    @property
    def is_universal(self) -> bool:
        """Whether it matches everything (PS3.4 C.2.2.2.3, of a sequence C.2.2.2.6)."""
        return self.condition is None and all(key.is_universal for key in self.items)

    def fits(self, value: Value | None) -> bool:
        """Whether an element matches; None and an empty one match only if it is universal."""
        if self.is_universal:
            return True
        if value is None:
            return False
        if self.vr == "SQ":  # one item has to match all keys: no two items make up a match
            return any(all(k.fits(item.get(k.tag)) for k in self.items) for item in value.items)
        condition = self.condition
        if condition is None:
            raise AssertionError("a key that is not universal has a condition")
        if isinstance(condition, OneOf) and value.text in condition.values:
            return True
        return any(map(condition.fits, value.values))
