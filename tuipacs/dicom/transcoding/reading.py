"""A whole dataset as elements with offsets, read strictly: what is not followed is not rewritten.

Unlike the walks for the index and the screens, this one refuses everything that is not exactly as
PS3.5 7 says, except values of odd length: a file that is damaged is sent as it is, or not at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from tuipacs.dicom.encoding import (
    LONG_VRS,
    PIXEL_TAGS,
    SHORT_VRS,
    UNDEFINED,
    is_vr_letters,
)
from tuipacs.dicom.skip import MAX_DEPTH, MAX_FRAGMENTS
from tuipacs.dicom.transcoding.dictionary import dictionary_vrs
from tuipacs.errors import DecodeError

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MAX_ELEMENTS = 2_000_000
_WINDOW = 1 << 16


class Data(Protocol):
    """Random access to the bytes that are read."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises `DecodeError`."""
        ...


@dataclass(slots=True)
class Element:
    """One data element. ``vr`` is as stored, empty in implicit VR.

    ``start`` and ``length`` tell where its value is; of an undefined length, up to its delimiter.
    ``items``: of a sequence, else None. ``fragments``: encapsulated pixel data, ``verbatim``: UN of
    undefined length, whose bytes are copied with their delimiter. ``literal``: a value that takes
    the place of the stored one.
    """

    tag: int
    vr: str
    start: int
    length: int
    undefined: bool = False
    items: list[Item] | None = None
    fragments: bool = False
    verbatim: bool = False
    literal: bytes | None = None


@dataclass(slots=True)
class Item:
    """One item of a sequence; ``start`` is where its first element begins."""

    start: int
    undefined: bool
    elements: list[Element] = field(default_factory=list)


def read_elements(
    data: Data, start: int, end: int, *, implicit: bool, big_endian: bool
) -> list[Element]:
    """The elements of the dataset between two offsets. Raises `DecodeError`."""
    reader = _Reader(data, big_endian)
    try:
        elements, _ = reader.dataset(start, end, implicit, depth=0, in_item=False)
    except struct.error as error:
        raise DecodeError("its data ends inside an element") from error
    return elements


class _Reader:
    def __init__(self, data: Data, big_endian: bool) -> None:
        self._data = data
        order = ">" if big_endian else "<"
        self._tag = struct.Struct(order + "HH")
        self._short = struct.Struct(order + "H")
        self._long = struct.Struct(order + "L")
        self._big_endian = big_endian
        self._at = 0
        self._window = b""
        self._left = MAX_ELEMENTS
        self._fragments = MAX_FRAGMENTS

    def dataset(
        self, position: int, end: int, implicit: bool, *, depth: int, in_item: bool
    ) -> tuple[list[Element], int]:
        """Elements up to ``end``, or in an item of undefined length its delimiter; what follows."""
        elements: list[Element] = []
        while position < end:
            tag, vr, start, length = self._header(position, end, implicit)
            if tag == ITEM_END and in_item:
                if length:
                    raise DecodeError("an item delimiter has a length")
                return elements, start
            if tag >> 16 == 0xFFFE:
                raise DecodeError("a delimiter stands where an element should")
            if tag == 0 and not in_item and self._is_blank(position, end):
                return elements, end
            element, position = self._element(tag, vr, start, length, end, implicit, depth)
            elements.append(element)
        if in_item:
            raise DecodeError("an item has no end")
        return elements, position

    def _header(self, position: int, end: int, implicit: bool) -> tuple[int, str, int, int]:
        self._left -= 1
        if self._left < 0:
            raise DecodeError(f"it has more than {MAX_ELEMENTS:,} elements")
        if position + 8 > end:
            if self._is_blank(position, end):
                return 0, "", end, 0
            raise DecodeError("its data ends inside the header of an element")
        head = self._peek(position, 12)
        group, element = self._tag.unpack_from(head)
        tag = group << 16 | element
        if implicit or group == 0xFFFE:
            return tag, "", position + 8, self._long.unpack_from(head, 4)[0]
        vr = head[4:6]
        if vr in SHORT_VRS:
            return tag, vr.decode("ascii"), position + 8, self._short.unpack_from(head, 6)[0]
        if vr in LONG_VRS:
            if position + 12 > end:
                raise DecodeError("its data ends inside the header of an element")
            return tag, vr.decode("ascii"), position + 12, self._long.unpack_from(head, 8)[0]
        if tag == 0 and self._is_blank(position, end):
            return 0, "", end, 0
        raise DecodeError(
            "it has an element of an unknown value representation"
            if is_vr_letters(vr)
            else "not all of its elements are explicit"
        )

    def _element(
        self, tag: int, vr: str, start: int, length: int, end: int, implicit: bool, depth: int
    ) -> tuple[Element, int]:
        element = Element(tag, vr, start, length)
        if length == UNDEFINED:
            element.undefined = True
            if tag in PIXEL_TAGS and vr in ("OB", "OW", "UN"):
                element.fragments = True
                stop = self._skip_fragments(start, end)
            elif vr == "UN":
                if self._big_endian:
                    raise DecodeError("an unknown sequence is in big endian order")
                element.verbatim = True
                _, stop = self._items(start, end, True, depth, undefined=True)
            elif vr in ("SQ", "") and tag not in PIXEL_TAGS:
                element.items, stop = self._items(start, end, implicit, depth, undefined=True)
            else:
                raise DecodeError("an element that is no sequence has no length")
            element.length = stop - start
            return element, stop
        stop = start + length
        if stop > end:
            raise DecodeError("its data ends inside an element")
        if vr == "SQ" or (implicit and dictionary_vrs(tag) == ("SQ",)):
            element.items, _ = self._items(start, stop, implicit, depth, undefined=False)
        return element, stop

    def _items(
        self, position: int, end: int, implicit: bool, depth: int, *, undefined: bool
    ) -> tuple[list[Item], int]:
        if depth >= MAX_DEPTH:
            raise DecodeError(f"its sequences are nested more than {MAX_DEPTH} deep")
        items: list[Item] = []
        while position < end:
            tag, _, start, length = self._header(position, end, True)
            if tag == SEQUENCE_END and undefined and not length:
                return items, start
            if tag != ITEM:
                raise DecodeError("a sequence holds something that is no item")
            item = Item(start, length == UNDEFINED)
            stop = end if item.undefined else start + length
            if stop > end:
                raise DecodeError("an item is longer than its sequence")
            item.elements, position = self.dataset(
                start, stop, implicit, depth=depth + 1, in_item=item.undefined
            )
            items.append(item)
        if undefined:
            raise DecodeError("a sequence has no end")
        return items, position

    def _skip_fragments(self, position: int, end: int) -> int:
        while position + 8 <= end:
            self._fragments -= 1
            if self._fragments < 0:
                raise DecodeError(f"it has more than {MAX_FRAGMENTS:,} fragments")
            head = self._peek(position, 8)
            group, element = self._tag.unpack_from(head)
            (length,) = self._long.unpack_from(head, 4)
            position += 8
            tag = group << 16 | element
            if tag == SEQUENCE_END and not length:
                return position
            if tag != ITEM or length == UNDEFINED:
                break
            position += length
        raise DecodeError("its compressed pixel data has no end")

    def _is_blank(self, position: int, end: int) -> bool:
        """Whether only NULs follow: padding behind the last element, which is no element."""
        if end - position > _WINDOW:
            return False
        return not any(self._data.read(position, end - position))

    def _peek(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes; fewer at the end."""
        offset = position - self._at
        if not 0 <= offset <= len(self._window) - count:
            size = min(_WINDOW, self._data.size - position)
            self._at, self._window, offset = position, self._data.read(position, size), 0
        return self._window[offset : offset + count]
