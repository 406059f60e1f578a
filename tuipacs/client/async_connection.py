"""The same connection for an event loop: what the screens use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec

from tuipacs.client import wire
from tuipacs.client.connection import DEFAULT_TIMEOUT
from tuipacs.schema.messages import Wake
from tuipacs.schema.operations import Answer, Operation, Request


class AsyncConnection:
    """Typed calls over HTTP on a Unix socket; every text of every answer is safe for a terminal.

    Raises `tuipacs.errors.TuipacsError`s as the daemon raised them, and `DaemonUnreachableError`.
    """

    def __init__(
        self, socket_path: Path, *, token: str = "", timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        wire.check_socket(socket_path)
        self.token = token
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket_path)),
            base_url=wire.BASE_URL,
            timeout=timeout,
        )

    async def close(self) -> None:
        """Close the sockets."""
        await self._http.aclose()

    async def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Carry out one operation and return its answer."""
        try:
            response = await self._http.post(
                f"/v1/{operation.name}",
                content=msgspec.msgpack.encode(request),
                headers=wire.headers(self.token),
            )
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error
        wire.raise_for_error(response.status_code, response.content)
        answer = msgspec.msgpack.decode(response.content, type=operation.answer)
        return wire.cleaned(answer)  # type: ignore[no-any-return]

    async def download(self, key: int, *, document: bool = False) -> AsyncIterator[bytes]:
        """Yield the stored bytes of one object, or the document encapsulated in it, in chunks."""
        kind = "documents" if document else "objects"
        path = f"/v1/{kind}/{key}"
        try:
            async with self._http.stream("GET", path, headers=wire.headers(self.token)) as response:
                if response.status_code >= 400:
                    wire.raise_for_error(response.status_code, await response.aread())
                async for chunk in response.aiter_raw():
                    yield chunk
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error

    async def events(self) -> AsyncIterator[Wake]:
        """Yield wake-ups until the session ends; `DaemonUnreachableError` if the daemon does."""
        timeout = httpx.Timeout(DEFAULT_TIMEOUT, read=30.0)  # the daemon sends a line every 10 s
        try:
            async with self._http.stream(
                "GET", "/v1/events", headers=wire.headers(self.token), timeout=timeout
            ) as response:
                if response.status_code >= 400:
                    wire.raise_for_error(response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    wake = msgspec.json.decode(line, type=Wake)
                    yield wake
                    if wake.session == "ended":
                        return
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error
        raise wire.ended()
