"""From the bytes of one indexed value to what the index keeps (PS3.5 6.2)."""

from __future__ import annotations

import re

from pydicom.datadict import keyword_for_tag

from tuipacs.dicom.charset import Charset
from tuipacs.dicom.indexed_tags import Indexed

# Longest texts that the index keeps, in characters: far above what each VR allows.
MAX_TEXT = 1024
MAX_LONG_TEXT = 10240
MAX_RAW_TEXT = 64 << 10  # bytes that are decoded at all
MAX_INTEGER = (1 << 31) - 1

_TEXT_VRS = frozenset((b"LO", b"SH", b"PN", b"LT", b"ST"))
_PADDED_VRS = frozenset((b"AE", b"CS", b"LO", b"PN", b"SH"))  # leading spaces mean nothing (6.2)
_NUMBER_TEXT_VRS = frozenset((b"IS", b"DS"))
_BINARY_INTEGERS = {b"US": (2, False), b"SS": (2, True), b"UL": (4, False), b"SL": (4, True)}
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}(?:\.0*)?")


def text_of(indexed: Indexed, raw: bytes, charset: Charset, remarks: dict[str, None]) -> str:
    """The text of a value without padding; several values stay joined with backslashes.

    A text longer than the index keeps is cut and remarked.
    """
    vr = indexed.vr
    limit = MAX_LONG_TEXT if vr == b"LT" else MAX_TEXT
    is_cut = len(raw) > MAX_RAW_TEXT
    if is_cut:
        raw = raw[:MAX_RAW_TEXT]
    if vr in _TEXT_VRS:
        text, remark = charset.decode(raw, is_name=vr == b"PN")
        if remark:
            remarks[remark] = None
    else:
        text = raw.decode("latin_1")
    text = text.rstrip("\0 ")
    if vr == b"PN":
        text = _without_empty_groups(text)
    elif vr in _NUMBER_TEXT_VRS:
        text = "\\".join(part.strip() for part in text.split("\\"))
    elif "\\" in text and vr in _PADDED_VRS:
        text = "\\".join(part.strip("\0 ") for part in text.split("\\"))
    if text[:1] == " " and vr in _PADDED_VRS:
        text = text.lstrip(" ")
    if is_cut or len(text) > limit:
        remarks[f"{keyword(indexed)} was cut to {limit} characters for the index"] = None
        text = text[:limit]
    return text


def integer_of(
    indexed: Indexed, vr: bytes, raw: bytes, big_endian: bool, remarks: dict[str, None]
) -> int:
    """The number of a value that must be a whole one, at least 0; 0 and a remark if it is none.

    ``vr`` is the VR as stored, empty if implicit. Of several binary values the first counts.
    """
    if not raw:
        return 0
    stored = vr if vr in _BINARY_INTEGERS or vr in _NUMBER_TEXT_VRS else indexed.vr
    if stored in _BINARY_INTEGERS:
        size, signed = _BINARY_INTEGERS[stored]
        number = int.from_bytes(raw[:size], "big" if big_endian else "little", signed=signed)
        if len(raw) != size:
            remarks[f"{keyword(indexed)} has not the length of one number"] = None
            number = number if len(raw) % size == 0 else 0
    else:
        text = raw.decode("latin_1").strip(" \0")
        if not text:
            return 0
        number = int(text.split(".")[0]) if _INTEGER.fullmatch(text) else -1
    if 0 <= number <= MAX_INTEGER:
        return number
    remarks[f"{keyword(indexed)} is not a number that makes sense"] = None
    return 0


def keyword(indexed: Indexed) -> str:
    """The keyword of an element, for remarks."""
    return keyword_for_tag(indexed.tag)


def _without_empty_groups(text: str) -> str:
    if "=" not in text:
        return text
    return "\\".join(name.rstrip("=") for name in text.split("\\"))
