"""``GET /v1/events``: a line for each wake-up, as long as the client listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tuipacs.api.caller import token_of
from tuipacs.api.streaming import StreamAnswer
from tuipacs.errors import AuthenticationError, UnavailableError
from tuipacs.schema.messages import Wake
from tuipacs.services.wakeups import Wakeups

MEDIA_TYPE = "application/x-ndjson"
HEARTBEAT = 10.0  # seconds between lines when nothing happens
SESSION_CHECK = 1.0  # seconds until a lock by the clock is noticed
COALESCE = 0.25  # seconds between lines at least: four a second
REST = 0.05  # seconds after a wake-up in which there is no other
MAX_STREAMS = 192
MAX_STREAMS_PER_SESSION = 4  # the oldest gives way: its reader may be gone without a word
ENDED = "ended"


class _Stream:
    """One reader of one session."""

    def __init__(self, streams: EventStreams, token: str) -> None:
        self._streams = streams
        self.token = token
        self.changed = asyncio.Event()
        self.superseded = False
        self._lines = streams.lines(self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines

    async def aclose(self) -> None:
        self._streams.forget(self)
        await self._lines.aclose()


class EventStreams:
    """All open event streams of one event loop. Make it inside the running loop."""

    def __init__(
        self, wakeups: Wakeups, session_state: Callable[[str], str], executor: Executor
    ) -> None:
        self._wakeups = wakeups
        self._session_state = session_state
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._open: list[_Stream] = []  # the oldest first
        self._told = True
        self._told_of = wakeups.versions
        self._closing = False
        self._unsubscribe = wakeups.listen(self._heard)

    def close(self) -> None:
        """End all streams and listen no more. Call it in the loop, before the loop ends."""
        self._closing = True
        self._unsubscribe()
        self._tell()

    def _heard(self) -> None:
        """Called by any thread, after any commit: at most one call waits in the loop.

        With nobody listening the loop sleeps on: who comes reads the newest versions first.
        """
        if self._told and self._open:
            self._told = False
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told_of = self._wakeups.versions
        for stream in self._open:
            stream.changed.set()
        if not self._closing:
            self._loop.call_later(REST, self._listen_again)

    def _listen_again(self) -> None:
        """A wake-up of this loop costs the thread that receives more than the news is worth."""
        self._told = True
        if self._wakeups.versions != self._told_of:
            self._heard()

    async def endpoint(self, request: Request) -> Response:
        """Answer one request; a locked session may listen, for it hears numbers only."""
        token = token_of(request)
        if await self._state(token) == ENDED:
            raise AuthenticationError("log in first", remedy="the session has ended or never began")
        self._make_room(token)
        if len(self._open) >= MAX_STREAMS:
            raise UnavailableError("too many screens listen already")
        stream = _Stream(self, token)
        self._open.append(stream)
        return StreamAnswer(stream, media_type=MEDIA_TYPE)

    def _make_room(self, token: str) -> None:
        own = [stream for stream in self._open if stream.token == token]
        for stream in own[: max(0, len(own) + 1 - MAX_STREAMS_PER_SESSION)]:
            stream.superseded = True
            stream.changed.set()
            self.forget(stream)

    def forget(self, stream: _Stream) -> None:
        """It counts no more."""
        if stream in self._open:
            self._open.remove(stream)

    async def _state(self, token: str) -> str:
        return await self._loop.run_in_executor(self._executor, self._session_state, token)

    async def lines(self, stream: _Stream) -> AsyncGenerator[bytes, None]:
        """A line now, one after each change, and one now and then."""
        last, sent_at = None, -HEARTBEAT
        while not self._closing and not stream.superseded:
            stream.changed.clear()
            now = self._wakeups.versions
            state = await self._state(stream.token)
            wake = Wake(seq=now.seq, incoming=now.incoming, jobs=now.jobs, session=state)
            if wake != last or self._loop.time() - sent_at >= HEARTBEAT:
                last, sent_at = wake, self._loop.time()
                yield msgspec.json.encode(wake) + b"\n"
            if state == ENDED:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stream.changed.wait(), SESSION_CHECK)
            await asyncio.sleep(sent_at + COALESCE - self._loop.time())
