"""Getting past values of undefined length (PS3.5 7.5, A.4) without recursion or trust."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tuipacs.dicom.encoding import LONG_VRS, SHORT_VRS, UNDEFINED, Buffer, is_vr_letters
from tuipacs.errors import InvalidObjectError

MAX_DEPTH = 32
MAX_FRAGMENTS = 1_000_000
_FIRST_WINDOW, _LARGEST_WINDOW = 4 << 10, 1 << 20  # bytes copied at a time for a search


class TruncatedError(Exception):
    """The data ends inside the element whose tag (four bytes as stored) is ``key``."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self.key = key


class BudgetSpentError(Exception):
    """More elements than anyone needs."""


class Budget:
    """How many nested elements and fragments one walk may still look at.

    The fragments of all elements count together: a hostile dataset can lead thousands of elements
    through the same ones.
    """

    def __init__(self, left: int, fragments: int = MAX_FRAGMENTS) -> None:
        self.left = left
        self.fragments = fragments

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise BudgetSpentError


class Layout(NamedTuple):
    """How headers are packed in one byte order."""

    big_endian: bool
    explicit: struct.Struct  # tag, VR, 16-bit length
    implicit: struct.Struct  # tag, 32-bit length
    length: struct.Struct
    item: bytes
    item_end: bytes
    sequence_end: bytes

    @classmethod
    def of(cls, *, big_endian: bool) -> Layout:
        order = ">" if big_endian else "<"

        def tag(element: int) -> bytes:
            return struct.pack(order + "HH", 0xFFFE, element)

        return cls(
            big_endian,
            struct.Struct(order + "4s2sH"),
            struct.Struct(order + "4sL"),
            struct.Struct(order + "L"),
            tag(0xE000),
            tag(0xE00D),
            tag(0xE0DD),
        )


def skip_fragments(
    data: Buffer, position: int, end: int, layout: Layout, key: bytes, budget: Budget
) -> int:
    """Return the offset behind the sequence delimiter of encapsulated data.

    Where the fragments cannot be followed, the delimiter is searched as pydicom does. Raises
    :class:`TruncatedError` if there is none, :class:`BudgetSpentError` for too many fragments.
    """
    start = position
    followed = 0
    try:
        while True:
            if position + 8 > end:
                raise TruncatedError(key)
            tag, length = layout.implicit.unpack_from(data, position)
            position += 8
            if tag == layout.sequence_end:
                return position
            if tag != layout.item or length == UNDEFINED:
                break
            position += length
            followed += 1
            if followed > budget.fragments:
                raise BudgetSpentError
    finally:
        budget.fragments -= followed
    return _search_delimiter(data, start, end, layout, key)


def _search_delimiter(data: Buffer, start: int, end: int, layout: Layout, key: bytes) -> int:
    """In windows that grow: thousands of elements may each need a search for their near end."""
    window = _FIRST_WINDOW
    while start + 8 <= end:
        found = bytes(data[start : min(start + window, end)]).find(layout.sequence_end)
        if found >= 0:
            if start + found + 8 > end:
                break
            return start + found + 8
        start += window - len(layout.sequence_end) + 1
        window = min(2 * window, _LARGEST_WINDOW)
    raise TruncatedError(key)


def skip_sequence(
    data: Buffer,
    position: int,
    end: int,
    layout: Layout,
    implicit: bool,
    key: bytes,
    budget: Budget,
) -> int:
    """Return the offset behind the delimiter of a sequence of undefined length.

    Raises :class:`TruncatedError` if there is none, :class:`InvalidObjectError` if more than 32
    sequences of undefined length are nested (those with a length are jumped over).
    """
    items: list[bool] = []  # whether each open item of undefined length is implicit VR
    inside_item = False
    while True:
        budget.spend()
        if position + 8 > end:
            raise TruncatedError(key)
        if inside_item:
            position, event = _skip_element(data, position, end, layout, items[-1], key, budget)
            if event == _ITEM_ENDS:
                items.pop()
            inside_item = event == _VALUE_SKIPPED
            continue
        tag, length = layout.implicit.unpack_from(data, position)
        position += 8
        if tag == layout.sequence_end:
            if not items:
                return position
            inside_item = True
        elif length == UNDEFINED:
            if len(items) >= MAX_DEPTH:
                raise InvalidObjectError(f"sequences are nested more than {MAX_DEPTH} deep")
            items.append(_item_is_implicit(data, position, items[-1] if items else implicit))
            inside_item = True
        else:  # an item with a length; a tag that is none is taken for one, as in pydicom
            position += length


_VALUE_SKIPPED, _ITEM_ENDS, _SEQUENCE_OPENS = range(3)


def _item_is_implicit(data: Buffer, position: int, assumed: bool) -> bool:
    """Items of an explicit VR dataset may be implicit VR inside UN (PS3.5 6.2.2)."""
    vr = bytes(data[position + 4 : position + 6])
    return assumed or (len(vr) == 2 and not is_vr_letters(vr))


def _skip_element(
    data: Buffer,
    position: int,
    end: int,
    layout: Layout,
    implicit: bool,
    key: bytes,
    budget: Budget,
) -> tuple[int, int]:
    """Skip one element of an open item, or enter it; (where to go on, what it was)."""
    tag, vr, length = layout.explicit.unpack_from(data, position)
    start = position + 8
    if implicit or not (vr in SHORT_VRS or b"AA" <= vr <= b"ZZ"):
        (length,) = layout.length.unpack_from(data, position + 4)
        vr = b""
    elif vr in LONG_VRS:
        if start + 4 > end:
            raise TruncatedError(key)
        (length,) = layout.length.unpack_from(data, start)
        start += 4
    if tag == layout.item_end:
        return start, _ITEM_ENDS
    if length != UNDEFINED:
        return start + length, _VALUE_SKIPPED
    if vr in (b"SQ", b"UN", b""):
        return start, _SEQUENCE_OPENS
    return skip_fragments(data, start, end, layout, key, budget), _VALUE_SKIPPED
