"""The rows under a person's hands while the archive changes: no key is lost, none hits another row.

`Interrupted` lets something happen between a question of the screen and its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.driving import archive_screen, at_work, screen_text, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.level import Level
from tuipacs.ui.outline import Outline, RowKey
from tuipacs.ui.widgets.archive_table import ArchiveTable


class Interrupted(FakeArchive):
    """Before each answer ``happens[operation]`` is carried out, once."""

    def __init__(self, patients: int) -> None:
        super().__init__(patients)
        self.happens: dict[str, Callable[[], object]] = {}

    async def answer(self, operation: str, request: Any, token: str) -> Any:
        if happening := self.happens.pop(operation, None):
            happening()
        return await super().answer(operation, request, token)


def patient_under(table: ArchiveTable) -> int | None:
    """The key of the patient that the cursor's line is or belongs to."""
    row = table.top_row()
    return row.key if row else None


async def test_cursor_moves_made_during_a_refresh_are_kept() -> None:
    archive = FakeArchive(300)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        archive.gate = asyncio.Event()
        archive.receive(5000)
        screen.digest("archive", None)
        await pilot.press(*"jjjjj")
        assert patient_under(screen.table) == 5
        archive.gate.set()
        await until(pilot, lambda: screen.table.outline.matched == 301)
        assert patient_under(screen.table) == 5
        assert screen.table.cursor == 6
        await pilot.press(*"jj")
        assert patient_under(screen.table) == 7


@pytest.mark.parametrize("operation", ["browse.position", "browse.patients"])
async def test_a_jump_out_of_sight_during_a_refresh_is_kept(operation: str) -> None:
    """The pages that were asked for do not have the row: they are asked for again."""
    archive = Interrupted(1000)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        screen.table.move_to(700)
        await until(pilot, lambda: screen.table.current_record)
        screen.table.move_to(2)
        await until(pilot, lambda: not screen.table.outline.missing_pages(0, 60))
        archive.receive(5000)
        archive.happens[operation] = lambda: screen.table.move_to(700)
        await until(pilot, lambda: screen.table.outline.matched == 1001)
        assert patient_under(screen.table) == 700
        assert screen.table.cursor == 701


async def test_a_patient_that_moves_while_the_list_is_read_keeps_the_cursor() -> None:
    """Its position was answered, then it went elsewhere: another patient stands there now."""
    archive = Interrupted(1000)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        screen.table.move_to(400)
        await until(pilot, lambda: screen.table.current_record)
        archive.happens["browse.patients"] = lambda: archive.receive(400)
        screen.digest("archive", None)
        await until(pilot, lambda: screen.table.cursor == 0)
        await until(pilot, lambda: screen.table.current_record)
        assert patient_under(screen.table) == 400


async def test_children_that_arrive_late_push_no_other_row_under_the_cursor() -> None:
    archive = FakeArchive(50)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        archive.gate = asyncio.Event()
        await pilot.press("enter", "j", "j")
        assert patient_under(table) == 1
        archive.gate.set()
        await until(pilot, lambda: table.line_count == 52)
        assert patient_under(table) == 1
        assert table.cursor == 3


async def test_a_line_of_an_opened_row_stays_under_the_cursor_when_rows_arrive_above() -> None:
    """The line ``loading`` is no row, but it belongs to one."""
    archive = FakeArchive(50)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: table.line_count == 52)
        await pilot.press("j", "enter")
        table.outline.fail_branch(RowKey(Level.STUDY, 4), "the disk is being repaired")
        await pilot.press("j")
        assert patient_under(table) == 2
        archive.receive(5000)
        await until(pilot, lambda: table.outline.matched == 51)
        assert patient_under(table) == 2


async def test_the_wheel_may_leave_the_cursor_behind_while_pages_come() -> None:
    archive = FakeArchive(1000)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        table.scroll_to(y=500, animate=False)
        await until(pilot, lambda: table.outline.at(505).record)
        await pilot.pause()
        assert table.first_visible == 500
        assert table.cursor == 0


async def test_a_count_that_grows_asks_for_no_page() -> None:
    """Nothing moves in a list by name: the change itself has all that is shown."""
    archive = FakeArchive(40)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        await pilot.press("S", "S")
        await until(pilot, lambda: "by name" in screen_text(app))
        await pilot.pause()
        row = table.current_record
        assert row is not None
        asked = archive.names_called()["browse.patients"]
        for _ in range(3):
            archive.receive(row.key)
        grown = archive._patient(row.key)
        await until(pilot, lambda: table.current_record == grown)
        assert archive.names_called()["browse.patients"] == asked


async def test_the_newest_patient_grows_in_its_place_and_another_overtakes_it() -> None:
    archive = FakeArchive(40)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        asked = archive.names_called()["browse.patients"]
        archive.receive(0)
        await until(pilot, lambda: table.outline.top_record(0) == archive._patient(0))
        assert archive.names_called()["browse.patients"] == asked
        archive.receive(1)
        await until(pilot, lambda: table.outline.top_record(0) == archive._patient(1))
        assert patient_under(table) == 0


async def test_the_sort_key_pressed_twice_quickly_counts_twice() -> None:
    archive = FakeArchive(40)
    async with at_work(archive) as (app, pilot):
        archive.gate = asyncio.Event()
        await pilot.press("S", "S")
        archive.gate.set()
        await until(pilot, lambda: "by name" in screen_text(app))


def test_children_are_never_shown_below_a_row_that_is_not_theirs() -> None:
    """A page that was read later than the place of an opened row shows another row there."""
    archive = FakeArchive(3)
    first, second, third = archive.patients
    outline = Outline()
    outline.put_page(0, (first, second), 2, 2)
    key = outline.open(1)
    assert key is not None
    outline.put_branch(key, tuple(archive.studies_of(second)), 2)
    assert outline.line_count == 4
    outline.put_page(0, (first, third), 2, 2)
    assert outline.line_count == 2
    outline.put_page(0, (second, first), 2, 2)
    assert outline.line_count == 4
    assert outline.at(1).parent == key
