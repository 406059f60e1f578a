"""A list draws again only what changed; a terminal shows the same as if all had been drawn."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyte
import pytest
from textual import events
from textual._compositor import CompositorUpdate
from textual.geometry import Region
from textual.screen import Screen

from tests.ui.driving import THEMES, FakeLauncher, archive_screen, at_work, until
from tests.ui.fake_archive import TODAY, FakeArchive, FakeLink
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.graphics.choice import GraphicsChoice, Protocol
from tuipacs.ui.graphics.probe import ProbeResult
from tuipacs.ui.widgets.archive_table import ArchiveTable

KEYS = (
    *("j", "j", "slash", "escape", "k", "ctrl+d", "enter", "j", "space", "pagedown"),
    *("k", "G", "pageup", "home", "j", "enter", "j", "h"),
)


class Watched(TuipacsApp):
    """Sends its updates to a terminal too, as it would to a real one."""

    def __init__(self, archive: FakeArchive, size: tuple[int, int]) -> None:
        self.terminal = pyte.Screen(*size)
        self.sent = 0
        self.is_watched = False
        self._stream = pyte.Stream(self.terminal)
        super().__init__(
            FakeLauncher(archive),
            probe=ProbeResult(choice=GraphicsChoice(protocol=Protocol.HALF, reason="a test")),
            make_link=lambda: FakeLink(archive),
            theme_folders=[THEMES],
            preferences_file=None,
            now=lambda: dt.datetime.combine(TODAY, dt.time(12, 0), tzinfo=dt.UTC),
        )

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate) and not self._batch_count:
            sequence = renderable.render_segments(self.console)
            self.sent += len(sequence)
            if self.is_watched:
                self._stream.feed(sequence)

    def cells(self, region: Region) -> list[list[Any]]:
        """What the terminal shows there, with colors."""
        buffer = self.terminal.buffer
        return [[buffer[y][x] for x in region.column_range] for y in region.line_range]


def settled(table: ArchiveTable) -> bool:
    """Whether nothing is being loaded near the viewport."""
    loading = any(branch.loading for branch in table.outline.branches.values())
    return not loading and not table.outline.missing_pages(*table.wanted_lines)


@pytest.mark.parametrize("size", [(80, 24), (110, 28)])
async def test_the_terminal_shows_what_drawing_everything_again_would_show(
    size: tuple[int, int],
) -> None:
    archive = FakeArchive(300)
    app = Watched(archive, size)
    async with at_work(archive, size=size, app=app) as (_, pilot):
        table = archive_screen(app).table
        app.is_watched = True
        app.screen.refresh(layout=True)
        table.redraw()
        for key in KEYS:
            app.post_message(events.Key(key, None))
            await pilot.pause(0.05)
            await until(pilot, lambda: settled(table))
            await pilot.pause(0.05)
            before = app.cells(table.region)
            table.redraw()
            await pilot.pause(0.05)
            assert before == app.cells(table.region), f"after {key}"


async def test_a_move_of_the_cursor_sends_two_lines_and_not_the_list() -> None:
    archive = FakeArchive(300)
    app = Watched(archive, (80, 24))
    async with at_work(archive, size=(80, 24), app=app) as (_, pilot):
        await pilot.press("j")
        await pilot.pause()
        app.sent = 0
        archive_screen(app).table.redraw()
        await pilot.pause()
        everything, app.sent = app.sent, 0
        await pilot.press("j")
        await pilot.pause()
        assert 0 < app.sent < everything / 4
