"""The requestor's channel: many pieces of memory go out in one call, without being joined."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence

from tuipacs.dimse.channel import Channel

_BUFFER = 1 << 16  # bytes; most answers are short
_MAX_PARTS = 1000  # of one sendmsg: IOV_MAX is 1024 on Linux
_SHORT = 1024  # bytes of a part below which joining is cheaper than gathering


class RequestorChannel(Channel):
    """A `Channel` that also sends without copying. ``room``: bytes that it can hold at least."""

    def __init__(self, sock: socket.socket, room: int = 0) -> None:
        super().__init__(sock, max(room, _BUFFER))
        self._gathers = not isinstance(sock, ssl.SSLSocket)

    def send_parts(self, parts: Sequence[bytes | memoryview], timeout: float) -> None:
        """Send all of them within ``timeout`` seconds. Raises `PeerSlowError`, `PeerGoneError`."""
        if not self._gathers or sum(map(len, parts)) < _SHORT * len(parts):
            self.send(b"".join(parts), timeout)
            return
        deadline = time.monotonic() + timeout
        with self._sending("took no more data"):
            for at in range(0, len(parts), _MAX_PARTS):
                self._gather(list(parts[at : at + _MAX_PARTS]), deadline)

    def _gather(self, parts: list[bytes | memoryview], deadline: float) -> None:
        while parts:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            sent = self._socket.sendmsg(parts)
            whole = 0
            for part in parts:
                if sent < len(part):
                    break
                sent -= len(part)
                whole += 1
            del parts[:whole]
            if parts and sent:
                parts[0] = memoryview(parts[0])[sent:]
