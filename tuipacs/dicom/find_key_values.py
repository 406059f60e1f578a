"""What the elements of an identifier ask: their texts, conditions, and keys within sequences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydicom.datadict import keyword_for_tag

from tuipacs.dicom.charset import CHARSET_VRS, UNDECLARED_TEXT, Charset, charset_of
from tuipacs.dicom.find_items import Element, read_items
from tuipacs.dicom.find_object import numbers_text, supported_vr
from tuipacs.dicom.tree import tag_text
from tuipacs.domain.find import BY_TAG, CHARACTER_SET_TAG
from tuipacs.domain.find_match import WILDCARD_VRS, Condition, condition_of
from tuipacs.domain.find_object import MAX_DEPTH, NUMBER_VRS, ObjectKey
from tuipacs.domain.safe_text import clean
from tuipacs.errors import InvalidObjectError, InvalidQueryError

MAX_TEXT = 1024  # characters of a key: more than the index keeps of a value
MAX_KEYS = 500
_LEADING_SPACES_COUNT = frozenset(("LT", "ST", "UI", "UT"))


class KeyCharset(NamedTuple):
    """How the texts of an identifier are read. ``is_named``: it says so, or its node is set so."""

    charset: Charset
    is_named: bool


def key_charset(stored: bytes) -> KeyCharset:
    """Of what stands in, or is assumed for, (0008,0005)."""
    return KeyCharset(charset_of(stored[:1024]), bool(stored.strip(b" \0")))


class Asked(NamedTuple):
    """A key as it was asked for, and its words for the audit log (PHI)."""

    condition: Condition | None
    words: str


class AskedObject(NamedTuple):
    """The same for a key that stored objects answer; None for one that they cannot."""

    key: ObjectKey | None
    words: str
    is_whole: bool = True  # False where keys within it are passed over


def ask(tag: int, vr: str, raw: bytes, charset: KeyCharset, *, big_endian: bool) -> Asked:
    """What a key of this VR asks. Raises `InvalidQueryError`, with the tag and never the value."""
    try:
        text = _text(vr, raw, charset, big_endian=big_endian)
        return Asked(condition_of(vr, text), _words(tag, text))
    except InvalidQueryError as error:
        raise InvalidQueryError(f"{tag_text(tag)} {error.message}", tag=tag) from None


def ask_object(
    tag: int, stored: str, raw: bytes, charset: KeyCharset, *, implicit: bool, big_endian: bool
) -> AskedObject:
    """A key for the headers of stored objects; ``stored``: the VR that it came with, if any.

    Raises `InvalidQueryError`.
    """
    vr = supported_vr(tag, stored)
    if not vr:
        return AskedObject(None, name_of(tag), is_whole=False)
    if vr != "SQ":
        asked = ask(tag, vr, raw, charset, big_endian=big_endian)
        return AskedObject(ObjectKey(tag, vr, asked.condition), asked.words)
    try:
        items = read_items(tag, raw, implicit=implicit or stored == "UN", big_endian=big_endian)
    except InvalidObjectError as error:
        raise InvalidQueryError(f"{tag_text(tag)} {error.message}", tag=tag) from None
    return _ask_items(tag, items, charset, big_endian=big_endian, depth=MAX_DEPTH)


def _ask_items(
    tag: int,
    items: tuple[Mapping[int, Element], ...],
    charset: KeyCharset,
    *,
    big_endian: bool,
    depth: int,
) -> AskedObject:
    """The one item of a sequence (PS3.4 C.2.2.2.6); without any key in it all of it is wanted."""
    if len(items) > 1:
        raise InvalidQueryError(f"{tag_text(tag)} has more than one item", tag=tag)
    if not depth:
        raise InvalidQueryError(f"{tag_text(tag)} is nested too deep", tag=tag)
    item = items[0] if items else {}
    if len(item) > MAX_KEYS:
        raise InvalidQueryError(f"{tag_text(tag)} has more than {MAX_KEYS} keys", tag=tag)
    if CHARACTER_SET_TAG in item:
        charset = key_charset(item[CHARACTER_SET_TAG].raw)
    keys: list[ObjectKey] = []
    words: list[str] = []
    is_whole = True
    for inner, element in sorted(item.items()):
        if inner & 0xFFFF == 0 or inner == CHARACTER_SET_TAG:
            continue
        asked = _ask_inner(inner, element, charset, big_endian=big_endian, depth=depth)
        if asked.key is not None:
            keys.append(asked.key)
        is_whole &= asked.is_whole
        words.append(asked.words)
    inside = f"({', '.join(words)})" if words else ""
    if words and not keys:  # to ask for none of them is not to ask for all
        return AskedObject(None, name_of(tag) + inside, is_whole=False)
    return AskedObject(
        ObjectKey(tag, "SQ", items=tuple(keys)), name_of(tag) + inside, is_whole=is_whole
    )


def _ask_inner(
    tag: int, element: Element, charset: KeyCharset, *, big_endian: bool, depth: int
) -> AskedObject:
    vr = supported_vr(tag, element.vr)
    if not vr:
        return AskedObject(None, name_of(tag), is_whole=False)
    if vr == "SQ":
        return _ask_items(tag, element.items, charset, big_endian=big_endian, depth=depth - 1)
    asked = ask(tag, vr, element.raw, charset, big_endian=big_endian)
    return AskedObject(ObjectKey(tag, vr, asked.condition), asked.words)


def _text(vr: str, raw: bytes, charset: KeyCharset, *, big_endian: bool) -> str:
    """The text of a value as the index keeps it: without the padding that means nothing."""
    if vr in NUMBER_VRS:
        numbers = numbers_text(vr, raw, big_endian=big_endian)
        if numbers is None or "\\" in numbers:
            raise InvalidQueryError("is not one number")
        return numbers
    if vr in CHARSET_VRS:
        text, remark = charset.charset.decode(raw, is_name=vr == "PN")
        if remark and (remark != UNDECLARED_TEXT or charset.is_named):
            raise InvalidQueryError("has bytes that its character set does not allow")
    else:
        text = raw.decode("latin_1")
    text = text.rstrip("\0 ")
    if vr not in _LEADING_SPACES_COUNT:
        text = text.lstrip(" ")
    if vr in WILDCARD_VRS:
        text = re.sub(r"\*+", "*", text)
    if vr != "UI" and len(text) > MAX_TEXT:
        raise InvalidQueryError(f"is longer than {MAX_TEXT:,} characters")
    return text


def _words(tag: int, text: str) -> str:
    name = name_of(tag)
    return f"{name}={clean(text, limit=80)}" if text else name


def name_of(tag: int) -> str:
    """Its keyword, or the tag where it has none."""
    key = BY_TAG.get(tag)
    keyword = key.keyword if key else "" if tag >> 16 & 1 else keyword_for_tag(tag)
    return keyword or tag_text(tag)
