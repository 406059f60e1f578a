"""How data elements are laid out in bytes (PS3.5 7.1, A): what Part 10 and the walk share."""

from __future__ import annotations

import mmap
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview | mmap.mmap

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = frozenset(
    (
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    )
)
REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))  # JPIP
_CODECS = (*range(50, 94), *range(100, 113), *range(201, 204))  # JPEG to HTJ2K, video, JPEG XL
ENCAPSULATED = frozenset(  # PS3.5 A.4; private ones may be or not
    (
        "1.2.840.10008.1.2.1.98",
        *(f"1.2.840.10008.1.2.4.{n}" for n in _CODECS),
        "1.2.840.10008.1.2.5",
    )
)
NATIVE = frozenset((IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE))

UNDEFINED = 0xFFFFFFFF  # a length (PS3.5 7.1)
FLOAT_PIXELS, DOUBLE_FLOAT_PIXELS, PIXELS = 0x7FE00008, 0x7FE00009, 0x7FE00010
PIXEL_TAGS = frozenset((FLOAT_PIXELS, DOUBLE_FLOAT_PIXELS, PIXELS))
NUMBER_CODES = {  # of binary VRs, as `struct` names them
    "US": "H",
    "SS": "h",
    "UL": "L",
    "SL": "l",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
}

SHORT_VRS = frozenset(
    (
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    )
)
LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)


def is_vr_letters(vr: bytes) -> bool:
    """Whether two bytes are capital letters, as every VR is; a length hardly ever is."""
    return 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B


def looks_big_endian(first: bytes) -> bool:
    """Whether an explicit VR dataset that starts like this is big endian (group below 0100)."""
    return first[0] == 0 and first[1] != 0 and is_vr_letters(first[4:6])
