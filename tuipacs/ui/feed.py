"""Follows one archive's event stream and keeps following it through outages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from textual.message import Message

from tuipacs.domain.permissions import Permission
from tuipacs.errors import AuthenticationError, DaemonUnreachableError, SessionLockedError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, ChangesRequest, Empty, Wake
from tuipacs.ui.desk import Desk

PACE = 0.25  # seconds between two updates: at most four a second
BACK_OFF = (0.25, 0.5, 1.0, 2.0, 4.0)  # seconds; the last one repeats


class ArchiveChanged(Message):
    """Rows changed. ``changes`` is None when it is not known which: load again."""

    def __init__(self, changes: Changes | None) -> None:
        super().__init__()
        self.changes = changes


class IncomingChanged(Message):
    """The list of associations changed."""


class JobsChanged(Message):
    """The list of jobs changed."""


class SessionLocked(Message):
    """The daemon locked the session."""


class SessionOver(Message):
    """The session ended: expired, ended by an administrator, or its user was disabled."""


class LinkLost(Message):
    """The archive does not answer any more."""


class LinkBack(Message):
    """The archive answers again."""


@dataclass
class _Seen:
    seq: int = -1
    incoming: int = -1
    jobs: int = -1
    session: str = "active"


class Feed:
    """Turns wake-ups into messages, at most four rounds a second. Run it as a worker."""

    def __init__(
        self,
        desk: Desk,
        post: Callable[[Message], object],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._desk = desk
        self._post = post
        self._sleep = sleep
        self._seen = _Seen()
        self._was_away = False
        self._latest: Wake | None = None
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follow until the session ends."""
        while True:
            try:
                await self._follow()
            except SessionLockedError:
                self._post(SessionLocked())
                await self._sleep(BACK_OFF[2])
                continue
            except AuthenticationError:
                self._post(SessionOver())
                return
            except DaemonUnreachableError as error:
                if not await self._return_of_the_archive(error):
                    return

    async def _follow(self) -> None:
        handler = asyncio.create_task(self._handle())
        try:
            async for wake in self._desk.link.events():
                self._latest = wake
                self._news.set()
                if handler.done():
                    break
            if handler.done():
                await handler  # raises what went wrong there
            raise DaemonUnreachableError("the archive closed the event stream")
        finally:
            handler.cancel()

    async def _handle(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            wake = self._latest
            if wake is not None:
                await self._digest(wake)
            await self._sleep(PACE)

    async def _digest(self, wake: Wake) -> None:
        seen = self._seen
        if wake.session != seen.session:
            seen.session = wake.session
            if wake.session == "locked":
                self._post(SessionLocked())
            elif wake.session == "ended":
                self._post(SessionOver())
        if wake.session != "active":
            return
        if wake.incoming != seen.incoming:
            seen.incoming = wake.incoming
            self._post(IncomingChanged())
        if wake.jobs != seen.jobs:
            seen.jobs = wake.jobs
            self._post(JobsChanged())
        if wake.seq != seen.seq and self._desk.may(Permission.BROWSE):
            await self._catch_up(wake.seq)

    async def _catch_up(self, seq: int) -> None:
        if self._seen.seq < 0 and not self._was_away:
            # The first page may be older than this wake-up: follow on from the page.
            self._seen.seq = min(seq, self._desk.as_of_seq if self._desk.as_of_seq >= 0 else seq)
        elif self._seen.seq < 0 or seq < self._seen.seq:
            self._seen.seq = seq
            self._post(ArchiveChanged(None))
        if seq == self._seen.seq:
            return
        while True:
            changes = await self._desk.link.call(
                op.CHANGES, ChangesRequest(after_seq=self._seen.seq)
            )
            self._seen.seq = changes.as_of_seq
            self._desk.totals = changes.totals
            self._post(ArchiveChanged(changes))
            if not changes.more:
                return

    async def _return_of_the_archive(self, error: DaemonUnreachableError) -> bool:
        """Wait until it answers. False when the session did not survive."""
        self._desk.reachable = False
        self._desk.trouble = error.message
        self._post(LinkLost())
        attempt = 0
        while True:
            await self._sleep(BACK_OFF[min(attempt, len(BACK_OFF) - 1)])
            attempt += 1
            try:
                self._desk.health = await self._desk.link.call(op.HEALTH, Empty())
                identity = await self._desk.link.call(op.WHOAMI, Empty())
            except DaemonUnreachableError as again:
                self._desk.trouble = again.message
                continue
            except SessionLockedError:
                self._back()
                self._post(SessionLocked())
                return True
            except AuthenticationError:
                self._back()
                self._post(SessionOver())
                return False
            self._back()
            if identity.locked:
                self._post(SessionLocked())
            return True

    def _back(self) -> None:
        self._desk.reachable = True
        self._desk.trouble = ""
        self._seen = _Seen()  # what happened meanwhile is not known: load everything again
        self._was_away = True
        self._post(LinkBack())
