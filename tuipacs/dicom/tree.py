"""Every element of a dataset in order, nested ones too, without recursion and without values.

Works on damaged data as far as it goes: :class:`TreeEndedError` then says in words where it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pydicom.datadict import get_entry, private_dictionary_VR

from tuipacs.dicom.encoding import (
    LONG_VRS,
    PIXEL_TAGS,
    SHORT_VRS,
    UNDEFINED,
    Buffer,
    is_vr_letters,
)
from tuipacs.dicom.skip import (
    MAX_DEPTH,
    Budget,
    BudgetSpentError,
    Layout,
    TruncatedError,
    skip_fragments,
)

ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD


class TreeEndedError(Exception):
    """The walk ended before the data did; the message says why, without values."""


class Node(NamedTuple):
    """One element (or item: tag FFFEE000, no VR), with where its value lies.

    ``vr`` is the VR to read the value by: as stored, or from the dictionaries if none or UN is.
    ``length`` is as stored, -1 if undefined; ``stop`` is where the value ends, -1 for what has
    children (they follow as nodes of their own).
    """

    depth: int
    tag: int
    vr: str
    start: int
    stop: int
    length: int
    creator: str = ""


@dataclass
class _Level:
    """A dataset, sequence or item that is being walked."""

    end: int
    depth: int
    implicit: bool
    is_sequence: bool = False
    is_undefined: bool = False
    creators: dict[int, str] | None = None


def tree(data: Buffer, start: int, end: int, *, implicit: bool, big_endian: bool) -> Iterator[Node]:
    """Yield the nodes of the dataset between two offsets, parents before children.

    Raises :class:`TreeEndedError` where the data cannot be followed, or nests deeper than 32.
    """
    return _Tree(data, big_endian).walk(start, end, implicit)


class _Tree:
    def __init__(self, data: Buffer, big_endian: bool) -> None:
        self.data = data
        self.order = "big" if big_endian else "little"
        self.layout = Layout.of(big_endian=big_endian)
        self.budget = Budget(0)  # for fragments; who lists the nodes counts them
        self.position = 0
        self.levels: list[_Level] = []
        self.problem = ""

    def walk(self, start: int, end: int, implicit: bool) -> Iterator[Node]:
        self.position = start
        self.levels = [_Level(end, 0, implicit, creators={})]
        while self.levels:
            level = self.levels[-1]
            if self.position >= level.end:
                if level.is_undefined:
                    self.problem = self.problem or "a sequence or item does not end where it should"
                    break
                self.levels.pop()
                continue
            if self.position + 8 > level.end:
                raise TreeEndedError("the data ends inside the header of an element")
            node = self._item(level) if level.is_sequence else self._element(level)
            if node is not None:
                yield node
        if self.problem:
            raise TreeEndedError(self.problem)

    def _item(self, level: _Level) -> Node | None:
        tag = self._tag()
        (length,) = self.layout.length.unpack_from(self.data, self.position + 4)
        self.position += 8
        if tag == _SEQUENCE_END:
            self.levels.pop()
            return None
        if tag != ITEM:
            raise TreeEndedError("a sequence holds something that is no item")
        start = self.position
        implicit = level.implicit
        if not implicit and start + 6 <= level.end:
            implicit = not is_vr_letters(bytes(self.data[start + 4 : start + 6]))
        self._enter(length, level, implicit, is_sequence=False)
        return Node(level.depth, ITEM, "", start, -1, -1 if length == UNDEFINED else length)

    def _element(self, level: _Level) -> Node | None:
        tag = self._tag()
        stored, start, length = self._header(level)
        self.position = start
        if tag == _ITEM_END:
            self.levels.pop()
            if not level.is_undefined:
                raise TreeEndedError("an item ends before its length says")
            return None
        if tag >> 16 == 0xFFFE:
            raise TreeEndedError("an item or delimiter stands outside of a sequence")
        creator = self._creator(level, tag)
        vr = _vr_of(tag, creator) if stored in ("", "UN") else stored
        claimed = -1 if length == UNDEFINED else length
        if self._has_items(vr, tag, length):
            self._enter(length, level, level.implicit, is_sequence=True)
            return Node(level.depth, tag, "SQ", start, -1, claimed, creator)
        stop = self._stop(level, tag, start, length)
        if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF and level.creators is not None:
            text = bytes(self.data[start : min(stop, start + 64)]).decode("latin_1").strip(" \0")
            level.creators[tag >> 16 << 8 | tag & 0xFF] = text
        self.position = stop
        return Node(level.depth, tag, vr, start, stop, claimed, creator)

    def _header(self, level: _Level) -> tuple[str, int, int]:
        """(VR as stored or empty, start of the value, length) of the element here."""
        data, position = self.data, self.position
        start = position + 8
        _key, vr, length = self.layout.explicit.unpack_from(data, position)
        if level.implicit or not (vr in SHORT_VRS or b"AA" <= vr <= b"ZZ"):
            (length,) = self.layout.length.unpack_from(data, position + 4)
            return "", start, length
        if vr in LONG_VRS:
            if start + 4 > level.end:
                raise TreeEndedError("the data ends inside the header of an element")
            (length,) = self.layout.length.unpack_from(data, start)
            start += 4
        return vr.decode("latin_1"), start, length

    def _has_items(self, vr: str, tag: int, length: int) -> bool:
        if vr == "SQ":
            return True
        if length != UNDEFINED or tag in PIXEL_TAGS or vr not in ("UN", ""):
            return False
        following = bytes(self.data[self.position : self.position + 4])
        return following in (self.layout.item, self.layout.sequence_end)

    def _stop(self, level: _Level, tag: int, start: int, length: int) -> int:
        if length != UNDEFINED and start + length <= level.end:
            return start + length
        if length == UNDEFINED:
            try:
                return skip_fragments(self.data, start, level.end, self.layout, b"", self.budget)
            except TruncatedError:
                pass
            except BudgetSpentError:
                raise TreeEndedError("there are too many fragments") from None
        self.problem = self.problem or f"the data ends inside {tag_text(tag)}"
        return level.end

    def _enter(self, length: int, level: _Level, implicit: bool, *, is_sequence: bool) -> None:
        if level.depth >= 2 * MAX_DEPTH:
            raise TreeEndedError(f"sequences are nested more than {MAX_DEPTH} deep")
        undefined = length == UNDEFINED
        end = level.end if undefined else self.position + length
        if end > level.end:
            self.problem = self.problem or "a sequence or item is longer than what holds it"
            end = level.end
        creators: dict[int, str] | None = None if is_sequence else {}
        self.levels.append(_Level(end, level.depth + 1, implicit, is_sequence, undefined, creators))

    def _creator(self, level: _Level, tag: int) -> str:
        if not tag >> 16 & 1 or level.creators is None or tag & 0xFFFF < 0x1000:
            return ""
        return level.creators.get(tag >> 16 << 8 | tag >> 8 & 0xFF, "")

    def _tag(self) -> int:
        key = bytes(self.data[self.position : self.position + 4])
        if self.layout.big_endian:
            return int.from_bytes(key, "big")
        return int.from_bytes(key[:2], "little") << 16 | int.from_bytes(key[2:], "little")


def tag_text(tag: int) -> str:
    """The usual way to write a tag: ``(0010,0020)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _vr_of(tag: int, creator: str) -> str:
    """The VR of an implicit VR element by the dictionaries (PS3.6, and pydicom's private one)."""
    element = tag & 0xFFFF
    if tag >> 16 & 1:
        if 0x10 <= element <= 0xFF:
            return "LO"
        try:
            return private_dictionary_VR(tag, creator) if creator else "UN"
        except KeyError:
            return "UN"
    if element == 0:
        return "UL"
    try:
        vr = get_entry(tag)[0]
    except KeyError:
        return "UN"
    return "UN" if vr == "NONE" else vr
