"""Who is at the other end of the Unix socket: the kernel knows (SO_PEERCRED)."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

UNIX_USER = "unix_user"
_UCRED = struct.Struct("3i")  # pid, uid, gid


def peer_user(connection: socket.socket) -> str:
    """The name of the Unix user who connected, or ``uid N`` for one without a name."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(raw)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with the peer's Unix user in each request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask the kernel once a connection; the user cannot change on it."""
        user = peer_user(transport.get_extra_info("socket"))
        self.app_state: dict[str, Any] = {**self.app_state, UNIX_USER: user}
        super().connection_made(transport)
