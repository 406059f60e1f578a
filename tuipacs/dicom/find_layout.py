"""How elements of an answer are written in one of the uncompressed transfer syntaxes (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

from tuipacs.dicom.charset import CHARSET_VRS
from tuipacs.dicom.encoding import EXPLICIT_BE, IMPLICIT_LE
from tuipacs.dicom.find_charset import Encoding
from tuipacs.dicom.find_object import number_bytes
from tuipacs.domain.find_object import NUMBER_VRS, Value

MAX_SHORT = 0xFFFE  # bytes of a value whose length has 16 bits
_LONG = frozenset(("SQ", "SV", "UC", "UR", "UT", "UV"))
_ITEM = 0xFFFEE000
_MAX_US = 0xFFFF
Elements: TypeAlias = dict[int, Value]


class Layout:
    """One of implicit little, explicit little and explicit big endian."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._big_endian = transfer_syntax_uid == EXPLICIT_BE
        order = ">" if self._big_endian else "<"
        self._is_implicit = transfer_syntax_uid == IMPLICIT_LE
        self._implicit = struct.Struct(f"{order}HHL")
        self._explicit = struct.Struct(f"{order}HH2sH")
        self._length = struct.Struct(f"{order}L")
        self._us = struct.Struct(f"{order}H")

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Of a value that is padded to an even length."""
        length += length & 1
        if self._is_implicit:
            return self._implicit.pack(tag >> 16, tag & 0xFFFF, length)
        if vr in _LONG:
            head = self._explicit.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0)
            return head + self._length.pack(length)
        return self._explicit.pack(tag >> 16, tag & 0xFFFF, vr.encode(), length)

    def elements(self, constants: Mapping[int, tuple[str, str]]) -> bytes:
        """Whole elements of ASCII text, by tag."""
        out = b""
        for tag, (vr, text) in sorted(constants.items()):
            value = text.encode("ascii")
            out += self.header(tag, vr, len(value)) + value + b" " * (len(value) & 1)
        return out

    def heads(
        self, tag: int, vr: str, before: Mapping[int, tuple[str, str]]
    ) -> Callable[[int], bytes]:
        """Makes the header of an element from a length, with the constant elements before it."""
        start = self.elements(before)
        return lambda length: start + self.header(tag, vr, length)

    def us(self, number: int) -> str:
        """A binary number as two characters of Latin-1."""
        return self._us.pack(number).decode("latin_1")

    def dataset(self, elements: Mapping[int, Value], encoding: Encoding | None) -> bytes | None:
        """Elements of all kinds, sequences too; None if the character set cannot say them all.

        Without an ``encoding`` only ASCII can be said.
        """
        parts = []
        for tag, value in sorted(elements.items()):
            if value.vr == "SQ":
                raw = self._items(value, encoding)
            elif value.vr in NUMBER_VRS:
                raw = self._numbers(value)
            else:
                raw = _text_bytes(value, encoding)
            if raw is None:
                return None
            if len(raw) > MAX_SHORT and value.vr not in _LONG:
                raw = b""
            pad = b"\0" if value.vr == "UI" else b" "
            parts.append(self.header(tag, value.vr, len(raw)) + raw + pad * (len(raw) & 1))
        return b"".join(parts)

    def _numbers(self, value: Value) -> bytes:
        if value.vr == "US" and any(int(one or 0) > _MAX_US for one in value.values):
            return b""  # the index has it from an object that says it in another VR
        return number_bytes(value.vr, value.text, big_endian=self._big_endian)

    def _items(self, value: Value, encoding: Encoding | None) -> bytes | None:
        out = []
        for item in value.items:
            raw = self.dataset(item, encoding)
            if raw is None:
                return None
            out.append(self._implicit.pack(_ITEM >> 16, _ITEM & 0xFFFF, len(raw)) + raw)
        return b"".join(out)


def _text_bytes(value: Value, encoding: Encoding | None) -> bytes | None:
    text = value.text
    if value.vr not in CHARSET_VRS:  # ASCII, or as it was read byte for byte
        return text.encode("latin_1", "replace")
    if text.isascii() and "\x1b" not in text:
        return text.encode("ascii")
    return None if encoding is None else encoding.encode(text, is_name=value.vr == "PN")
