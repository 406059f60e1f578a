"""The control socket and the server on it.

uvicorn would make a socket that everyone may write to, so the socket is made here, private from its
first instant. Signals and logging are the daemon's, not uvicorn's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp
from uvicorn import Server

from tuipacs.api.peer import HEAD_SECONDS, PeerConfig, PeerProtocol
from tuipacs.errors import ConfigError, ConflictError, StorageFailedError
from tuipacs.folder import group_id

KEEP_ALIVE = 75  # seconds; longer than a client keeps an idle connection (httpx: 5)
_PROBE_SECONDS = 1.0


def bind_control_socket(path: Path, group: str = "") -> socket.socket:
    """Make the socket at ``path``, not listening yet: mode 0600, or 0660 for ``group``.

    Call it only while holding the archive's lock: a dead socket in the way is removed. Raises
    `ConflictError` if somebody answers there, `ConfigError` for a group that is not known or not
    ours, `StorageFailedError` if the place cannot be used.
    """
    gid = group_id(group) if group else -1
    _make_room(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
        if group:
            os.chown(path, -1, gid)
            path.chmod(0o660)
    except PermissionError as error:
        listener.close()
        raise ConfigError(
            f"the control socket cannot be made as told: {error.strerror}",
            remedy="is the daemon's user a member of [control] socket_group?",
        ) from None
    except OSError as error:
        listener.close()
        raise StorageFailedError(
            f"the control socket {path} cannot be made: {error.strerror}"
        ) from None
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _make_room(path: Path) -> None:
    """Remove a socket that nobody answers on. Anything else in the way is left alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageFailedError(f"{path} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISSOCK(mode):
        raise StorageFailedError(
            f"{path} is in the way of the control socket and is none", remedy="move it away"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        outcome = probe.connect_ex(os.fspath(path))
    if outcome in (0, errno.EAGAIN):
        raise ConflictError(
            f"another program answers on {path}", remedy="stop it; it does not hold our lock"
        )
    path.unlink(missing_ok=True)


class ControlServer(Server):
    """uvicorn on a socket of ours, that sleeps until it is told to end."""

    def __init__(self, application: ASGIApp, *, head_seconds: float = HEAD_SECONDS) -> None:
        config = PeerConfig(
            application,
            http=PeerProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=5,
        )
        config.head_seconds = head_seconds
        super().__init__(config)
        self._end = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The daemon handles signals."""
        yield

    async def main_loop(self) -> None:
        """uvicorn would look ten times a second whether to end."""
        await self.on_tick(0)
        await self._end.wait()

    def end(self) -> None:
        """Finish the requests in progress, then return from `serve`."""
        self.should_exit = True
        self._end.set()
