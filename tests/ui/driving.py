"""Drives the whole application against a `FakeArchive`, without a terminal."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rich.segment import Segment
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.fake_archive import PASSWORD, TODAY, FakeArchive, FakeLink
from tuipacs.errors import TuipacsError
from tuipacs.paths import ArchivePaths
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.graphics.choice import GraphicsChoice, Protocol
from tuipacs.ui.graphics.probe import ProbeResult
from tuipacs.ui.launcher import Launcher, NewArchive
from tuipacs.ui.screens.archive import ArchiveScreen
from tuipacs.ui.screens.login import LoginScreen

THEMES = Path(__file__).parents[2] / "themes"

os.environ["TZ"] = "UTC"  # times on screen do not depend on where the tests run
time.tzset()


class FakeLauncher(Launcher):
    """Makes and starts the fake archive."""

    def __init__(self, archive: FakeArchive, *, exists: bool = True) -> None:
        super().__init__(ArchivePaths(Path("/nowhere/archive")))
        self.fake = archive
        self.is_there = exists
        self.made: NewArchive | None = None
        self.taken_ports: set[int] = set()
        self.starts = 0
        self.refusal: TuipacsError | None = None
        self.comes_up = True
        self.last_words = ""
        self.begun = 0
        self.gate: asyncio.Event | None = None  # while set and not open, nothing is made

    @property
    def exists(self) -> bool:
        return self.is_there

    def port_trouble(self, port: int) -> str:
        return "Another program listens there." if port in self.taken_ports else ""

    async def initialise(self, new: NewArchive) -> None:
        self.begun += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.made, self.is_there = new, True

    def start(self) -> None:
        self.starts += 1
        self.fake.reachable = self.comes_up

    def died(self) -> str:
        return self.last_words


def program(
    archive: FakeArchive,
    *,
    launcher: FakeLauncher | None = None,
    preferences: Path | None = None,
    themes: Path = THEMES,
) -> TuipacsApp:
    """The application as `tuipacs.ui.app.run` makes it, but for the archive and the clock."""
    noon = dt.datetime.combine(TODAY, dt.time(12, 0), tzinfo=dt.UTC)
    choice = GraphicsChoice(protocol=Protocol.HALF, reason="a test")
    return TuipacsApp(
        launcher or FakeLauncher(archive),
        probe=ProbeResult(choice=choice),
        make_link=lambda: FakeLink(archive),
        theme_folders=[themes],
        preferences_file=preferences,
        now=lambda: noon,
    )


def hold_still(app: TuipacsApp) -> None:
    """No cursor blinks on the screen: a picture of it is the same each time."""
    for field in app.screen.query(Input):
        field.cursor_blink = False  # which shows the cursor, too


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Let the application work until ``condition`` holds."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came true")


async def log_in(pilot: Pilot[int], archive: FakeArchive, password: str = PASSWORD) -> None:
    """Type name and password, and wait for the first screen."""
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
    type_ahead(app, archive.user, "tab", password, "enter")
    await until(pilot, lambda: app.current_mode != "start" and app.screen.is_mounted)


@asynccontextmanager
async def at_work(
    archive: FakeArchive, *, size: tuple[int, int] = (120, 36), app: TuipacsApp | None = None
) -> AsyncIterator[tuple[TuipacsApp, Pilot[int]]]:
    """Log in and wait until rows are there."""
    app = app or program(archive)
    async with app.run_test(size=size, notifications=True) as pilot:
        await log_in(pilot, archive)
        screen = app.screen
        if isinstance(screen, ArchiveScreen):
            await until(pilot, lambda: "browse.patients" in archive.names_called())
            await until(pilot, lambda: screen.table.line_count == 0 or screen.table.current_record)
            await pilot.pause()
        yield app, pilot


def type_ahead(app: TuipacsApp, *words: str) -> None:
    """Keys in one burst, as a paste or a slow line delivers them. Long words are typed."""
    named = {"tab", "enter", "escape", "up", "down", "left", "space", "backspace"}
    for word in words:
        if word in named or word.startswith("ctrl+"):
            app.post_message(events.Key(word, None))
        else:
            for character in word:
                app.post_message(events.Key(_character_to_key(character), character))


def screen_text(app: TuipacsApp) -> str:
    """What a person sees, line by line."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def screen_segments(app: TuipacsApp) -> list[Segment]:
    """All pieces of what a person sees."""
    return [segment for line in app.screen._compositor.render_strips() for segment in line]


def archive_screen(app: TuipacsApp) -> ArchiveScreen:
    """The archive screen, which must be the current one."""
    assert isinstance(app.screen, ArchiveScreen)
    return app.screen
