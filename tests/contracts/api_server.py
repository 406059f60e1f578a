"""The control API on a real socket in a thread, over services that answer from memory."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuipacs.api.app import ControlApi, Workers
from tuipacs.api.server import ControlServer, bind_control_socket
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.permissions import MATRIX, Role
from tuipacs.errors import AuthenticationError
from tuipacs.schema.messages import Empty, LoginRequest
from tuipacs.schema.operations import ALL
from tuipacs.services.wakeups import Wakeups

TOKEN = "the-token-of-vera"
OTHER_TOKEN = "the-token-of-a-second-session"


class FakeSessions:
    """Knows two tokens; `session_state` is what `state` says of it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.session_state = "active"
        self.origins: list[Origin] = []
        self.hashing: Callable[[], object] = lambda: None  # what a login takes its time with

    def resolve(self, token: str, origin: Origin) -> Actor:
        self.origins.append(origin)
        if token not in (TOKEN, OTHER_TOKEN):
            raise AuthenticationError("log in first")
        return Actor(
            kind=ActorKind.USER, name="vera", permissions=MATRIX[Role.VIEWER], role=Role.VIEWER
        )

    def state(self, token: str) -> str:
        return self.session_state if token in (TOKEN, OTHER_TOKEN) else "ended"

    def login(self, request: LoginRequest, origin: Origin) -> Any:
        self.origins.append(origin)
        self.hashing()
        raise AuthenticationError("wrong")

    def unlock(self, request: Any, token: str, origin: Origin) -> Any:
        raise AuthenticationError(f"unlock {token}")


class FakeService:
    """Any operation, as a function that a test puts in."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.answers: dict[str, Any] = {}
        self.seen: list[tuple[Any, ...]] = []

    def method(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.seen.append((name, *arguments))
            answer = self.answers.get(name, Empty())
            return answer(*arguments) if callable(answer) else answer

        return call

    def __getattr__(self, name: str) -> Any:
        return self.method(name)


class FakeServices:
    """Every attribute that an operation names."""

    def __init__(self) -> None:
        self.sessions = FakeSessions()
        for name in {operation.name.partition(".")[0] for operation in ALL} - {"sessions"}:
            setattr(self, name, FakeService())
        for name in ("logout", "lock", "touch", "whoami", "change_password"):
            setattr(self.sessions, name, lambda actor, request: request)

    def forget(self) -> None:
        """What earlier tests said and saw."""
        for service in vars(self).values():
            service.forget()

    objects: Any
    browse: Any
    system: Any


@dataclass
class RunningApi:
    """Where it listens and what is behind it."""

    path: Path
    services: FakeServices
    wakeups: Wakeups


@contextmanager
def running_api(folder: Path, **server_settings: float) -> Iterator[RunningApi]:
    """Serve until the block ends; what was in progress is finished."""
    services, wakeups = FakeServices(), Wakeups()
    path = folder / "c.sock"
    listener = bind_control_socket(path)
    started = threading.Event()
    ends: list[Any] = []

    async def serve() -> None:
        with (
            ThreadPoolExecutor(2) as common,
            ThreadPoolExecutor(4) as objects,
            ThreadPoolExecutor(1) as passwords,
            ThreadPoolExecutor(1) as calls,
        ):
            api = ControlApi(services, wakeups, Workers(common, objects, passwords, calls))
            server = ControlServer(api.application, **server_settings)
            loop = asyncio.get_running_loop()

            def end() -> None:
                api.close()
                server.end()

            ends.append(lambda: loop.call_soon_threadsafe(end))
            started.set()
            await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    _wait_until_it_listens(path)
    try:
        yield RunningApi(path, services, wakeups)
    finally:
        ends[0]()
        thread.join(20)
        assert not thread.is_alive()
        with socket.socket(socket.AF_UNIX) as probe:
            assert probe.connect_ex(str(path)) != 0


def _wait_until_it_listens(path: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        assert time.monotonic() < deadline, "it does not listen"
        time.sleep(0.01)
