"""A dataset on its way out: read in blocks, never whole in memory, and sent without copies."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Protocol

from tuipacs.dimse.channel import Channel
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.pdu import fragments, room_of

BLOCK = 1 << 18  # bytes of a dataset read, and sent, at once
_BLOCK_IN_MEMORY = 1 << 20  # of one that has been read already, if nobody wants to know


class Readable(Protocol):
    """What is needed of a binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """As of `io.RawIOBase`."""
        ...


class DatasetSource:
    """``size`` bytes from where ``file`` stands: a dataset without its file meta information.

    ``padded``: a NUL goes after them. The length of a dataset in a message is even, and peers
    built on DCMTK abort for an odd one.

    ``pace`` is told how many bytes are about to leave, block by block: it may sleep, and what it
    raises ends the association. ``meanwhile`` is called when all of it has left, and the peer is
    busy with it.
    """

    def __init__(self, file: Readable, size: int, *, padded: bool = False) -> None:
        self._file = file
        self._unread = size
        self._memory: memoryview | None = None
        if type(file) is io.BytesIO and not padded:  # one that overrides reading is to be read
            at = file.tell()
            self._memory = memoryview(file.getvalue())[at : at + size]
        self.left = size + padded
        self.pace: Callable[[int], None] | None = None
        self.meanwhile: Callable[[], None] | None = None

    def view(self, room: int) -> memoryview | None:
        """The next bytes without a copy, in whole fragments of ``room``; None if they are to be
        read.
        """
        memory = self._memory
        if memory is None:
            return None
        most = BLOCK if self.pace else _BLOCK_IN_MEMORY
        view = memory[: most // room * room]
        self._memory = memory[len(view) :]
        self.left -= len(view)
        if self.pace is not None:
            self.pace(len(view))
        return view

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
        if self.pace is not None:
            self.pace(len(view))


class DatasetSender:
    """Sends datasets behind their commands, to a peer that takes PDUs of ``max_length`` bytes.

    ``timeout``: seconds for each block.
    """

    def __init__(self, channel: Channel, max_length: int, timeout: float) -> None:
        self._channel = channel
        self._room = room_of(max_length)
        self._timeout = timeout
        self._buffer: memoryview | None = None  # made for the first dataset

    def read_block(self, source: DatasetSource) -> memoryview:
        """The next block of a dataset, valid until the one after it. Raises `SourceFailedError`."""
        if (view := source.view(self._room)) is not None:
            return view
        if self._buffer is None:
            self._buffer = memoryview(bytearray(BLOCK // self._room * self._room))
        first = self._buffer[: source.left]
        source.read_into(first)
        return first

    def send(
        self,
        context_id: int,
        head: bytes,
        first: memoryview,
        source: DatasetSource,
        before_last: Callable[[], None],
    ) -> None:
        """Send ``head``, a command, then the dataset, whose ``first`` block was read before.

        ``before_last`` is called before its end is sent. Raises `SourceFailedError` in the middle:
        the peer has a part of it then.
        """
        parts: list[bytes | memoryview] = [head]
        block = first
        while True:
            parts += fragments(context_id, block, self._room, is_last=not source.left)
            if not source.left:
                before_last()
            self._channel.send_parts(parts, self._timeout)
            if not source.left:
                break
            block = self.read_block(source)
            parts = []
        if source.meanwhile is not None:
            source.meanwhile()
