"""Asking for an object in another transfer syntax, without trusting the decoders."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from tuipacs.dicom.helper import (
    HelperPool,
    HelperProcess,
    module,
    read_message,
)
from tuipacs.dicom.transcoding.protocol import MAX_ANSWER, TranscodeAnswer, TranscodeRequest
from tuipacs.errors import DecodeError

_COMMAND = module("tuipacs.dicom.transcoding.worker")
_MEMORY = 2 << 30
_TIMEOUT = 60.0


class Transcoder(HelperProcess):
    """One process. ``timeout``: seconds between two signs of life, for one frame or so."""

    def __init__(
        self,
        *,
        timeout: float = _TIMEOUT,
        memory_bytes: int = _MEMORY,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        super().__init__(memory_bytes=memory_bytes, command=command)
        self._timeout = timeout

    def transcode(
        self, stored: int, made: int, *, start: int, syntaxes: tuple[str, str], most: int
    ) -> int:
        """Write the dataset that begins at ``start`` of one open file into another, empty one.

        ``syntaxes``: what it is stored in, and what is wanted. ``most``: how many bytes may be
        written. Returns how many were. Raises `DecodeError` with the reason, and
        `UnavailableError` if the process cannot be started.
        """
        request = TranscodeRequest(
            start=start,
            stored=syntaxes[0],
            target=syntaxes[1],
            most=most,
            cpu_seconds=int(self._timeout) + 1,
        )
        with self._lock:
            answer = self._converse(request, stored, made)
        if answer.error:
            raise DecodeError(answer.error)
        return answer.size

    def _converse(self, request: TranscodeRequest, stored: int, made: int) -> TranscodeAnswer:
        with self._asking(self._timeout):
            body = msgspec.msgpack.encode(request)
            connection = self._ask(body, [stored, made], self._timeout)
            while True:
                deadline = time.monotonic() + self._timeout
                message = read_message(connection, MAX_ANSWER, deadline)
                answer = msgspec.msgpack.decode(message, type=TranscodeAnswer)
                if answer.done:
                    return answer


class Transcoders(HelperPool[Transcoder]):
    """A few of them behind one ``transcode``; more requests than processes wait."""

    def transcode(
        self, stored: int, made: int, *, start: int, syntaxes: tuple[str, str], most: int
    ) -> int:
        """See `Transcoder.transcode`."""
        with self.borrow() as one:
            return one.transcode(stored, made, start=start, syntaxes=syntaxes, most=most)
