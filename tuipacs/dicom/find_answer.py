"""Answers of C-FIND (PS3.4 C.4.1.1.3.2), from rows of text to bytes.

What is the same in all answers of a query (tags, VRs, constant elements) is encoded once. A row of
ASCII, as nearly all are, is then one join of short strings and one encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from tuipacs.dicom.encoding import EXPLICIT_BE, IMPLICIT_LE
from tuipacs.dicom.find_charset import Encoding, encodings_for
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    CHARACTER_SET_TAG,
    LEVEL_TAG,
    LEVEL_WORDS,
    RETRIEVE_AE_TAG,
    FindQuery,
)

ONLINE = "ONLINE"
_MAX_LENGTH = 0xFFFE  # bytes of a value whose length has 16 bits
_MAX_US = 0xFFFF
_CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST"))


class _TooLongError(Exception):
    """A value does not fit into its element."""


class _Heads(dict[int, str]):
    """What stands before a value of so many bytes, as characters of Latin-1."""

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, length: int) -> str:
        if length > _MAX_LENGTH:
            raise _TooLongError
        head = self[length] = self._make(length).decode("latin_1")
        return head


class AnswerEncoder:
    """Encodes the answers of one query. A row has a text for each of the query's keys."""

    def __init__(self, query: FindQuery, transfer_syntax_uid: str, retrieve_ae_title: str) -> None:
        self._layout = _Layout(transfer_syntax_uid)
        constants = {LEVEL_TAG: ("CS", LEVEL_WORDS[query.level])}
        constants[RETRIEVE_AE_TAG] = ("AE", retrieve_ae_title)
        if query.wants_availability:
            constants[AVAILABILITY_TAG] = ("CS", ONLINE)
        self._keys = tuple(asked.key for asked in query.keys)
        self._heads = []
        before = 0
        for key in self._keys:
            between = {tag: c for tag, c in constants.items() if before < tag < key.tag}
            self._heads.append(_Heads(self._layout.heads(key.tag, key.vr, between)))
            before = key.tag
        after = {tag: c for tag, c in constants.items() if tag > before}
        self._tail = self._layout.elements(after).decode("latin_1")
        self._pads = [("", "\0" if key.vr == "UI" else " ") for key in self._keys]
        self._plan = tuple(zip(self._heads, self._pads, strict=True))
        self._numbers = tuple(n for n, key in enumerate(self._keys) if key.vr == "US")
        self._encodings = encodings_for(query.character_set)

    def encode(self, row: Sequence[str]) -> bytes:
        """The identifier of one answer."""
        try:
            if not "".join(row).isascii():
                return self._encode_text(self._with_numbers(row))
            if self._numbers:
                row = self._with_numbers(row)
            parts = [
                f"{head[len(text)]}{text}{pad[len(text) & 1]}"
                for (head, pad), text in zip(self._plan, row, strict=True)
            ]
        except _TooLongError:
            return self.encode([_cut(text) for text in row])
        return ("".join(parts) + self._tail).encode("latin_1")

    def _with_numbers(self, row: Sequence[str]) -> list[str]:
        """With binary values in place of their digits, as characters of Latin-1."""
        changed = list(row)
        for n in self._numbers:
            number = int(changed[n] or _MAX_US + 1)
            changed[n] = self._layout.us(number) if number <= _MAX_US else ""
        return changed

    def _encode_text(self, row: Sequence[str]) -> bytes:
        """Not only ASCII: in the first character set that can say it, which is named."""
        for encoding in self._encodings:
            values = self._values(row, encoding)
            if values is not None:
                break
        else:
            raise AssertionError("UTF-8 can say everything")
        named = self._layout.elements({CHARACTER_SET_TAG: ("CS", encoding.term)})
        parts = [
            f"{head[len(value)]}{value}{pad[len(value) & 1]}"
            for (head, pad), value in zip(self._plan, values, strict=True)
        ]
        return named + ("".join(parts) + self._tail).encode("latin_1", "replace")

    def _values(self, row: Sequence[str], encoding: Encoding) -> list[str] | None:
        """The row's values in a character set, their bytes as characters of Latin-1."""
        values = list(row)
        for n, text in enumerate(row):
            # What is not of a character set is ASCII, or as the index read it byte for byte.
            if self._keys[n].vr in _CHARSET_VRS and not (text.isascii() and "\x1b" not in text):
                value = encoding.encode(text, is_name=self._keys[n].vr == "PN")
                if value is None:
                    return None
                values[n] = value.decode("latin_1")
        return values


class _Layout:
    """How elements are written in one of the uncompressed transfer syntaxes (PS3.5 7.1)."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
        self._implicit = transfer_syntax_uid == IMPLICIT_LE
        self._header = struct.Struct(order + ("HHL" if self._implicit else "HH2sH"))
        self._us = struct.Struct(order + "H")

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Of a value that is padded to an even length. All VRs here have short lengths."""
        length += length & 1
        if self._implicit:
            return self._header.pack(tag >> 16, tag & 0xFFFF, length)
        return self._header.pack(tag >> 16, tag & 0xFFFF, vr.encode(), length)

    def elements(self, constants: dict[int, tuple[str, str]]) -> bytes:
        """Whole elements of ASCII text, by tag."""
        out = b""
        for tag, (vr, text) in sorted(constants.items()):
            value = text.encode("ascii")
            out += self.header(tag, vr, len(value)) + value + b" " * (len(value) & 1)
        return out

    def heads(
        self, tag: int, vr: str, before: dict[int, tuple[str, str]]
    ) -> Callable[[int], bytes]:
        """Makes the header of an element from a length, with the constant elements before it."""
        start = self.elements(before)
        return lambda length: start + self.header(tag, vr, length)

    def us(self, number: int) -> str:
        """A binary number as two characters of Latin-1."""
        return self._us.pack(number).decode("latin_1")


def _cut(text: str) -> str:
    """The whole values of a text that fit, also where a character takes four bytes."""
    if len(text) * 4 <= _MAX_LENGTH:
        return text
    return text[: _MAX_LENGTH // 4].rpartition("\\")[0]
