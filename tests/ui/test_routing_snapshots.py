"""How the routing screen looks: compared with pictures that a person has approved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.ui.driving import hold_still, log_in, program, screen_text, until
from tests.ui.test_routing_screen import an_archive

Compare = Callable[..., bool]


@pytest.mark.parametrize(
    ("size", "keys", "shown"),
    [
        ((80, 24), (), "of the last 7 days"),
        ((160, 45), (), "of the last 7 days"),
        ((80, 24), ("e",), "matches 11 of 40"),
    ],
    ids=["80x24", "160x45", "dialog"],
)
def test_routing(
    snap_compare: Compare, size: tuple[int, int], keys: tuple[str, ...], shown: str
) -> None:
    archive = an_archive()
    app = program(archive)

    async def run_before(pilot: Pilot[int]) -> None:
        await log_in(pilot, archive)
        await pilot.press("g", "o")
        await until(pilot, lambda: "of the last 7 days" in screen_text(app))
        await pilot.press(*keys)
        await until(pilot, lambda: shown in screen_text(app))
        await pilot.pause(0.5)

        hold_still(app)

    assert snap_compare(app, terminal_size=size, run_before=run_before)
