"""A blocking connection to one archive's control socket, for commands and threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

from tuipacs.client import wire
from tuipacs.schema.messages import Wake
from tuipacs.schema.operations import Answer, Operation, Request

DEFAULT_TIMEOUT = 60.0  # seconds


class Connection:
    """Typed calls over HTTP on a Unix socket. Safe to share between threads.

    ``clean`` makes every text of every answer safe for a terminal; leave it off for exact JSON.
    Raises `tuipacs.errors.TuipacsError`s as the daemon raised them, and `DaemonUnreachableError`.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        token: str = "",
        clean: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        wire.check_socket(socket_path)
        self.token = token
        self._clean = clean
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_path)),
            base_url=wire.BASE_URL,
            timeout=timeout,
        )

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()

    def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Carry out one operation and return its answer."""
        try:
            response = self._http.post(
                f"/v1/{operation.name}",
                content=msgspec.msgpack.encode(request),
                headers=wire.headers(self.token),
            )
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error
        wire.raise_for_error(response.status_code, response.content)
        answer = msgspec.msgpack.decode(response.content, type=operation.answer)
        return wire.cleaned(answer) if self._clean else answer

    def download(self, key: int, *, document: bool = False) -> Iterator[bytes]:
        """Yield the stored bytes of one object, or the document encapsulated in it, in chunks."""
        kind = "documents" if document else "objects"
        try:
            with self._http.stream(
                "GET", f"/v1/{kind}/{key}", headers=wire.headers(self.token)
            ) as response:
                if response.status_code >= 400:
                    wire.raise_for_error(response.status_code, response.read())
                yield from response.iter_raw()
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error

    def events(self) -> Iterator[Wake]:
        """Yield wake-ups until the session ends; `DaemonUnreachableError` if the daemon does."""
        try:
            with self._http.stream(
                "GET", "/v1/events", headers=wire.headers(self.token)
            ) as response:
                if response.status_code >= 400:
                    wire.raise_for_error(response.status_code, response.read())
                for line in response.iter_lines():
                    wake = msgspec.json.decode(line, type=Wake)
                    yield wake
                    if wake.session == "ended":
                        return
        except httpx.TransportError as error:
            raise wire.unreachable(error) from error
        raise wire.ended()
