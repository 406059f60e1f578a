"""Whether a compressed picture can be what was compressed, or only like it.

Asked of the stream, not of the transfer syntax: several allow both, and streams lie under others'.
A reversible JPEG 2000 picture from whose end bits were dropped says nothing of that anywhere.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from tuipacs.dicom.pixels.codestream import Codestream, Coding

#: PS3.3 C.7.6.1.1.5.1.
_JPEG, _JPEG_LS, _JPEG_2000, _HTJ2K = "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15"
#: In entropy coded data no marker but a restart follows 0xFF (ISO 10918-1 B.1.1.5, 14495-1 C.1.1).
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_SOS, _EOI = 0xDA, 0xD9
_COD, _COC, _CAP, _SOT, _SOD = 0x52, 0x53, 0x50, 0x90, 0x93
_PART_15 = 1 << 17  # of Pcap (ISO 15444-15 A.3)


def lossy_method(data: bytes, stream: Codestream) -> str:
    """The Lossy Image Compression Method (0028,2114) of a frame; empty if it is reversible.

    ``stream`` is what `inspect` has found in ``data``. What is cut short is judged by its rest.
    """
    try:
        if stream.coding is Coding.JPEG:
            return _JPEG
        if stream.coding is Coding.JPEG_2000:
            return _lossy_jpeg_2000(data, stream)
        if any(_is_lossy_scan(body, stream.coding) for body in _scans(data)):
            return _JPEG_LS if stream.coding is Coding.JPEG_LS else _JPEG
    except (struct.error, IndexError):
        pass
    return ""


def _scans(data: bytes) -> Iterator[bytes]:
    """The header of each scan: components may have scans of their own."""
    position = 2
    while (marker := _MARKER.search(data, position)) is not None:
        position, code = marker.start(), data[marker.start() + 1]
        if code == _EOI:
            return
        (length,) = struct.unpack_from(">H", data, position + 2)
        if code == _SOS:
            yield data[position + 4 : position + 2 + length]
        position += 2 + length


def _is_lossy_scan(body: bytes, coding: Coding) -> bool:
    """NEAR (ISO 14495-1 C.2.3), or a point transform, which drops bits (10918-1 B.2.3)."""
    after = 1 + 2 * body[0]
    near = body[after] if coding is Coding.JPEG_LS else 0
    return near > 0 or body[after + 2] & 0x0F > 0


def _lossy_jpeg_2000(data: bytes, stream: Codestream) -> str:
    """Any transformation that is the 9-7 one, of a component or tile too (ISO 15444-1 A.6)."""
    position = stream.offset + 2
    wide = 2 if stream.components > 256 else 1
    method, lossy, next_tile = _JPEG_2000, False, len(data)
    try:
        while position < len(data) and data[position] == 0xFF:
            code = data[position + 1]
            if code == _SOD:
                position = next_tile
                continue
            (length,) = struct.unpack_from(">H", data, position + 2)
            if code == _SOT:
                (size,) = struct.unpack_from(">L", data, position + 6)
                next_tile = position + size if size > 12 else len(data)
            elif code == _CAP:
                (parts,) = struct.unpack_from(">L", data, position + 4)
                method = _HTJ2K if parts & _PART_15 else method
            elif code == _COD:
                lossy |= data[position + 13] == 0
            elif code == _COC:
                lossy |= data[position + 9 + wide] == 0
            position += 2 + length
    except (struct.error, IndexError):
        pass
    return method if lossy else ""
