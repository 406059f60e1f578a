"""A dataset on its way out: read in blocks, sent in fragments, never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Protocol

from tuipacs.dimse.pdu import PduType
from tuipacs.dimse.requestor.faults import SourceFailedError

BLOCK = 1 << 18  # bytes of a dataset read, and sent, at once
_LONGEST_PDU = 131072  # also for a peer that takes any length
_HEADERS = 6  # bytes of a P-DATA-TF's body that are no fragment
_HEADER = Struct(">BxLLBB")  # PDU type and length, PDV length, context ID, message control header


class Readable(Protocol):
    """What is needed of a binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """As of `io.RawIOBase`."""
        ...


class DatasetSource:
    """``size`` bytes from where ``file`` stands: a dataset without its file meta information.

    ``padded``: a NUL goes after them. The length of a dataset in a message is even, and peers
    built on DCMTK abort for an odd one.
    """

    def __init__(self, file: Readable, size: int, *, padded: bool = False) -> None:
        self._file = file
        self._unread = size
        self.left = size + padded

    def read_into(self, view: memoryview) -> None:
        """Fill ``view``. Raises `SourceFailedError`, also if the file ends before."""
        filled = 0
        wanted = min(len(view), self._unread)
        try:
            while filled < wanted:
                count = self._file.readinto(view[filled:wanted])
                if not count:
                    raise SourceFailedError("it became shorter while it was read")
                filled += count
        except OSError as error:
            raise SourceFailedError(f"it cannot be read: {error.strerror or error}") from error
        view[wanted:] = bytes(len(view) - wanted)
        self._unread -= wanted
        self.left -= len(view)


def room_of(max_length: int) -> int:
    """Bytes of one fragment for a peer that takes PDU bodies of ``max_length``; 0 is any."""
    longest = min(max_length or _LONGEST_PDU, _LONGEST_PDU)
    return (longest - _HEADERS) // 2 * 2


def fragments(
    context_id: int, block: memoryview, room: int, *, is_last: bool
) -> Iterator[bytes | memoryview]:
    """``block`` of a dataset as P-DATA-TF PDUs of one PDV of at most ``room`` bytes each.

    Headers and data alternate; ``is_last``: the dataset ends with this block (PS3.8 E.2).
    """
    full = _header(context_id, room, is_last=False)
    end = len(block)
    at = 0
    while end - at > room:
        yield full
        yield block[at : at + room]
        at += room
    yield _header(context_id, end - at, is_last=is_last)
    yield block[at:]


def _header(context_id: int, size: int, *, is_last: bool) -> bytes:
    return _HEADER.pack(PduType.P_DATA, size + _HEADERS, size + 2, context_id, 2 if is_last else 0)
