"""Values for a query from the header of a stored object (PS3.4 C.4.1.1.3.2).

Read is what stands before the pixel data, within bounds, and nothing is trusted: what cannot be
read is said to be missing, and never fails the query.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, NamedTuple, NoReturn

from pydicom.datadict import get_entry

from tuipacs.dicom import deflated
from tuipacs.dicom.charset import CHARSET_VRS, Charset, charset_of
from tuipacs.dicom.encoding import DEFLATED, EXPLICIT_LE, NUMBER_CODES
from tuipacs.dicom.find_items import Element, read_items
from tuipacs.dicom.form import form_of
from tuipacs.dicom.walk import walk
from tuipacs.domain.find import CHARACTER_SET_TAG
from tuipacs.domain.find_object import (
    MAX_DEPTH,
    MAX_VALUE,
    MAX_VALUES,
    NUMBER_VRS,
    TEXT_VRS,
    ObjectKey,
    Value,
)
from tuipacs.errors import InvalidObjectError

_SIGNED_TAG = 0x00280103  # Pixel Representation: of the elements that are "US or SS"
_EITHER = "US or SS"
_FIRST_BYTES, _MOST_BYTES = 64 << 10, 16 << 20  # of a file that are read
_LEADING_SPACES_COUNT = frozenset(("LT", "ST", "UT", "UI"))


class ObjectValues(NamedTuple):
    """What an object answers, by tag. ``is_whole`` is False where something could not be read."""

    values: Mapping[int, Value]
    is_whole: bool


NOTHING = ObjectValues({}, False)


def supported_vr(tag: int, stored: str = "") -> str:
    """The VR in which a stored object's attribute can be asked for; empty if it cannot.

    ``stored``: the VR that it comes with. See `tuipacs.domain.find_object` for what is left out.
    """
    if tag >> 16 & 1 or tag >> 16 < 8 or tag & 0xFFFF == 0 or tag >> 16 in (0x7FE0, 0xFFFE):
        return ""
    try:
        vr = str(get_entry(tag)[0])
    except KeyError:
        return ""
    if vr == _EITHER:
        return stored if stored in ("US", "SS") else "US"
    return vr if vr in TEXT_VRS or vr in NUMBER_VRS or vr == "SQ" else ""


def read_object(
    file: BinaryIO, header_size: int, transfer_syntax_uid: str, keys: Sequence[ObjectKey]
) -> ObjectValues:
    """The values of ``keys`` in a stored file whose dataset begins at ``header_size``.

    Raises `InvalidObjectError` if the dataset cannot be read; `OSError` passes.
    """
    for limit in (_FIRST_BYTES, _MOST_BYTES):
        file.seek(header_size)
        data = file.read(limit)
        is_all = len(data) < limit
        if transfer_syntax_uid in DEFLATED:
            data, is_all = _inflated(data, limit, is_all=is_all)
        try:
            return _read(data, transfer_syntax_uid, keys, is_all=is_all)
        except _MoreError:
            continue
    raise InvalidObjectError("the header is longer than 16 MiB")


class _MoreError(Exception):
    """The header is longer than what was read of it."""


def _inflated(data: bytes, limit: int, *, is_all: bool) -> tuple[bytes, bool]:
    try:
        inflated = deflated.inflate(data, limit)
    except InvalidObjectError:
        if is_all:
            raise
        _more()
    return inflated.data, inflated.is_complete


def _more() -> NoReturn:
    raise _MoreError


def _read(
    data: bytes, transfer_syntax_uid: str, keys: Sequence[ObjectKey], *, is_all: bool
) -> ObjectValues:
    syntax = EXPLICIT_LE if transfer_syntax_uid in DEFLATED else transfer_syntax_uid
    form = form_of(data, 0, syntax)
    tags = (CHARACTER_SET_TAG, _SIGNED_TAG, *(key.tag for key in keys))
    order = ">HH" if form.big_endian else "<HH"
    wanted = {struct.pack(order, tag >> 16, tag & 0xFFFF): tag for tag in tags}
    try:
        walked = walk(
            data,
            form.start,
            implicit=form.implicit,
            big_endian=form.big_endian,
            wanted=frozenset(wanted),
        )
    except InvalidObjectError:
        if is_all:
            raise
        _more()
    if walked.is_cut_short and not walked.has_pixels and not is_all:
        _more()
    stored = {wanted[key]: found for key, found in walked.values.items()}
    charset = charset_of(stored.get(CHARACTER_SET_TAG, (b"", b""))[1][:1024])
    signed = stored.get(_SIGNED_TAG, (b"", b""))[1][:2].strip(b"\0") != b""
    reader = _Reader(charset, signed=signed, big_endian=form.big_endian)
    values: dict[int, Value] = {}
    for key in keys:
        if key.tag in stored:
            vr, raw = stored[key.tag]
            value = reader.top(key, vr.decode("latin_1"), raw, implicit=form.implicit)
            if value is not None:
                values[key.tag] = value
    is_whole = reader.is_whole and (walked.has_pixels or not walked.is_cut_short)
    return ObjectValues(values, is_whole)


class _Reader:
    """Turns elements into values; ``is_whole`` becomes False where one could not be."""

    def __init__(self, charset: Charset, *, signed: bool, big_endian: bool) -> None:
        self._charset = charset
        self._signed = signed
        self._big_endian = big_endian
        self._room = MAX_VALUES
        self.is_whole = True

    def top(self, key: ObjectKey, stored: str, raw: bytes, *, implicit: bool) -> Value | None:
        """The value of an element of the dataset itself."""
        if key.vr != "SQ":
            return self._value(key.tag, stored, raw, self._charset)
        if stored not in ("SQ", "UN", "") or len(raw) > MAX_VALUES:
            return self._missing()
        try:
            items = read_items(
                key.tag, raw, implicit=implicit or stored == "UN", big_endian=self._big_endian
            )
        except InvalidObjectError:
            return self._missing()
        return Value("SQ", items=self._items(items, key.items, self._charset, MAX_DEPTH))

    def _items(
        self,
        items: Iterable[Mapping[int, Element]],
        keys: Sequence[ObjectKey],
        charset: Charset,
        depth: int,
    ) -> tuple[Mapping[int, Value], ...]:
        """Of each item the ``keys``, or without any all that may be returned."""
        if not depth:
            self._missing()
            return ()
        return tuple(self._item(item, keys, charset, depth) for item in items)

    def _item(
        self,
        item: Mapping[int, Element],
        keys: Sequence[ObjectKey],
        charset: Charset,
        depth: int,
    ) -> Mapping[int, Value]:
        if CHARACTER_SET_TAG in item:
            charset = charset_of(item[CHARACTER_SET_TAG].raw[:1024])
        wanted = keys or [
            ObjectKey(tag, vr)
            for tag, element in sorted(item.items())
            if tag != CHARACTER_SET_TAG and (vr := supported_vr(tag, element.vr))
        ]
        found: dict[int, Value] = {}
        for key in wanted:
            element = item.get(key.tag)
            if element is None:
                continue
            if key.vr == "SQ":
                below = self._items(element.items, key.items, charset, depth - 1)
                found[key.tag] = Value("SQ", items=below)
            elif (value := self._value(key.tag, element.vr, element.raw, charset)) is not None:
                found[key.tag] = value
        return found

    def _value(self, tag: int, stored: str, raw: bytes, charset: Charset) -> Value | None:
        if stored == _EITHER:  # by the dictionary: nothing is stored
            stored = ""
        vr = supported_vr(tag, stored or ("SS" if self._signed else "US"))
        self._room -= len(raw)
        if len(raw) > MAX_VALUE or self._room < 0:
            return self._missing()
        if vr in TEXT_VRS and (stored in TEXT_VRS or stored in ("", "UN")):
            return Value(vr, value_text(vr, raw, charset))
        if vr in NUMBER_VRS and stored in (vr, "", "UN"):
            text = numbers_text(vr, raw, big_endian=self._big_endian)
            return self._missing() if text is None else Value(vr, text)
        return self._missing()

    def _missing(self) -> Value | None:
        self.is_whole = False
        return None


def value_text(vr: str, raw: bytes, charset: Charset) -> str:
    """A text without the padding that means nothing (PS3.5 6.2), each value by itself."""
    has_charset = vr in CHARSET_VRS
    text = charset.decode(raw, is_name=vr == "PN")[0] if has_charset else raw.decode("latin_1")
    text = text.rstrip("\0 ")
    if vr in _LEADING_SPACES_COUNT:
        return text
    return "\\".join(part.strip("\0 ") for part in text.split("\\"))


def numbers_text(vr: str, raw: bytes, *, big_endian: bool) -> str | None:
    """Binary numbers as text, joined with backslashes; None if the length does not fit."""
    order = ">" if big_endian else "<"
    code = "HH" if vr == "AT" else NUMBER_CODES[vr]
    try:
        found = list(struct.iter_unpack(order + code, raw))
    except struct.error:
        return None
    if vr == "AT":
        return "\\".join(f"{group:04X}{element:04X}" for group, element in found)
    return "\\".join(repr(number) for (number,) in found)


def number_bytes(vr: str, text: str, *, big_endian: bool) -> bytes:
    """What `numbers_text` has read."""
    order = ">" if big_endian else "<"
    parts = text.split("\\") if text else []
    if vr == "AT":
        pairs = ((int(part[:4], 16), int(part[4:], 16)) for part in parts)
        return b"".join(struct.pack(f"{order}HH", *pair) for pair in pairs)
    kind = float if vr in ("FL", "FD") else int
    return b"".join(struct.pack(order + NUMBER_CODES[vr], kind(part)) for part in parts)
