"""The character set of an answer: that of the request if it can say all, else UTF-8.

The request's own set is what its sender can surely read; ISO_IR 192 can say everything. Whether a
set can say a text is proven by reading it back, by the way that all received objects go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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
# ASCII with one multi-byte set (PS3.5 H to K): its codec, and its escape where that writes none.
_EXTENDED = {
    "ISO 2022 IR 87": ("iso2022_jp", b""),
    "ISO 2022 IR 149": ("euc_kr", b"\x1b$)C"),
    "ISO 2022 IR 58": ("gb2312", b"\x1b$)A"),
}


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
    elif len(terms) == 2 and terms[0] in ("", "ISO 2022 IR 6") and terms[1] in _EXTENDED:
        codec, escape = _EXTENDED[terms[1]]
        found.append(Encoding("\\".join(terms), _with_escapes(codec, escape)))
    found.append(Encoding(UTF_8, lambda text, _is_name: text.encode("utf_8", "replace")))
    return tuple(found)


def _with_escapes(codec: str, escape: bytes) -> Callable[[str, bool], bytes]:
    """Each part between delimiters by itself, for a delimiter brings the initial set back."""

    def write(text: str, is_name: bool) -> bytes:
        parts = (_DELIMITERS if is_name else _TEXT_DELIMITERS).split(text)
        return b"".join(
            part.encode("ascii") if part.isascii() else escape + part.encode(codec)
            for part in parts
        )

    return write
