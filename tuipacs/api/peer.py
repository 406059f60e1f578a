"""Who is at the other end of the Unix socket: the kernel knows (SO_PEERCRED).

And how many connections each may have: a listener that takes any number soon has no descriptor
left, for nobody, and for what comes in over DICOM neither.
"""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from tuipacs.errors import UnavailableError
from tuipacs.schema.messages import ErrorBody

UNIX_USER = "unix_user"
MAX_CONNECTIONS = 256
MAX_CONNECTIONS_PER_USER = 128  # of one Unix user
HEAD_SECONDS = 10.0  # from the connection, or the first byte of a request, to its whole head
_UCRED = struct.Struct("3i")  # pid, uid, gid


def peer_user(connection: socket.socket) -> str:
    """The name of the Unix user who connected, or ``uid N`` for one without a name."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(raw)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


class PeerConfig(Config):
    """uvicorn's settings and ours. Times in seconds."""

    head_seconds = HEAD_SECONDS


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with the peer's Unix user in each request's state, and with bounds.

    One connection too many is refused, unless its user has one that never asked for anything: then
    the oldest of these makes room.
    """

    unix_user = ""
    _head_timer: asyncio.TimerHandle | None = None
    _asked = False  # a whole request has come
    _made_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once a connection; the user cannot change on it."""
        self.unix_user = peer_user(transport.get_extra_info("socket"))
        self.app_state: dict[str, Any] = {**self.app_state, UNIX_USER: self.unix_user}
        self._made_at = self.loop.time()
        full = len(self.connections) >= MAX_CONNECTIONS
        own = sum(1 for _ in self._of_same_user())
        super().connection_made(transport)
        if (full or own >= MAX_CONNECTIONS_PER_USER) and not self._make_room():
            transport.write(_REFUSAL)
            transport.close()
            return
        self._wait_for_head()

    @property
    def _head_seconds(self) -> float:
        return self.config.head_seconds if isinstance(self.config, PeerConfig) else HEAD_SECONDS

    def _of_same_user(self) -> Iterator[PeerProtocol]:
        for other in self.connections:
            if isinstance(other, PeerProtocol) and other.unix_user == self.unix_user:
                yield other

    def _make_room(self) -> bool:
        silent = [other for other in self._of_same_user() if other is not self and not other._asked]
        oldest = min(silent, key=lambda other: other._made_at, default=None)
        if oldest is None:
            return False
        oldest._give_up()
        return True

    def data_received(self, data: bytes) -> None:
        """Pass it on; a head that has begun must become whole in time."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._asked = True
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._head_seconds, self._give_up)

    def _wait_no_more(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._wait_no_more()
        self.connections.discard(self)  # its place is free now, not when the loop comes round
        self.transport.abort()


def _refusal() -> bytes:
    error = UnavailableError("too many connections to the control socket")
    body = msgspec.json.encode(ErrorBody(code=error.code, message=error.message))
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


_REFUSAL = _refusal()
