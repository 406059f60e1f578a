"""Deflated datasets (PS3.5 A.5): the start is inflated for reading, the rest only checked."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from tuipacs.dicom.encoding import Buffer
from tuipacs.errors import InvalidObjectError

FIRST_BYTES = 64 << 10
MAX_BYTES = 16 << 20
MAX_CHECKED = 64 << 20
_CHUNK = 64 << 10  # input at a time
_OUTPUT = 1 << 20

_DAMAGED = "the deflated dataset is damaged or cut short"


class Inflated(NamedTuple):
    """The start of the dataset, and whether it is all of it."""

    data: bytes
    is_complete: bool


def inflate(data: Buffer, limit: int) -> Inflated:
    """Inflate up to ``limit`` bytes, never more than that in memory.

    Raises :class:`InvalidObjectError` if the stream is damaged or ends before its end mark.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    position = 0
    try:
        while not inflater.eof and len(out) < limit:
            given = inflater.unconsumed_tail or bytes(data[position : position + _CHUNK])
            if not given:
                raise InvalidObjectError(_DAMAGED)
            if not inflater.unconsumed_tail:
                position += len(given)
            out += inflater.decompress(given, limit - len(out))
    except zlib.error as error:
        raise InvalidObjectError(_DAMAGED) from error
    return Inflated(bytes(out), inflater.eof)


def check(data: Buffer) -> bool:
    """Inflate everything, keep nothing. False: longer than 64 MiB, the rest was not checked.

    Raises :class:`InvalidObjectError` if the stream is damaged or ends before its end mark.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = MAX_CHECKED
    position = 0
    try:
        while not inflater.eof and left > 0:
            given = inflater.unconsumed_tail or bytes(data[position : position + _CHUNK])
            if not given:
                raise InvalidObjectError(_DAMAGED)
            if not inflater.unconsumed_tail:
                position += len(given)
            left -= len(inflater.decompress(given, _OUTPUT))
    except zlib.error as error:
        raise InvalidObjectError(_DAMAGED) from error
    return inflater.eof
