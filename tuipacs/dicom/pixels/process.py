"""Asking for pictures without trusting the decoders: see `HelperProcess`."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tuipacs.dicom.helper import (
    HelperPool,
    HelperProcess,
    module,
    read_exactly,
    read_message,
)
from tuipacs.dicom.pixels.limits import MAX_FRAME_SAMPLES
from tuipacs.dicom.pixels.protocol import MAX_REPLY, Reply, Request
from tuipacs.domain.frame import Frame, WindowRequest
from tuipacs.errors import DecodeError, NotFoundError, UsageError

#: The largest answer: a palette picture of ``MAX_FRAME_SAMPLES`` pixels has three bytes for each.
MAX_PIXEL_BYTES = 3 * MAX_FRAME_SAMPLES
DEFAULT_MEMORY = 2 << 30
DEFAULT_TIMEOUT = 20.0
_COMMAND = module("tuipacs.dicom.pixels.worker")


class PixelWorker(HelperProcess):
    """One decoder process.

    Thread-safe: requests wait for each other. ``timeout`` is in seconds, for one picture; for the
    others see `HelperProcess`.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        memory_bytes: int = DEFAULT_MEMORY,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        super().__init__(memory_bytes=memory_bytes, command=command)
        self._timeout = timeout

    def render(
        self, file: Path | int, frame_number: int = 1, window: WindowRequest | None = None
    ) -> Frame:
        """Return a frame of a stored Part 10 file, given by path or as an open descriptor.

        A descriptor stays the caller's, and its position where it is. Raises NotFoundError (no such
        frame), UsageError (impossible window), DecodeError with the reason, UnavailableError
        (closed, or the process cannot be started) and OSError (the file cannot be opened).
        """
        request = Request(
            frame_number=frame_number, window=window, cpu_seconds=int(self._timeout) + 1
        )
        descriptor = file if isinstance(file, int) else _open(file)
        try:
            with self._lock:
                return self._render(request, descriptor)
        finally:
            if not isinstance(file, int):
                os.close(descriptor)

    def _render(self, request: Request, descriptor: int) -> Frame:
        with self._asking(self._timeout):
            body = msgspec.msgpack.encode(request)
            connection = self._ask(body, [descriptor], self._timeout)
            deadline = time.monotonic() + self._timeout
            reply = self._read_reply(connection, deadline)
            pixels = read_exactly(connection, reply.pixel_bytes, deadline)
        return self._checked(reply, pixels, request)

    def _read_reply(self, connection: socket.socket, deadline: float) -> Reply:
        reply = msgspec.msgpack.decode(read_message(connection, MAX_REPLY, deadline), type=Reply)
        frame = reply.frame
        expected = 0 if frame is None else frame.rows * frame.columns * frame.samples
        if reply.pixel_bytes != expected or not 0 <= expected <= MAX_PIXEL_BYTES:
            raise msgspec.DecodeError("pixels do not fit")
        return reply

    def _checked(self, reply: Reply, pixels: bytes, request: Request) -> Frame:
        if reply.error_code == NotFoundError.code:
            raise NotFoundError(reply.message)
        if reply.error_code == UsageError.code:
            raise UsageError(reply.message)
        if reply.frame is None:
            raise DecodeError(reply.message)
        if reply.frame.frame_number != request.frame_number or reply.frame.samples not in (1, 3):
            self._stop()
            raise DecodeError("the decoder gave an answer that makes no sense")
        return replace(reply.frame, pixels=pixels)


class PixelWorkers(HelperPool[PixelWorker]):
    """A few decoder processes behind one ``render``; more requests than processes wait."""

    def render(
        self, file: Path | int, frame_number: int = 1, window: WindowRequest | None = None
    ) -> Frame:
        """See ``PixelWorker.render``."""
        with self.borrow() as worker:
            return worker.render(file, frame_number, window)


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DecodeError("this is not a regular file")
    return descriptor
