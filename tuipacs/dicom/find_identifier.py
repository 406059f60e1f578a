"""The identifier of a C-FIND request (PS3.4 C.4.1.1.3.1), read within bounds.

Nothing here trusts a length or raises anything but `InvalidQueryError`. What is not a clear
question is refused with words, for a guess could show one patient's studies as another's.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from pydicom.datadict import keyword_for_tag

from tuipacs.dicom.charset import UNDECLARED_TEXT, Charset, charset_of
from tuipacs.dicom.form import form_of
from tuipacs.dicom.walk import walk
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    BY_TAG,
    CHARACTER_SET_TAG,
    LEVEL_TAG,
    LEVEL_WORDS,
    PATIENT_ID_TAG,
    RETRIEVE_AE_TAG,
    UNIQUE_KEYS,
    AskedKey,
    FindKey,
    FindModel,
    FindQuery,
)
from tuipacs.domain.find_match import WILDCARD_VRS, Condition, OneOf, condition_of
from tuipacs.domain.level import Level
from tuipacs.domain.safe_text import clean
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import InvalidObjectError, InvalidQueryError, QueryModelError

MAX_IDENTIFIER = 1 << 20  # bytes
MAX_KEYS = 500
MAX_TEXT = 1024  # characters of a key: more than the index keeps of a value
_CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST"))
_LEADING_SPACES_COUNT = frozenset(("LT", "ST", "UI"))
_NOT_KEYS = frozenset((CHARACTER_SET_TAG, LEVEL_TAG, RETRIEVE_AE_TAG, AVAILABILITY_TAG))
_CONSTANTS = {RETRIEVE_AE_TAG: "AE", AVAILABILITY_TAG: "CS"}
_ORDER = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE)


class _AllTags(frozenset[bytes]):
    """Holds every tag: `walk` is to collect all elements of the top level."""

    def __contains__(self, key: object) -> bool:
        return True


class _Elements(NamedTuple):
    """The top level of an identifier: tag -> stored value."""

    values: dict[int, bytes]
    big_endian: bool
    charset: Charset


def read_identifier(
    identifier: bytes | bytearray,
    transfer_syntax_uid: str,
    model: FindModel,
    *,
    constants: dict[int, str],
) -> FindQuery:
    """Read what is asked of ``model``.

    ``constants`` are the values of Retrieve AE Title and Instance Availability here, which are
    matched at once. Raises `QueryModelError` for what the model does not allow (a level it has not,
    unique keys), else `InvalidQueryError` for what cannot be understood; neither carries a value.
    """
    elements = _elements(identifier, transfer_syntax_uid)
    level = _level(elements, model)
    asked: list[AskedKey] = []
    words: list[str] = []
    unsupported = False
    matches_nothing = False
    for tag, raw in sorted(elements.values.items()):
        if tag in _CONSTANTS:
            condition, text = _condition(tag, _CONSTANTS[tag], raw, elements)
            matches_nothing |= condition is not None and not condition.fits(constants[tag])
        elif tag & 0xFFFF == 0 or tag in _NOT_KEYS:
            continue
        else:
            key = BY_TAG.get(tag)
            if key is None or _ORDER.index(key.level) > _ORDER.index(level):
                _check_not_below(tag, key, raw, elements, level)
                unsupported = True
                text = ""
            else:
                condition, text = _condition(tag, key.vr, raw, elements)
                asked.append(AskedKey(key, condition))
        name = _name(tag)
        words.append(f"{name}={clean(text, limit=80)}" if text else name)
    _check_above(asked, model, level)
    return FindQuery(
        level=level,
        keys=tuple(asked),
        wants_availability=AVAILABILITY_TAG in elements.values,
        unsupported=unsupported,
        matches_nothing=matches_nothing,
        character_set=elements.values.get(CHARACTER_SET_TAG, b""),
        words=", ".join(sorted(words, key=lambda word: "=" not in word)),
    )


def _elements(identifier: bytes | bytearray, transfer_syntax_uid: str) -> _Elements:
    if not identifier:
        raise InvalidQueryError("the identifier is empty")
    try:
        form = form_of(identifier, 0, transfer_syntax_uid)
        walked = walk(
            identifier,
            form.start,
            implicit=form.implicit,
            big_endian=form.big_endian,
            wanted=_AllTags(),
        )
    except InvalidObjectError as error:
        raise InvalidQueryError(f"the identifier: {error.message}") from error
    if walked.is_cut_short or walked.remarks:
        raise InvalidQueryError(f"the identifier: {'; '.join(walked.remarks)}")
    if len(walked.values) > MAX_KEYS:
        raise InvalidQueryError(f"the identifier has more than {MAX_KEYS} keys")
    order = ">HH" if form.big_endian else "<HH"
    values = {}
    for key, (_vr, raw) in walked.values.items():
        group, element = struct.unpack(order, key)
        values[group << 16 | element] = raw
    charset = charset_of(values.get(CHARACTER_SET_TAG, b"")[:1024])
    return _Elements(values, form.big_endian, charset)


def _level(elements: _Elements, model: FindModel) -> Level:
    word = elements.values.get(LEVEL_TAG, b"").decode("latin_1").strip(" \0")
    if not word:
        raise QueryModelError("(0008,0052) QueryRetrieveLevel is missing")
    level = next((level for level, name in LEVEL_WORDS.items() if name == word), None)
    if level not in model.levels:
        raise QueryModelError(f"(0008,0052) no such level in {model.name}")
    return level


def _check_not_below(
    tag: int, key: FindKey | None, raw: bytes, elements: _Elements, level: Level
) -> None:
    """A key of a lower level with a condition: to pass over it would answer far too much.

    An asker that overlooks 0xFF01 would take all studies for those with the Modality it named.
    """
    is_unique = any(tag == UNIQUE_KEYS[lower] for lower in _ORDER[_ORDER.index(level) + 1 :])
    if is_unique and not raw.strip(b" \0"):
        return
    if is_unique or (key and _condition(tag, key.vr, raw, elements)[0] is not None):
        raise QueryModelError(f"{_named(tag)} is below the level")


def _check_above(asked: list[AskedKey], model: FindModel, level: Level) -> None:
    """Without relational queries the unique keys above the level are single values (C.4.1.2)."""
    given = {one.key.tag: one.condition for one in asked}
    for above in model.levels[: model.levels.index(level)]:
        tag = UNIQUE_KEYS[above]
        condition = given.get(tag)
        if not isinstance(condition, OneOf) or len(condition.values) != 1:
            raise QueryModelError(f"{_named(tag)} needs one value at this level")
        (value,) = condition.values
        if tag != PATIENT_ID_TAG and not is_usable_uid(value, longest=MAX_KEPT_UID_LENGTH):
            raise QueryModelError(f"{_named(tag)} is not a UID")


def _condition(tag: int, vr: str, raw: bytes, elements: _Elements) -> tuple[Condition | None, str]:
    try:
        text = _text(vr, raw, elements)
        return condition_of(vr, text), text
    except InvalidQueryError as error:
        raise InvalidQueryError(f"{_named(tag)} {error.message}") from None


def _text(vr: str, raw: bytes, elements: _Elements) -> str:
    """The text of a value as the index keeps it: without the padding that means nothing."""
    if vr == "US":
        if len(raw) not in (0, 2):
            raise InvalidQueryError("is not one number of two bytes")
        return str(int.from_bytes(raw, "big" if elements.big_endian else "little")) if raw else ""
    if vr in _CHARSET_VRS:
        text, remark = elements.charset.decode(raw, is_name=vr == "PN")
        is_named = bool(elements.values.get(CHARACTER_SET_TAG, b"").strip(b" \0"))
        if remark and (remark != UNDECLARED_TEXT or is_named):
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


def _name(tag: int) -> str:
    key: FindKey | None = BY_TAG.get(tag)
    keyword = key.keyword if key else "" if tag >> 16 & 1 else keyword_for_tag(tag)
    return keyword or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _named(tag: int) -> str:
    """For an error comment of at most 64 characters."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
