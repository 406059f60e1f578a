"""From stored bytes to Unicode by Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1).

Nothing here raises for odd input: what cannot be decoded becomes U+FFFD (or Latin-1 where no
character set was named) and a remark in words. Results agree with pydicom where that follows the
standard and with DCMTK's conversion to UTF-8.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""Whose text is in the named character set (PS3.5 6.1.2.2); that of all others is ASCII."""

# Defined Terms of PS3.3 tables C.12-2 to C.12-5, the number of an ISO registration -> codec.
_REGISTERED = {
    "6": "latin_1",  # only ASCII is allowed; high bytes are read as the field reads them
    "13": "shift_jis",  # JIS X 0201: all single bytes are the same, and Kanji get a chance
    "58": "gb2312",
    "87": "iso2022_jp",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "149": "euc_kr",
    "159": "iso2022_jp_2",
    "166": "tis_620",
    "192": "utf_8",
    "203": "iso8859_15",
}
_WITHOUT_EXTENSIONS = {"GB18030": "gb18030", "GBK": "gbk", "ISO_IR 192": "utf_8"}
_ALIASES = {
    "UTF-8": "ISO_IR 192",
    "UTF8": "ISO_IR 192",
    "ISO 2022 IR 192": "ISO_IR 192",
    "ISO 2022 GBK": "GBK",
    "ISO 2022 GB18030": "GB18030",
    "ISO 2022 58": "ISO 2022 IR 58",
    "GB2312": "ISO 2022 IR 58",
    "LATIN1": "ISO_IR 100",
    "LATIN_1": "ISO_IR 100",
    "ISO8859-1": "ISO_IR 100",
    "ISO-8859-1": "ISO_IR 100",
}
_TERM = re.compile(r"ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?([0-9]{1,3})")

# Escape sequences of PS3.3 tables C.12-3 and C.12-4: (code element, codec).
_ESCAPES: dict[bytes, tuple[str, str]] = {
    b"\x1b(B": ("G0", ""),
    b"\x1b(J": ("G0", ""),  # JIS X 0201 romaji; its yen sign stays the backslash of DICOM
    b"\x1b)I": ("G1", "shift_jis"),
    b"\x1b-A": ("G1", "latin_1"),
    b"\x1b-B": ("G1", "iso8859_2"),
    b"\x1b-C": ("G1", "iso8859_3"),
    b"\x1b-D": ("G1", "iso8859_4"),
    b"\x1b-F": ("G1", "iso8859_7"),
    b"\x1b-G": ("G1", "iso8859_6"),
    b"\x1b-H": ("G1", "iso8859_8"),
    b"\x1b-L": ("G1", "iso8859_5"),
    b"\x1b-M": ("G1", "iso8859_9"),
    b"\x1b-T": ("G1", "tis_620"),
    b"\x1b-b": ("G1", "iso8859_15"),
    b"\x1b$)C": ("G1", "euc_kr"),
    b"\x1b$)A": ("G1", "gb2312"),
    b"\x1b$B": ("G0", "iso2022_jp"),
    b"\x1b$@": ("G0", "iso2022_jp"),
    b"\x1b$(D": ("G0", "iso2022_jp_2"),
}
_INTRODUCER = {"iso2022_jp": b"\x1b$B", "iso2022_jp_2": b"\x1b$(D"}
_DOUBLE_BYTE_G0 = frozenset(_INTRODUCER)
_TOKENS = re.compile(
    b"\x1b(?:\\$[()][A-Za-z]|\\$[@AB]|[()\\-][A-Za-z])|[\t\n\x0c\r]|[\\\\^=]|[\x80-\xff]+"
    b"|[^\x1b\t\n\x0c\r\\\\^=\x80-\xff]+|\x1b"
)
_LINE_ENDS = frozenset((b"\t", b"\n", b"\x0c", b"\r"))
_VALUE_DELIMITERS = b"\\^="

BAD_TEXT = "a text has bytes that its character set does not know"
UNDECLARED_TEXT = "a text has non-ASCII bytes, and no character set is named"
BAD_ESCAPE = "a text has an escape sequence that its character set does not allow"


_MULTI_BYTE = frozenset(("58", "87", "149", "159"))  # with code extensions only


def supported_terms() -> list[tuple[str, str]]:
    """Each defined term that is read, and its form with code extensions; empty if it has none."""
    terms = [
        ("" if number in _MULTI_BYTE else f"ISO_IR {number}", f"ISO 2022 IR {number}")
        for number in _REGISTERED
        if number != "192"
    ]
    return [*terms, *((term, "") for term in _WITHOUT_EXTENSIONS)]


class Charset(NamedTuple):
    """How the texts of one dataset are read. Get it from :func:`charset_of`.

    ``remark`` is empty, or says in words what was odd about the character set itself.
    """

    codec: str
    extensions: bool
    declared: bool
    remark: str = ""

    def decode(self, raw: bytes, *, is_name: bool = False) -> tuple[str, str]:
        """Return (text, remark). ``is_name``: the caret and the equals sign delimit as well (PN).

        Padding is kept. The remark is empty or one of the constants of this module.
        """
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii"), ""
        if b"\x1b" in raw and self.codec not in ("utf_8", "gb18030", "gbk"):
            text, remark = _Iso2022(self.codec, self.declared, is_name).read(raw)
            return text, remark or ("" if self.extensions else BAD_ESCAPE)
        text, good = _decode(raw, self.codec)
        if not good:
            return text, BAD_TEXT
        return text, "" if self.declared else UNDECLARED_TEXT


@lru_cache(maxsize=256)
def charset_of(value: bytes) -> Charset:
    """The character set that a stored (0008,0005) names; empty is the default repertoire."""
    terms = [
        _ALIASES.get(term, term)
        for term in (part.strip(" \0").upper() for part in value.decode("latin_1").split("\\"))
    ]
    if not any(terms):
        return Charset("latin_1", False, False)
    remarks: list[str] = []
    codecs = [_codec_of(term, remarks) for term in terms]
    first = terms[0]
    if first in _WITHOUT_EXTENSIONS:
        if len(terms) > 1:
            remarks.append("the character set does not allow code extensions, and some are named")
        return Charset(codecs[0], False, True, "; ".join(remarks))
    extensions = len(terms) > 1 or first.startswith("ISO 2022")
    codec = codecs[0]
    if codec in _DOUBLE_BYTE_G0:  # not allowed as the first value (C.12.1.1.2): ASCII stands there
        codec = "latin_1"
    declared = codec != "latin_1" or first.endswith("100")
    return Charset(codec, extensions, declared, "; ".join(dict.fromkeys(remarks)))


def _codec_of(term: str, remarks: list[str]) -> str:
    if not term:
        return "latin_1"
    if term in _WITHOUT_EXTENSIONS:
        return _WITHOUT_EXTENSIONS[term]
    match = _TERM.fullmatch(term)
    if match and (codec := _REGISTERED.get(match[1].lstrip("0"))):
        if not term.startswith(("ISO_IR ", "ISO 2022 IR ")):
            remarks.append("the character set is misspelt")
        return codec
    remarks.append("unknown character set")
    return "latin_1"


def _decode(raw: bytes, codec: str) -> tuple[str, bool]:
    try:
        return raw.decode(codec), True
    except UnicodeDecodeError:
        return raw.decode(codec, "replace"), False


class _Iso2022:
    """Code extension by ISO 2022 (PS3.5 6.1.2.5): one pass over one value.

    Delimiters bring the initial sets back. Senders that do not designate G1 again after one are
    understood when the initial set has no G1 of its own.
    """

    def __init__(self, initial: str, has_own_g1: bool, is_name: bool) -> None:
        self.initial = initial
        self.has_own_g1 = has_own_g1
        self.delimiters = _VALUE_DELIMITERS if is_name else b"\\"
        self.g0 = ""  # ASCII, else the codec of a double-byte set
        self.g1 = initial
        self.remark = ""

    def read(self, raw: bytes) -> tuple[str, str]:
        out: list[str] = []
        pending: list[bytes] = []  # in a double-byte G0, where bytes may look like delimiters
        for token in _TOKENS.findall(raw):
            if self.g0 and token[0] < 0x80 and token[0] != 0x1B and token not in _LINE_ENDS:
                pending.append(token)
                continue
            if pending:
                out.append(self._double_bytes(b"".join(pending)))
                pending.clear()
            out.append(self._token(token))
        out.append(self._double_bytes(b"".join(pending)))
        return "".join(out), self.remark

    def _double_bytes(self, raw: bytes) -> str:
        if not raw:
            return ""
        body = raw.rstrip(b" \0")  # padding of a sender that did not return to ASCII
        text = self._decode(_INTRODUCER[self.g0] + body, self.g0) if body else ""
        return text + raw[len(body) :].decode("ascii")

    def _token(self, token: bytes) -> str:
        if token[0] == 0x1B:
            element = _ESCAPES.get(token)
            if element is None:
                self.remark = BAD_ESCAPE
                return token.decode("latin_1")
            if element[0] == "G0":
                self.g0 = element[1]
            else:
                self.g1 = element[1]
            return ""
        if token[0] >= 0x80:
            return self._decode(token, self.g1)
        is_line_end = token in _LINE_ENDS
        if is_line_end:
            self.g0 = ""
        if self.has_own_g1 and (is_line_end or (len(token) == 1 and token in self.delimiters)):
            self.g1 = self.initial
        return token.decode("ascii")

    def _decode(self, raw: bytes, codec: str) -> str:
        text, good = _decode(raw, codec)
        if not good:
            self.remark = BAD_TEXT
        return text
