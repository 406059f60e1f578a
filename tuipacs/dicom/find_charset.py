"""The character set of an answer: that of the request if it can say all, else UTF-8.

The request's own set is what its sender can surely read; ISO_IR 192 can say everything. Whether a
set can say a text is proven by reading it back, by the way that all received objects go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from tuipacs.dicom.charset import Charset, charset_of

UTF_8 = "ISO_IR 192"
_DELIMITERS = re.compile(r"([\\^=\t\n\x0c\r])")
_TEXT_DELIMITERS = re.compile(r"([\\\t\n\x0c\r])")
_SINGLE = {  # single-byte code tables without code extensions (PS3.3 C.12.1.1.2)
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "ISO_IR 203": "iso8859_15",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
_KATAKANA = re.compile("([\uff61-\uff9f]+)")  # of a single byte in JIS X 0201
# What may follow ASCII or JIS X 0201 in Japanese (PS3.5 H): JIS X 0208, and 0212 after it.
_JAPANESE = {
    ("ISO 2022 IR 87",): "iso2022_jp",
    ("ISO 2022 IR 87", "ISO 2022 IR 159"): "iso2022_jp_1",
}
# Sets that code extensions can call up (PS3.3 tables C.12-3 and C.12-4): codec, and the escape
# sequence that it does not write itself.
_EXTENDED = {
    "ISO 2022 IR 100": ("latin_1", b"\x1b-A"),
    "ISO 2022 IR 101": ("iso8859_2", b"\x1b-B"),
    "ISO 2022 IR 109": ("iso8859_3", b"\x1b-C"),
    "ISO 2022 IR 110": ("iso8859_4", b"\x1b-D"),
    "ISO 2022 IR 126": ("iso8859_7", b"\x1b-F"),
    "ISO 2022 IR 127": ("iso8859_6", b"\x1b-G"),
    "ISO 2022 IR 138": ("iso8859_8", b"\x1b-H"),
    "ISO 2022 IR 144": ("iso8859_5", b"\x1b-L"),
    "ISO 2022 IR 148": ("iso8859_9", b"\x1b-M"),
    "ISO 2022 IR 166": ("tis_620", b"\x1b-T"),
    "ISO 2022 IR 203": ("iso8859_15", b"\x1b-b"),
    "ISO 2022 IR 149": ("euc_kr", b"\x1b$)C"),
    "ISO 2022 IR 58": ("gb2312", b"\x1b$)A"),
    "ISO 2022 IR 87": ("iso2022_jp", b""),
}
_ASCII = ("", "ISO 2022 IR 6")
_MOST_TERMS = 8


class Encoding:
    """A character set to write in; ``term`` goes into (0008,0005)."""

    def __init__(self, term: str, write: Callable[[str, bool], bytes]) -> None:
        self.term = term
        self._write = write
        self._charset: Charset = charset_of(term.encode("ascii"))

    def encode(self, text: str, *, is_name: bool) -> bytes | None:
        """The text's bytes, without padding; None if this set cannot say it."""
        if text.isascii() and "\x1b" not in text:
            return text.encode("ascii")
        try:
            raw = self._write(text, is_name)
        except UnicodeEncodeError:
            return None
        if self.term != UTF_8 and self._charset.decode(raw, is_name=is_name) != (text, ""):
            return None
        return raw


@lru_cache(maxsize=64)
def encodings_for(character_set: bytes) -> tuple[Encoding, ...]:
    """What to try for a request that has this (0008,0005), as stored; UTF-8 comes last."""
    terms = [part.strip(" \0") for part in character_set[:256].decode("latin_1").split("\\")]
    found = []
    if len(terms) == 1 and terms[0] in _SINGLE:
        codec = _SINGLE[terms[0]]
        found.append(Encoding(terms[0], lambda text, _is_name: text.encode(codec)))
    elif terms[0] in ("", "ISO 2022 IR 6", "ISO 2022 IR 13") and tuple(terms[1:]) in _JAPANESE:
        write = _japanese(_JAPANESE[tuple(terms[1:])], katakana=terms[0] == "ISO 2022 IR 13")
        found.append(Encoding("\\".join(terms), _by_parts(write)))
    elif _is_extended(terms):
        found.append(Encoding("\\".join(terms), _by_parts(_extended(terms))))
    found.append(Encoding(UTF_8, lambda text, _is_name: text.encode("utf_8", "replace")))
    return tuple(found)


def _is_extended(terms: list[str]) -> bool:
    """Whether these are code extensions that we write: a first set of one byte, then any."""
    first, *rest = terms
    is_first = first in _ASCII or (first in _EXTENDED and _EXTENDED[first][1][1:2] == b"-")
    return is_first and any(terms) and len(terms) <= _MOST_TERMS and set(rest) <= _EXTENDED.keys()


def _extended(terms: list[str]) -> Callable[[str], bytes]:
    """A part in the first set, which needs no escape sequence, else in one that can say it."""
    first, *rest = terms
    ways = [] if first in _ASCII else [(_EXTENDED[first][0], b"")]
    ways += [_EXTENDED[term] for term in rest]

    def encode(part: str) -> bytes:
        for codec, escape in ways:
            with suppress(UnicodeEncodeError):
                return escape + part.encode(codec)
        return part.encode("ascii")

    return encode


def _by_parts(encode: Callable[[str], bytes]) -> Callable[[str, bool], bytes]:
    """Each part between delimiters by itself, for a delimiter brings the initial set back."""

    def write(text: str, is_name: bool) -> bytes:
        parts = (_DELIMITERS if is_name else _TEXT_DELIMITERS).split(text)
        return b"".join(part.encode("ascii") if part.isascii() else encode(part) for part in parts)

    return write


def _japanese(codec: str, *, katakana: bool) -> Callable[[str], bytes]:
    """With ``katakana`` the initial set is JIS X 0201, and that is what it returns to."""
    if not katakana:
        return lambda part: part.encode(codec)

    def encode(part: str) -> bytes:
        runs = _KATAKANA.split(part)
        runs_of_bytes = [run.encode("shift_jis" if n % 2 else codec) for n, run in enumerate(runs)]
        return b"".join(runs_of_bytes).replace(b"\x1b(B", b"\x1b(J")

    return encode
