"""News from the archive on their way to the screens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import App

from tuipacs.errors import (
    AuthenticationError,
    DaemonUnreachableError,
    SessionLockedError,
    TuipacsError,
)
from tuipacs.schema.messages import Changes
from tuipacs.ui import deeds, feed
from tuipacs.ui.screens.work import WorkScreen

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp


class News(App[int]):
    """One part of `TuipacsApp`: the messages of the `Feed` come in here."""

    @property
    def _tui(self) -> TuipacsApp:
        return cast("TuipacsApp", self)

    def work_screens(self) -> Iterator[WorkScreen]:
        """All screens that may show patient data, visible or not."""
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, WorkScreen):
                    yield screen

    def _tell(self, kind: str, changes: Changes | None = None) -> None:
        for screen in self.work_screens():
            screen.news(kind, changes)

    def on_archive_changed(self, event: feed.ArchiveChanged) -> None:
        """Rows changed."""
        self._tell("archive", event.changes)

    def on_incoming_changed(self) -> None:
        """Associations changed."""
        self.refresh_incoming()

    def on_jobs_changed(self) -> None:
        """Jobs changed."""
        self.refresh_jobs()

    def on_session_locked(self) -> None:
        """The archive locked the session."""
        self._tui.lock_screen()

    def on_session_over(self) -> None:
        """The session ended."""
        if self._tui.desk.session is not None:
            self._tui.leave_work("Your session has ended.")

    def on_link_lost(self) -> None:
        """The archive does not answer."""
        for screen in self.work_screens():
            screen.link_changed()

    def on_link_back(self) -> None:
        """The archive answers again."""
        for screen in self.work_screens():
            screen.link_changed()
        self.notify("the archive is reachable again", markup=False)
        self.refresh_status()

    @work(exclusive=True, group="incoming")
    async def refresh_incoming(self) -> None:
        """Fetch the associations."""
        if await deeds.fetch_incoming(self._tui):
            self._tell("incoming")

    @work(exclusive=True, group="jobs")
    async def refresh_jobs(self) -> None:
        """Fetch the jobs."""
        if await deeds.fetch_jobs(self._tui):
            self._tell("jobs")

    @work(exclusive=True, group="status")
    async def refresh_status(self) -> None:
        """Fetch what the header and the system screen show."""
        if await deeds.fetch_status(self._tui):
            self._tell("status")
            for screen in self.work_screens():
                screen.link_changed()

    def report(self, error: TuipacsError, *, quietly: bool = False) -> None:
        """Show an error where it belongs: banner, lock, login, or a message."""
        if isinstance(error, DaemonUnreachableError):
            return  # the feed notices too, and shows the banner
        if isinstance(error, SessionLockedError):
            self._tui.lock_screen()
        elif isinstance(error, AuthenticationError):
            self.on_session_over()
        elif not quietly:
            text = "\n".join(part for part in (error.message, error.remedy) if part)
            self.notify(text, severity="error", timeout=8, markup=False)
