"""What the processes that `tuipacs.dicom.helper` starts have in common: framing, and limits."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Callable

LENGTH = struct.Struct("<L")
"""Before each message: four bytes of length, little endian. A length of 0 says: ready."""

_OPEN_FILES = 64


class GoneError(Exception):
    """The daemon closed the socket."""


def limit(memory_bytes: int, *, written_bytes: int) -> None:
    """Bind this process: no core, few files, so much writing to a file, bounded memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (written_bytes, written_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def limit_processor_time(seconds: int) -> None:
    """End this process if it works longer than that from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, hard)
    )


def request_bytes(connection: socket.socket, head: bytes, most: int) -> bytes:
    """A request of which ``head`` has come already, with its files.

    Raises `GoneError`; one that is longer than ``most`` ends the process.
    """
    if not head:
        raise GoneError
    head += exactly(connection, LENGTH.size - len(head))
    (length,) = LENGTH.unpack(head)
    if length > most:
        raise SystemExit(3)
    return exactly(connection, length)


def exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes. Raises `GoneError`."""
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise GoneError
        data += part
    return data


def run(
    arguments: list[str], serve: Callable[[socket.socket], None], *, written_bytes: int
) -> None:
    """Serve on the socket that the command line names, within the limits, until it is closed."""
    descriptor, memory_bytes = (int(one) for one in arguments)
    limit(memory_bytes, written_bytes=written_bytes)
    with socket.socket(fileno=descriptor) as connection:
        connection.sendall(LENGTH.pack(0))
        try:
            serve(connection)
        except (GoneError, BrokenPipeError, ConnectionResetError):
            return
