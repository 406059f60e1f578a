"""Answers of C-FIND (PS3.4 C.4.1.1.3.2), from rows of text to bytes.

What is the same in all answers of a query (tags, VRs, constant elements) is encoded once. A row of
ASCII, as nearly all are, is then one join of short strings and one encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tuipacs.dicom.charset import CHARSET_VRS
from tuipacs.dicom.find_charset import Encoding, encodings_for
from tuipacs.dicom.find_layout import MAX_SHORT, Elements, Layout
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    CHARACTER_SET_TAG,
    LEVEL_TAG,
    LEVEL_WORDS,
    RETRIEVE_AE_TAG,
    FindQuery,
)
from tuipacs.domain.find_object import Value

ONLINE = "ONLINE"
_MAX_US = 0xFFFF


class _TooLongError(Exception):
    """A value does not fit into its element."""


class _Heads(dict[int, str]):
    """What stands before a value of so many bytes, as characters of Latin-1."""

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, length: int) -> str:
        if length > MAX_SHORT:
            raise _TooLongError
        head = self[length] = self._make(length).decode("latin_1")
        return head


class AnswerEncoder:
    """Encodes the answers of one query. A row has a text for each of the query's keys."""

    def __init__(self, query: FindQuery, transfer_syntax_uid: str, retrieve_ae_title: str) -> None:
        self._layout = Layout(transfer_syntax_uid)
        self._object_keys = query.object_keys
        constants = {LEVEL_TAG: ("CS", LEVEL_WORDS[query.level])}
        constants[RETRIEVE_AE_TAG] = ("AE", retrieve_ae_title)
        if query.wants_availability:
            constants[AVAILABILITY_TAG] = ("CS", ONLINE)
        self._constants = constants
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

    def encode_with(self, row: Sequence[str], values: Mapping[int, Value]) -> bytes:
        """The identifier of one answer that has values from a stored object as well, by tag."""
        elements: Elements = {
            key.tag: Value(key.vr, text) for key, text in zip(self._keys, row, strict=True)
        }
        for tag, (vr, text) in self._constants.items():
            elements[tag] = Value(vr, text)
        for key in self._object_keys:
            elements[key.tag] = values.get(key.tag, Value(key.vr))
        plain = self._layout.dataset(elements, None)
        if plain is not None:
            return plain
        for encoding in self._encodings:
            elements[CHARACTER_SET_TAG] = Value("CS", encoding.term)
            whole = self._layout.dataset(elements, encoding)
            if whole is not None:
                return whole
        raise AssertionError("UTF-8 can say everything")

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
            if self._keys[n].vr in CHARSET_VRS and not (text.isascii() and "\x1b" not in text):
                value = encoding.encode(text, is_name=self._keys[n].vr == "PN")
                if value is None:
                    return None
                values[n] = value.decode("latin_1")
        return values


def _cut(text: str) -> str:
    """The whole values of a text that fit, also where a character takes four bytes."""
    if len(text) * 4 <= MAX_SHORT:
        return text
    return text[: MAX_SHORT // 4].rpartition("\\")[0]
