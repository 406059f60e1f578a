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


def inflate(data: Buffer, limit: int, *, start: int = 0) -> Inflated:
    """Inflate up to ``limit`` bytes from ``start`` on, never more than that in memory.

    Raises :class:`InvalidObjectError` if the stream is damaged or ends before its end mark.
    """
    stream = _Stream(data, start)
    out = bytearray()
    while not stream.is_complete and len(out) < limit:
        out += stream.read(limit - len(out))
    return Inflated(bytes(out), stream.is_complete)


def check(data: Buffer) -> bool:
    """Inflate everything, keep nothing. False: longer than 64 MiB, the rest was not checked.

    Raises :class:`InvalidObjectError` if the stream is damaged or ends before its end mark.
    """
    stream = _Stream(data, 0)
    left = MAX_CHECKED
    while not stream.is_complete and left > 0:
        left -= len(stream.read(_OUTPUT))
    return stream.is_complete


class _Stream:
    """A raw deflate stream that is fed piece by piece."""

    def __init__(self, data: Buffer, start: int) -> None:
        self._data = data
        self._position = start
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def is_complete(self) -> bool:
        return self._inflater.eof

    def read(self, limit: int) -> bytes:
        """Some more output, at most ``limit`` bytes; none is no sign of the end."""
        given = self._inflater.unconsumed_tail
        if not given:
            given = bytes(self._data[self._position : self._position + _CHUNK])
            self._position += len(given)
        try:
            out = self._inflater.decompress(given, limit)
        except zlib.error as error:
            raise InvalidObjectError(_DAMAGED) from error
        # Without new input there may still be output that did not fit before.
        if not given and not out and not self.is_complete:
            raise InvalidObjectError(_DAMAGED)
        return out
