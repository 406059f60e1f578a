"""An answer of unknown duration, given up as soon as its reader goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PIECE = 256 * 1024  # bytes


class Source(Protocol):
    """Pieces to send. ``aclose`` is called in any case, even if no piece was ever asked for."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, in order."""
        ...

    async def aclose(self) -> None:
        """Let go of what the pieces come from."""
        ...


class StreamAnswer(Response):
    """Sends ``source`` piece by piece, no faster than the client reads.

    An error of the source after the first byte cuts the answer short: the client sees that the
    end is missing, and the error goes on to the caller.
    """

    def __init__(self, source: Source, *, media_type: str, size: int | None = None) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]  # of the empty body that Response assumed
        if size is not None:
            self.headers["content-length"] = str(size)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        async with contextlib.aclosing(self._source):
            sending = asyncio.create_task(self._send_all(send))
            gone = asyncio.create_task(_disconnected(receive))
            try:
                await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not sending.done():
                    sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending

    async def _send_all(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        async for piece in self._source:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_as_read(answer: Response, send: Send) -> None:
    """Send a whole answer no faster than the client reads it; return when hardly any is left.

    The server takes a body of any length at once, and would hold it for a client who never reads.
    """
    head = {"status": answer.status_code, "headers": answer.raw_headers}
    await send({"type": "http.response.start", **head})
    body = memoryview(answer.body)
    for at in range(0, len(body), _PIECE):
        piece = bytes(body[at : at + _PIECE])
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
