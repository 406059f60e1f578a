"""The process that transcodes: ``python -m tuipacs.dicom.transcoding.worker FD MEMORY_BYTES``.

Started by `Transcoder` with nothing but its end of a socket pair; see `tuipacs.dicom.helper`.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
import warnings
from collections.abc import Callable

import msgspec

from tuipacs.dicom.helper_side import LENGTH, limit_processor_time, request_bytes, run
from tuipacs.dicom.transcoding.protocol import MAX_REQUEST, TranscodeAnswer, TranscodeRequest
from tuipacs.dicom.transcoding.transcode import Wanted, transcode
from tuipacs.domain.safe_text import clean
from tuipacs.errors import TuipacsError

_LARGEST = 8 << 30  # bytes of one file; an element cannot be longer than 4 GiB
_BUFFER = 1 << 20
_SECONDS = 0.5  # between signs of life


def serve(connection: socket.socket) -> None:
    """Answer requests. Raises `GoneError` when the other end is closed."""
    while True:
        request, stored, made = _receive(connection)
        try:
            answer = _answer(connection, request, stored, made)
        finally:
            os.close(stored)
            os.close(made)
        _say(connection, answer)


def _receive(connection: socket.socket) -> tuple[TranscodeRequest, int, int]:
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 2)
    body = request_bytes(connection, head, MAX_REQUEST)
    if len(descriptors) != 2:
        raise SystemExit(3)
    stored, made = descriptors
    return msgspec.msgpack.decode(body, type=TranscodeRequest), stored, made


def _answer(
    connection: socket.socket, request: TranscodeRequest, stored: int, made: int
) -> TranscodeAnswer:
    limit_processor_time(request.cpu_seconds)
    most = min(request.most + _BUFFER, _LARGEST)  # what cannot be compressed grows a little
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, _LARGEST))
    wanted = Wanted(request.start, request.stored, request.target)
    try:
        with os.fdopen(os.dup(made), "wb", _BUFFER) as out, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about what is checked here
            size = transcode(stored, wanted, out.write, _life(connection, request), request.most)
    except TuipacsError as error:
        return TranscodeAnswer(done=True, error=clean(error.message, limit=300))
    except MemoryError:
        return TranscodeAnswer(done=True, error="it needs more memory than the decoder has")
    except (BrokenPipeError, ConnectionResetError):
        raise
    except OSError as error:
        return TranscodeAnswer(done=True, error=f"it cannot be written anew: {error.strerror}")
    return TranscodeAnswer(done=True, size=size)


def _life(connection: socket.socket, request: TranscodeRequest) -> Callable[[], None]:
    """Called between frames: tells the daemon now and then that the work goes on."""
    said = time.monotonic()

    def tick() -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS:
            said = time.monotonic()
            limit_processor_time(request.cpu_seconds)
            _say(connection, TranscodeAnswer())

    return tick


def _say(connection: socket.socket, answer: TranscodeAnswer) -> None:
    body = msgspec.msgpack.encode(answer)
    connection.sendall(LENGTH.pack(len(body)) + body)


def main(arguments: list[str]) -> None:
    """Run the process."""
    run(arguments, serve, written_bytes=_LARGEST)


if __name__ == "__main__":
    main(sys.argv[1:])
