"""The decoder process: ``python -m tuipacs.dicom.pixels.worker SOCKET_FD MEMORY_BYTES``.

Started by ``PixelWorker`` with nothing but its end of a socket pair. Ends when that is closed, so
when the daemon dies, and by its own limits. An unexpected exception ends it too: the daemon then
says that the decoder stopped, and starts another.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import OrderedDict

import msgspec

from tuipacs.dicom.helper_side import LENGTH, limit_processor_time, request_bytes, run
from tuipacs.dicom.pixels.protocol import MAX_REQUEST, Reply, Request
from tuipacs.dicom.pixels.render import Picture
from tuipacs.errors import DecodeError, NotFoundError, TuipacsError, UsageError

_KEPT_PICTURES = 4
_FORGET_AFTER = 10.0  # seconds without a request: a deleted object must not stay open
_WRITTEN_BYTES = 1 << 20

Identity = tuple[int, int, int, int]


class Pictures:
    """The last few opened objects: the next frame of a cine loop finds its header parsed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Identity, tuple[int, Picture]] = OrderedDict()

    def open(self, descriptor: int) -> Picture:
        """Return the picture of an open file; ``descriptor`` is taken over."""
        about = os.fstat(descriptor)
        identity = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        if identity in self._kept:
            os.close(descriptor)
            self._kept.move_to_end(identity)
            return self._kept[identity][1]
        try:
            picture = Picture(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._kept[identity] = (descriptor, picture)
        while len(self._kept) > _KEPT_PICTURES or (picture.in_memory and len(self._kept) > 1):
            self._drop_oldest()
        return picture

    def forget(self) -> None:
        """Close all of them."""
        while self._kept:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (descriptor, _) = self._kept.popitem(last=False)
        os.close(descriptor)


def serve(connection: socket.socket) -> None:
    """Answer requests. Raises `GoneError` when the other end is closed."""
    pictures = Pictures()
    while True:
        request, descriptor = _receive(connection, pictures)
        limit_processor_time(request.cpu_seconds)
        reply, pixels = _answer(pictures, descriptor, request)
        body = msgspec.msgpack.encode(reply)
        connection.sendall(LENGTH.pack(len(body)) + body)
        if reply.pixel_bytes:
            connection.sendall(pixels)


def _receive(connection: socket.socket, pictures: Pictures) -> tuple[Request, int]:
    connection.settimeout(_FORGET_AFTER)
    try:
        head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 1)
    except TimeoutError:
        pictures.forget()
        connection.settimeout(None)
        head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 1)
    connection.settimeout(None)
    body = request_bytes(connection, head, MAX_REQUEST)
    if len(descriptors) != 1:
        raise SystemExit(3)
    return msgspec.msgpack.decode(body, type=Request), descriptors[0]


def _answer(pictures: Pictures, descriptor: int, request: Request) -> tuple[Reply, memoryview]:
    nothing = memoryview(b"")
    try:
        frame, pixels = pictures.open(descriptor).render(request.frame_number, request.window)
    except (DecodeError, NotFoundError, UsageError) as error:
        return _failure(error), nothing
    except MemoryError:
        return _failure(DecodeError("this object needs more memory than the decoder has")), nothing
    except OSError as error:
        return _failure(DecodeError(f"the file cannot be read ({error.strerror})")), nothing
    return Reply(frame=frame, pixel_bytes=pixels.nbytes), pixels.reshape(-1).data


def _failure(error: TuipacsError) -> Reply:
    return Reply(error_code=error.code, message=error.message)


def main(arguments: list[str]) -> None:
    """Run the process."""
    run(arguments, serve, written_bytes=_WRITTEN_BYTES)


if __name__ == "__main__":
    main(sys.argv[1:])
