"""Documents inside DICOM objects: PDF, CDA, STL, OBJ, MTL (PS3.3 A.45, C.24)."""

from __future__ import annotations

import html
import re

from tuipacs.dicom.content_reader import OpenedContent
from tuipacs.domain.safe_text import clean, clean_lines
from tuipacs.errors import DecodeError

TITLE, DATA, MEDIA_TYPE, LENGTH = 0x00420010, 0x00420011, 0x00420012, 0x00420015
MAX_TEXT_SIZE = 1 << 20
MAX_LINES = 5_000
_STL_HEADER, _STL_TRIANGLE = 84, 50
_TEXT_TYPES = frozenset(("text/xml", "application/xml", "text/plain", "application/hl7-v3+xml"))
_MEDIA_TYPES = {  # by SOP class, where the object does not say
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
_BLOCKS = frozenset(("paragraph", "br", "tr", "item", "title", "section", "list", "table"))
_MARKUP = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
_XML_ENCODING = re.compile(rb"""^[^>]{0,100}?encoding=["']([A-Za-z0-9._-]{1,20})["']""")
_ENCODINGS = {"iso-8859-1": "latin_1", "us-ascii": "latin_1", "utf-16": "utf_16"}


def media_type(content: OpenedContent) -> str:
    """The media type in lower case without parameters."""
    stored = content.root.text(MEDIA_TYPE).split(";")[0].strip().lower()
    known = _MEDIA_TYPES.get(content.root.text(0x00080016), "application/octet-stream")
    return clean(stored, limit=100) if re.fullmatch(r"[\w.+-]+/[\w.+-]+", stored) else known


def span_of(content: OpenedContent) -> tuple[int, int]:
    """Where the document lies, without the padding byte.

    Encapsulated Document Length tells (C.24.2); without it one trailing NUL is padding, except in a
    binary STL, whose own header tells its length. Raises :class:`DecodeError` if there is none.
    """
    start, stop = content.root.span(DATA)
    if start == stop:
        raise DecodeError("the object holds no document")
    stored = stop - start
    told = int(content.root.number(LENGTH))
    if 0 < told <= stored and stored - told <= 1:
        return start, start + told
    if stored % 2 or bytes(content.data[stop - 1 : stop]) != b"\0":
        return start, stop
    if media_type(content) == "model/stl":
        head = bytes(content.data[start : start + _STL_HEADER])
        triangles = int.from_bytes(head[80:84], "little")
        if _STL_HEADER + _STL_TRIANGLE * triangles == stored:
            return start, stop
    return start, stop - 1


def text_lines(content: OpenedContent, start: int, stop: int) -> list[str]:
    """The text of an XML or plain text document without its markup; else nothing."""
    kind = media_type(content)
    if kind not in _TEXT_TYPES and not kind.endswith("+xml"):
        return []
    if stop - start > MAX_TEXT_SIZE:
        return ["(too long to be shown here)"]
    raw = bytes(content.data[start:stop])
    match = _XML_ENCODING.match(raw)
    name = match[1].decode("ascii").lower() if match else "utf-8"
    text = raw.decode(_ENCODINGS.get(name, "utf_8"), "replace").lstrip("\ufeff")
    if kind != "text/plain":
        text = html.unescape(_without_markup(text))
    lines = (" ".join(line.split()) for line in clean_lines(text).split("\n"))
    return [line for line in lines if line][:MAX_LINES]


def _without_markup(text: str) -> str:
    """The character data of an XML text in one linear pass; blocks start a new line.

    Not an XML parser on purpose: nothing is expanded, fetched or nested, and markup that does not
    close ends the text.
    """
    out: list[str] = []
    position = 0
    while (start := text.find("<", position)) >= 0:
        out.append(text[position:start])
        opening, closing = next(
            (pair for pair in _MARKUP if text.startswith(pair[0], start)), ("<", ">")
        )
        end = text.find(closing, start + len(opening))
        if end < 0:
            return "".join(out)
        body = text[start + len(opening) : end]
        position = end + len(closing)
        if opening == "<![CDATA[":
            out.append(body)
        else:
            name = body[:40].split(maxsplit=1)[0] if body[:40].split() else ""
            out.append("\n" if name.rstrip("/").split(":")[-1] in _BLOCKS else " ")
    out.append(text[position:])
    return "".join(out)
