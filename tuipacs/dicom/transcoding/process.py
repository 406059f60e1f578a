"""Asking for an object in another transfer syntax, without trusting the decoders."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

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
_LOOK_EVERY = 0.2
_FRAMES_PER_SECOND = 4
_BYTES_PER_SECOND = 1 << 20
_SMALLEST_FRAME = 8  # bytes: a fragment without any

LARGEST = 8 << 30  # bytes that one object may become

Check = Callable[[], None]


def _never() -> None:
    """Nobody ends it."""


def seconds_for(frames: int, size: int) -> float:
    """How long an object may take in all, with so many frames, in so many stored bytes.

    A few times what slow decoders take. Frames that are only claimed have no bytes.
    """
    real = min(max(frames, 1), size // _SMALLEST_FRAME)
    return _TIMEOUT + real / _FRAMES_PER_SECOND + size / _BYTES_PER_SECOND


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
        self,
        stored: int,
        made: int,
        *,
        start: int,
        syntaxes: tuple[str, str],
        most: int,
        seconds: float = _TIMEOUT,
        check: Check = _never,
    ) -> int:
        """Write the dataset that begins at ``start`` of one open file into another, empty one.

        ``syntaxes``: what it is stored in, and what is wanted. ``most``: how many bytes may be
        written. ``seconds``: how long all of it may take (`seconds_for`). ``check`` is called now
        and then; what it raises passes, and ends the process. Returns how many bytes were written.
        Raises `DecodeError` with the reason, and `UnavailableError` if the process cannot be
        started.
        """
        request = TranscodeRequest(
            start=start,
            stored=syntaxes[0],
            target=syntaxes[1],
            most=most,
            cpu_seconds=int(self._timeout) + 1,
        )
        with self._lock:
            answer = self._converse(request, stored, made, seconds, check)
        if answer.error:
            raise DecodeError(answer.error)
        return answer.size

    def _converse(
        self, request: TranscodeRequest, stored: int, made: int, seconds: float, check: Check
    ) -> TranscodeAnswer:
        with self._asking(self._timeout):
            body = msgspec.msgpack.encode(request)
            connection = self._ask(body, [stored, made], self._timeout)
            ends_at = time.monotonic() + seconds
            while True:
                deadline = time.monotonic() + self._timeout
                self._wait(connection, min(deadline, ends_at), check)
                if time.monotonic() >= ends_at:
                    self._stop()
                    raise DecodeError(f"the decoder took longer than {seconds:.0f} s for all of it")
                message = read_message(connection, MAX_ANSWER, deadline)
                answer = msgspec.msgpack.decode(message, type=TranscodeAnswer)
                if answer.done:
                    return answer
                self._look(check)

    def _wait(self, connection: socket.socket, until: float, check: Check) -> None:
        """Until there is something to be read, or that time has come."""
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(min(left, _LOOK_EVERY))
            try:
                connection.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                self._look(check)
            else:
                return

    def _look(self, check: Check) -> None:
        try:
            check()
        except BaseException:
            self._stop()
            raise


class Transcoders(HelperPool[Transcoder]):
    """A few of them behind one ``transcode``; more requests than processes wait."""

    def transcode(
        self,
        stored: int,
        made: int,
        *,
        start: int,
        syntaxes: tuple[str, str],
        most: int,
        seconds: float = _TIMEOUT,
        check: Check = _never,
    ) -> int:
        """See `Transcoder.transcode`."""
        with self.borrow(check) as one:
            return one.transcode(
                stored,
                made,
                start=start,
                syntaxes=syntaxes,
                most=most,
                seconds=seconds,
                check=check,
            )
