"""Bytes of stored objects and of the documents inside them, passed on in chunks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tuipacs.api.caller import SessionDoor, origin_of, token_of
from tuipacs.api.streaming import StreamAnswer
from tuipacs.domain.actor import Actor
from tuipacs.errors import NotFoundError
from tuipacs.services.objects import ObjectStream

_MAX_KEY = 2**63


class _Pump:
    """Pulls chunks in worker threads. A late pull and the closing never meet."""

    def __init__(self, stream: ObjectStream, executor: Executor) -> None:
        self._chunks = stream.chunks
        self._executor = executor
        self._lock = threading.Lock()
        self._closed = False

    def _next(self) -> bytes | None:
        with self._lock:
            return None if self._closed else next(self._chunks, None)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if close := getattr(self._chunks, "close", None):
                close()  # a generator: closes its file

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The chunks, in order."""
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(self._executor, self._next):
            yield chunk

    async def aclose(self) -> None:
        """Close the source as soon as no thread is at it."""
        self._executor.submit(self._close)


def download_routes(sessions: SessionDoor, objects: Any, executor: Executor) -> list[Route]:
    """``GET /v1/objects/KEY`` and ``GET /v1/documents/KEY``."""
    kinds = (
        ("objects", objects.open_object, "application/dicom"),
        ("documents", objects.open_document, "application/octet-stream"),
    )
    return [
        Route(
            f"/v1/{kind}/{{key}}",
            _endpoint(sessions, method, media_type, executor),
            methods=["GET"],
        )
        for kind, method, media_type in kinds
    ]


def _endpoint(
    sessions: SessionDoor,
    method: Callable[[Actor, int], ObjectStream],
    media_type: str,
    executor: Executor,
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        text, token, origin = request.path_params["key"], token_of(request), origin_of(request)

        def open_stream() -> ObjectStream:
            actor = sessions.resolve(token, origin)
            return method(actor, _key(text))

        stream = await asyncio.get_running_loop().run_in_executor(executor, open_stream)
        return StreamAnswer(_Pump(stream, executor), media_type=media_type, size=stream.size)

    return endpoint


def _key(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _MAX_KEY):
        raise NotFoundError("there is no object with that key")
    return int(text)
