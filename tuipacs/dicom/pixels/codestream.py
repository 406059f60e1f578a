"""What a compressed picture says about itself, read before any decoder sees it.

JPEG: ISO 10918-1 B.2; JPEG-LS: ISO 14495-1 C.2; JPEG 2000: ISO 15444-1 A.5. The decoders allocate
by these numbers, so they must agree with the header of the object first.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from msgspec import Struct

from tuipacs.errors import DecodeError


class Coding(StrEnum):
    """Which kind of compression the bytes really are."""

    JPEG = "JPEG"
    JPEG_LOSSLESS = "lossless JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"


class Codestream(Struct, frozen=True, kw_only=True):
    """``ycc``: True if the stream says it holds YCbCr, False if RGB, None if it does not say.

    ``offset`` is where the codestream proper begins (a JP2 wrapper is skipped). ``guessed_ycc`` is
    what the IJG library takes the colours for when it is not told.
    """

    coding: Coding
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    ycc: bool | None = None
    guessed_ycc: bool = False
    offset: int = 0


_FRAMES = {
    **dict.fromkeys((192, 193, 194, 201, 202), Coding.JPEG),
    **dict.fromkeys((195, 203), Coding.JPEG_LOSSLESS),
    0xF7: Coding.JPEG_LS,
}


def inspect(data: bytes) -> Codestream:
    """Return the main numbers of a compressed frame; DecodeError if it is none or is damaged."""
    try:
        if data.startswith(b"\xff\x4f\xff\x51"):
            return _jpeg_2000(data, 0)
        if data.startswith(b"\x00\x00\x00\x0cjP  "):
            return _jpeg_2000(data, _skip_jp2(data))
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
    except (struct.error, IndexError) as error:
        raise DecodeError("the compressed picture is truncated") from error
    raise DecodeError("the compressed picture is neither JPEG, JPEG-LS nor JPEG 2000")


def _jpeg(data: bytes) -> Codestream:
    position = 2
    jfif = False
    adobe: int | None = None
    while True:
        if data[position] != 0xFF:
            raise DecodeError("the JPEG header is damaged")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise DecodeError("the compressed picture is truncated")
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _FRAMES:
            return _jpeg_frame(_FRAMES[marker], body, jfif, adobe)
        elif marker in {0xD9, 0xDA} or (0xC5 <= marker <= 0xCF and marker not in {0xC8, 0xCC}):
            raise DecodeError("this kind of JPEG cannot be decoded")
        position += 2 + length


def _jpeg_frame(coding: Coding, body: bytes, jfif: bool, adobe: int | None) -> Codestream:
    precision, rows, columns, components = struct.unpack_from(">BHHB", body)
    parts = [body[6 + 3 * index : 9 + 3 * index] for index in range(components)]
    if any(len(part) != 3 for part in parts):
        raise DecodeError("the compressed picture is truncated")
    ids = bytes(part[0] for part in parts)
    subsampled = len({part[1] for part in parts}) > 1
    ycc: bool | None = None
    guessed = False
    if components == 3:
        guessed = ids == b"\1\2\3" or ids != b"RGB"
        if jfif:
            guessed = True
        elif adobe is not None:
            guessed = adobe != 0
        if coding is Coding.JPEG:
            if jfif or adobe == 1 or subsampled:
                ycc = True
            elif adobe == 0 or ids == b"RGB":
                ycc = False
    return Codestream(
        coding=coding,
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        ycc=ycc,
        guessed_ycc=guessed,
    )


def _skip_jp2(data: bytes) -> int:
    """Return where the codestream begins in a JP2 file (against PS3.5 A.4.4, but met)."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, position)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        if kind == b"jp2c":
            if data[position + head : position + head + 4] != b"\xff\x4f\xff\x51":
                break
            return position + head
        if length < head:
            break
        position += length
    raise DecodeError("the JP2 wrapper of the compressed picture is damaged")


def _jpeg_2000(data: bytes, offset: int) -> Codestream:
    (length,) = struct.unpack_from(">H", data, offset + 4)
    _, width, height, left, top = struct.unpack_from(">HLLLL", data, offset + 6)
    (components,) = struct.unpack_from(">H", data, offset + 40)
    if length != 38 + 3 * components:
        raise DecodeError("the JPEG 2000 header is damaged")
    parts = [
        struct.unpack_from("BBB", data, offset + 42 + 3 * index) for index in range(components)
    ]
    if len(set(parts)) != 1 or parts[0][1:] != (1, 1):
        raise DecodeError("the components of the JPEG 2000 picture differ in size or depth")
    depth = parts[0][0]
    return Codestream(
        coding=Coding.JPEG_2000,
        rows=height - top,
        columns=width - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        ycc=False if _multiple_component_transform(data, offset + 4 + length) else None,
        offset=offset,
    )


def _multiple_component_transform(data: bytes, position: int) -> bool:
    """Return whether the decoder itself undoes RCT or ICT and so gives RGB (A.6.1)."""
    while data[position] == 0xFF and data[position + 1] != 0x90:
        (length,) = struct.unpack_from(">H", data, position + 2)
        if data[position + 1] == 0x52:
            return data[position + 8] == 1
        position += 2 + length
    raise DecodeError("the JPEG 2000 header has no coding style")
