"""The ASGI application: a route for each operation, made from `tuipacs.schema.operations.ALL`."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuipacs.api import codec
from tuipacs.api.caller import SessionDoor, origin_of, token_of
from tuipacs.api.downloads import download_routes
from tuipacs.api.errors import error_response, incident
from tuipacs.api.events import EventStreams
from tuipacs.api.peer import UNIX_USER
from tuipacs.api.streaming import send_as_read
from tuipacs.api.turns import Turns
from tuipacs.domain.actor import Origin
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ForbiddenError, NotFoundError, TuipacsError, UsageError
from tuipacs.schema.operations import (
    ALL,
    CHANGE_PASSWORD,
    LOGIN,
    NODE_ECHO,
    NODE_TEST,
    UNLOCK,
    USER_ADD,
    USER_PASSWORD,
    Operation,
)
from tuipacs.services.wakeups import Wakeups

log = logging.getLogger(__name__)

SHARE = 2  # requests of one session that are carried out or sent at the same time, of each kind
_HASHING = {op.name for op in (LOGIN, UNLOCK, CHANGE_PASSWORD, USER_ADD, USER_PASSWORD)}
_CALLING = {op.name for op in (NODE_ECHO, NODE_TEST)}

Call = Callable[[Any, str, Origin], Any]
"""Runs one operation in a worker thread: (request, token, origin) -> answer."""


class ServiceSet(Protocol):
    """The container of services: operation ``x.y`` is method ``y`` of attribute ``x``."""

    @property
    def sessions(self) -> SessionDoor:
        """Logins."""
        ...

    @property
    def objects(self) -> Any:
        """Stored objects."""
        ...


@dataclass(frozen=True)
class Workers:
    """Threads for the services, which are synchronous.

    Objects have their own: pictures that take long to decode must not keep anyone from logging in
    or from seeing what arrives. So have passwords, whose hashing is slow on purpose, and calls to
    other nodes, which may take until their timeout.
    """

    common: Executor
    objects: Executor
    passwords: Executor
    calls: Executor

    def of(self, operation_name: str) -> Executor:
        """The threads for an operation."""
        if operation_name in _HASHING:
            return self.passwords
        if operation_name in _CALLING:
            return self.calls
        return self.objects if operation_name.startswith("objects.") else self.common


class ControlApi:
    """The application and what belongs to its life: call `close` before the server shuts down."""

    def __init__(self, services: ServiceSet, wakeups: Wakeups, workers: Workers) -> None:
        """Make every route now, so that a missing service method is found at the start."""
        self._workers = workers
        self._turns = Turns(SHARE)
        self.events = EventStreams(wakeups, services.sessions.state, workers.common)
        routes = [
            Route(f"/v1/{operation.name}", self._endpoint(operation, services), methods=["POST"])
            for operation in ALL
        ]
        routes.extend(download_routes(services.sessions, services.objects, workers.objects))
        routes.append(Route("/v1/events", self.events.endpoint, methods=["GET"]))
        self.application: ASGIApp = _Boundary(Router(routes, redirect_slashes=False))

    def close(self) -> None:
        """End the event streams; other requests finish by themselves."""
        self.events.close()

    def _endpoint(self, operation: Operation[Any, Any], services: ServiceSet) -> ASGIApp:
        executor = self._workers.of(operation.name)
        return _Endpoint(operation, _bind(operation, services), executor, self._turns)


class _Endpoint:
    """One operation: reads the request, runs it in a worker thread, sends the answer.

    Running and sending take a turn of the caller. A reader who does not read holds up a few large
    answers in our memory, not as many as there are connections.
    """

    def __init__(
        self, operation: Operation[Any, Any], call: Call, executor: Executor, turns: Turns
    ) -> None:
        self._operation = operation
        self._call = call
        self._executor = executor
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await codec.read_body(request)
        kind = request.headers.get("content-type", "")
        message = codec.decode(body, kind, self._operation.request)
        accept, token = request.headers.get("accept", ""), token_of(request)
        origin = origin_of(request)

        def work() -> Response:
            return codec.encode(self._call(message, token, origin), accept)

        # Without a session any token can be made up: there the Unix user is the caller.
        caller = origin.unix_user if self._operation.public else token
        async with self._turns.of((caller, self._operation.public, self._executor)):
            answer = await asyncio.get_running_loop().run_in_executor(self._executor, work)
            await send_as_read(answer, send)


def _bind(operation: Operation[Any, Any], services: ServiceSet) -> Call:
    """The service method of an operation, as one call for a worker thread."""
    service, _, name = operation.name.partition(".")
    method = getattr(getattr(services, service), name)
    sessions = services.sessions
    if not operation.public:

        def guarded_call(message: Any, token: str, origin: Origin) -> Any:
            return method(sessions.resolve(token, origin), message)

        return guarded_call
    wanted = inspect.signature(method).parameters

    def public_call(message: Any, token: str, origin: Origin) -> Any:
        offered: dict[str, Any] = {"token": token, "origin": origin}
        return method(message, **{key: offered[key] for key in offered if key in wanted})

    return public_call


class _Boundary:
    """The outermost layer: no browser, one answer for each error, one line in the log."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        status = 0

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        refusal = await self._run(scope, receive, counted_send)
        if refusal is not None and not status:
            await refusal(scope, receive, counted_send)
        log.log(
            logging.INFO if status >= 400 else logging.DEBUG,
            "%s %s %d %.0f ms for %s",
            clean(scope["method"], limit=16),
            clean(scope["path"], limit=80),
            status,
            (time.monotonic() - started) * 1000,
            scope["state"][UNIX_USER],
        )

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Run the request; return the answer for an error, if it is not too late for one."""
        scope["app"] = self  # makes the router raise for what it does not know
        try:
            if any(name == b"origin" for name, _ in scope["headers"]):
                raise ForbiddenError("the control socket is not for browsers")
            await self._inner(scope, receive, send)
        except HTTPException as error:
            return error_response(_http_error(error), error.status_code)
        except TuipacsError as error:
            return error_response(error, codec.status_for(error))
        except ClientDisconnect:
            return None
        except Exception as error:  # noqa: BLE001 - a bug: logged whole, told as an incident
            return error_response(incident(error, clean(scope["path"], limit=80)))
        return None


def _http_error(error: HTTPException) -> TuipacsError:
    if error.status_code == 404:
        return NotFoundError("there is no such operation", remedy="this daemon may be older")
    return UsageError(error.detail)
