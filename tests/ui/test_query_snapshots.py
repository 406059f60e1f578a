"""How Query/Retrieve looks: compared with pictures that a person has approved."""

from __future__ import annotations

import msgspec
import pytest
from textual.pilot import Pilot

from tests.ui.driving import hold_still, log_in, program, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tests.ui.fake_remote import study
from tests.ui.test_snapshots import Compare
from tuipacs.ui.dialogs.query import QueryDialog


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_answers(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Two patients under one UID, a mark, a node that cannot be reached, a comparison."""
    archive = FakeArchive(20)
    first, last = archive.pieces
    rows = (*first.rows, study(8, 3, 7, patient_name="ROE^JANE", patient_id="77"))
    archive.pieces = [msgspec.structs.replace(first, rows=rows, next=5), last]
    app = program(archive)

    async def run_before(pilot: Pilot[int]) -> None:
        await log_in(pilot, archive)
        await pilot.press("g", "q")
        await until(pilot, lambda: isinstance(app.screen, QueryDialog) and app.screen.focused)
        type_ahead(app, "doe", "enter")
        await until(pilot, lambda: "unreachable" in screen_text(app))
        await pilot.press("space", "enter")
        await until(pilot, lambda: "2 missing here" in screen_text(app))
        await pilot.pause(0.3)

        hold_still(app)

    assert snap_compare(app, terminal_size=size, run_before=run_before)


def test_form(snap_compare: Compare) -> None:
    archive = FakeArchive(20)
    app = program(archive)

    async def run_before(pilot: Pilot[int]) -> None:
        await log_in(pilot, archive)
        await pilot.press("g", "q")
        await until(pilot, lambda: isinstance(app.screen, QueryDialog) and app.screen.focused)
        await pilot.pause(0.3)

        hold_still(app)

    assert snap_compare(app, terminal_size=(80, 24), run_before=run_before)
