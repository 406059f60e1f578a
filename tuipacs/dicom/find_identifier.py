"""The identifier of a C-FIND request (PS3.4 C.4.1.1.3.1), read within bounds.

Nothing here trusts a length or raises anything but `InvalidQueryError`. What is not a clear
question is refused with words, for a guess could show one patient's studies as another's.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tuipacs.dicom.find_key_values import (
    MAX_KEYS,
    KeyCharset,
    ask,
    ask_object,
    key_charset,
    name_of,
)
from tuipacs.dicom.form import Form, form_of
from tuipacs.dicom.tree import tag_text
from tuipacs.dicom.walk import walk
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    BY_TAG,
    CHARACTER_SET_TAG,
    LEVEL_TAG,
    LEVEL_WORDS,
    ORDER,
    PATIENT_ID_TAG,
    RETRIEVE_AE_TAG,
    UNIQUE_KEYS,
    AskedKey,
    FindKey,
    FindModel,
    FindQuery,
)
from tuipacs.domain.find_match import Condition, OneOf
from tuipacs.domain.find_object import REQUESTS_TAG, ObjectKey
from tuipacs.domain.level import Level
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import InvalidObjectError, InvalidQueryError, QueryModelError

MAX_IDENTIFIER = 1 << 20  # bytes
_NOT_KEYS = frozenset((CHARACTER_SET_TAG, LEVEL_TAG))
_CONSTANTS = {RETRIEVE_AE_TAG: "AE", AVAILABILITY_TAG: "CS"}


class _AllTags(frozenset[bytes]):
    """Holds every tag: `walk` is to collect all elements of the top level."""

    def __contains__(self, key: object) -> bool:
        return True


class _Elements(NamedTuple):
    """The top level of an identifier: tag -> VR as stored, and the value."""

    values: dict[int, tuple[str, bytes]]
    form: Form
    character_set: bytes
    charset: KeyCharset
    has_pixels: bool  # which `walk` keeps nothing of

    def raw(self, tag: int) -> bytes:
        return self.values.get(tag, ("", b""))[1]


def read_identifier(
    identifier: bytes | bytearray,
    transfer_syntax_uid: str,
    model: FindModel,
    *,
    constants: dict[int, str],
    is_relational: bool = False,
    assumed_character_set: str = "",
) -> FindQuery:
    """Read what is asked of ``model``; ``is_relational``: as extended negotiation has allowed.

    ``constants`` are the values of Retrieve AE Title and Instance Availability here, which are
    matched at once. ``assumed_character_set``: a defined term for an identifier that names none.
    Raises `QueryModelError` for what the model does not allow (a level it has not, unique keys),
    else `InvalidQueryError` for what cannot be understood; neither carries a value.
    """
    elements = _elements(identifier, transfer_syntax_uid, assumed_character_set)
    reading = _Reading(elements, model, _level(elements, model), is_relational=is_relational)
    for tag in sorted(elements.values):
        if tag & 0xFFFF and tag not in _NOT_KEYS:
            reading.take(tag, constants.get(tag, ""))
    return reading.query()


class _Reading:
    """Takes the keys in the order of their tags and puts the query together."""

    def __init__(
        self, elements: _Elements, model: FindModel, level: Level, *, is_relational: bool
    ) -> None:
        self._elements = elements
        self._model = model
        self._level = level
        self._is_relational = is_relational
        self._keys: list[AskedKey] = []
        self._below: list[AskedKey] = []
        self._object_keys: list[ObjectKey] = []
        self._words: list[str] = []
        self._unsupported = elements.has_pixels
        self._matches_nothing = False

    def take(self, tag: int, constant: str) -> None:
        """One element; ``constant``: the value that it has in all answers."""
        key = BY_TAG.get(tag)
        if tag in _CONSTANTS:
            condition = self._ask(tag, _CONSTANTS[tag])
            self._matches_nothing |= condition is not None and not condition.fits(constant)
        elif key is None:
            self._take_other(tag)
        elif ORDER.index(key.level) <= ORDER.index(self._level):
            self._keys.append(AskedKey(key, self._ask(tag, key.vr)))
        else:
            self._take_below(key)

    def query(self) -> FindQuery:
        """The whole, once its unique keys are checked."""
        if not self._is_relational:
            self._check_above()
        if self._is_relational and not all(key.is_universal for key in self._object_keys):
            self._check_named()
        elements = self._elements
        return FindQuery(
            level=self._level,
            keys=tuple(self._keys),
            object_keys=tuple(self._object_keys),
            below=tuple(self._below),
            is_relational=self._is_relational,
            wants_availability=AVAILABILITY_TAG in elements.values,
            unsupported=self._unsupported,
            matches_nothing=self._matches_nothing,
            character_set=elements.character_set,
            words=", ".join(sorted(self._words, key=lambda word: "=" not in word)),
        )

    def _ask(self, tag: int, vr: str) -> Condition | None:
        elements = self._elements
        asked = ask(
            tag, vr, elements.raw(tag), elements.charset, big_endian=elements.form.big_endian
        )
        self._words.append(asked.words)
        return asked.condition

    def _take_other(self, tag: int) -> None:
        """A key that the index does not hold: stored objects may, of an image or of a series."""
        is_of_series = tag == REQUESTS_TAG and Level.SERIES in self._model.levels
        elements = self._elements
        stored, raw = elements.values[tag]
        if not (self._level is Level.INSTANCE or is_of_series):
            self._words.append(name_of(tag))
            self._unsupported = True
            return
        asked = ask_object(
            tag,
            stored,
            raw,
            elements.charset,
            implicit=elements.form.implicit,
            big_endian=elements.form.big_endian,
        )
        self._words.append(asked.words)
        self._unsupported |= not asked.is_whole
        if asked.key is None:
            return
        if ORDER.index(self._level) >= ORDER.index(Level.SERIES):
            self._object_keys.append(asked.key)
        else:
            self._unsupported = True

    def _take_below(self, key: FindKey) -> None:
        """A key of a lower level. A unique one may have a condition in a relational query only.

        Any other is matched as far as no object has to be looked at: one series has to fit. To pass
        over it would answer far too much, for an asker may overlook 0xFF01.
        """
        self._unsupported = True  # at least it is not returned: an answer has one value
        tag = key.tag
        is_unique = any(tag == UNIQUE_KEYS[lower] for lower in ORDER)
        if is_unique and not self._elements.raw(tag).strip(b" \0"):
            self._words.append(name_of(tag))
            return
        is_allowed = self._is_relational and key.level in self._model.levels
        if is_unique and not is_allowed:
            raise _below(tag)
        condition = self._ask(tag, key.vr)
        if condition is None:
            return
        if not is_allowed and key.level is Level.INSTANCE:
            return
        self._below.append(AskedKey(key, condition))

    def _check_above(self) -> None:
        """Unless it is relational the unique keys above the level are single values (C.4.1.2)."""
        given = {asked.key.tag: asked.condition for asked in self._keys}
        for above in self._model.levels[: self._model.levels.index(self._level)]:
            tag = UNIQUE_KEYS[above]
            condition = given.get(tag)
            if not isinstance(condition, OneOf) or len(condition.values) != 1:
                words = f"{tag_text(tag)} needs one value at this level"
                raise QueryModelError(words, tag=tag)
            (value,) = condition.values
            if tag != PATIENT_ID_TAG and not is_usable_uid(value, longest=MAX_KEPT_UID_LENGTH):
                raise QueryModelError(f"{tag_text(tag)} is not a UID", tag=tag)

    def _check_named(self) -> None:
        """What only the objects know is looked for in some that are named, not in all."""
        unique = (UNIQUE_KEYS[level] for level in ORDER[1:])
        given = {asked.key.tag: asked.condition for asked in self._keys}
        if not any(isinstance(given.get(tag), OneOf) for tag in unique):
            tag = next(key.tag for key in self._object_keys if not key.is_universal)
            raise InvalidQueryError(f"{tag_text(tag)} can be matched below a UID only", tag=tag)


def _below(tag: int) -> QueryModelError:
    return QueryModelError(f"{tag_text(tag)} is below the level", tag=tag)


def _elements(identifier: bytes | bytearray, transfer_syntax_uid: str, assumed: str) -> _Elements:
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
    for key, (vr, raw) in walked.values.items():
        group, element = struct.unpack(order, key)
        values[group << 16 | element] = (vr.decode("latin_1"), raw)
    character_set = values.get(CHARACTER_SET_TAG, ("", b""))[1]
    if not character_set.strip(b" \0"):
        character_set = assumed.encode("ascii", "replace")
    charset = key_charset(character_set)
    return _Elements(values, form, character_set, charset, walked.has_pixels)


def _level(elements: _Elements, model: FindModel) -> Level:
    word = elements.raw(LEVEL_TAG).decode("latin_1").strip(" \0")
    if not word:
        raise QueryModelError("(0008,0052) QueryRetrieveLevel is missing", tag=LEVEL_TAG)
    level = next((level for level, name in LEVEL_WORDS.items() if name == word), None)
    if level not in model.levels:
        raise QueryModelError(f"(0008,0052) no such level in {model.name}", tag=LEVEL_TAG)
    return level
