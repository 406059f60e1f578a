"""The archive screen: what the cursor, the marks and the pages do while the archive lives."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.ui.driving import archive_screen, at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.level import Level
from tuipacs.domain.records import PatientRecord
from tuipacs.errors import UnavailableError
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.outline import PAGE_ROWS, RowKey


class ManyPatients(FakeArchive):
    """Too many to be sorted for each page."""

    def ordered(self, request: Any) -> list[PatientRecord]:
        return self.patients


SIZES = [(80, 24), (160, 45)]


def listed(app: TuipacsApp) -> list[str]:
    """The rows of the list as drawn, without its scroll bar."""
    return [line[:78] for line in screen_text(app).splitlines()[3:30]]


@pytest.mark.parametrize("size", SIZES)
async def test_cursor_stays_on_its_patient_while_others_arrive(size: tuple[int, int]) -> None:
    archive = FakeArchive(300)
    async with at_work(archive, size=size) as (app, pilot):
        table = archive_screen(app).table
        await pilot.press(*"jjjjj")
        patient = table.current_record
        assert patient is not None
        for key in range(1000, 1004):
            archive.receive(key)
        await until(pilot, lambda: table.outline.matched == 304)
        await until(pilot, lambda: table.cursor == 9)
        assert table.current_record is not None
        assert table.current_record.key == patient.key


async def test_a_scrolled_list_does_not_move_under_the_eyes_when_rows_arrive() -> None:
    """New rows above the viewport shift the scroll position, not what is shown."""
    archive = FakeArchive(600)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        table.move_to(410)
        table.move_to(400)  # in the middle of the viewport
        await until(pilot, lambda: screen_text(app).count("1003300") == 2)  # list and details
        before, row = listed(app), table.current_record
        archive.receive(5000)
        archive.receive(5001)
        await until(pilot, lambda: table.cursor == 402)
        await until(pilot, lambda: table.current_record is not None)
        assert table.current_record == row
        await pilot.pause()
        assert listed(app) == before


async def test_marks_stay_on_their_rows_when_the_order_changes() -> None:
    archive = FakeArchive(50)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        await pilot.press("space", "space")
        assert set(table.marks) == {RowKey(Level.PATIENT, 0), RowKey(Level.PATIENT, 1)}
        await pilot.press("S", "S")
        await until(pilot, lambda: "by name" in screen_text(app))
        assert "2 marked" in screen_text(app)
        assert set(table.marks) == {RowKey(Level.PATIENT, 0), RowKey(Level.PATIENT, 1)}
        await pilot.press("backslash")
        assert not table.marks


async def test_a_row_that_goes_away_leaves_the_cursor_in_its_place() -> None:
    archive = FakeArchive(50)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        await pilot.press(*"jjj")
        archive.remove(3)
        await until(pilot, lambda: table.outline.matched == 49)
        assert table.cursor == 3
        assert table.current_record is not None
        assert table.current_record.key == 4


async def test_of_100000_rows_only_pages_near_the_viewport_are_asked_for() -> None:
    archive = ManyPatients(0)
    row = FakeArchive(1).patients[0]
    archive.patients = [msgspec.structs.replace(row, key=key) for key in range(100_000)]
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        assert table.line_count == 100_000
        await pilot.press("G")
        await until(pilot, lambda: table.current_record is not None)
        asked = [r.offset for name, r in archive.calls if name == "browse.patients"]
        assert asked[0] == 0
        assert set(asked[1:]) == {99_900}
        assert all(r.limit == PAGE_ROWS for name, r in archive.calls if name == "browse.patients")


async def test_keys_work_while_rows_are_still_on_their_way() -> None:
    """Rows that are not loaded are drawn as placeholders; moving never waits."""
    archive = FakeArchive(1000)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        archive.gate = asyncio.Event()
        await pilot.press("G")
        assert table.cursor == 999
        assert "···" in screen_text(app)
        await pilot.press("k", "k")
        assert table.cursor == 997
        archive.gate.set()
        await until(pilot, lambda: table.current_record is not None)
        await pilot.pause()
        assert "···" not in screen_text(app)


async def test_opening_leads_from_patient_to_study_to_series_to_instance_and_back() -> None:
    archive = FakeArchive(20)
    async with at_work(archive) as (app, pilot):
        table = archive_screen(app).table
        for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
            await pilot.press("enter")
            await until(pilot, lambda: table.outline.at(table.cursor + 1).record is not None)
            await pilot.press("l")
            assert table.current is not None
            assert table.current.key is not None
            assert table.current.key.level is level
        await pilot.press("h", "h")
        assert table.current.key is not None
        await pilot.press("h", "h", "h", "h")
        assert table.line_count == 20
        assert table.cursor == 0


async def test_an_opened_study_grows_while_images_arrive() -> None:
    archive = FakeArchive(20)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: screen.table.line_count == 22)
        archive.receive(1)
        await until(pilot, lambda: screen.table.cursor == 0)
        assert screen.table.line_count == 22, "the branch moved up with its patient"
        assert screen.table.outline.at(1).lasts == (False,)


async def test_typing_a_filter_narrows_the_list_and_esc_steps_back() -> None:
    archive = FakeArchive(300)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        type_ahead(app, "/", "mod:mr", "enter")
        await until(pilot, lambda: screen.loader.view.filter == "mod:mr")
        assert screen.table.outline.matched == 43
        assert "43 of 300 patients" in screen_text(app)
        assert screen.focused is screen.table
        await pilot.press("escape")
        await until(pilot, lambda: screen.table.outline.matched == 300)
        assert not screen.filter_line.display


async def test_a_filter_that_cannot_be_read_is_explained_beside_it() -> None:
    archive = FakeArchive(30)
    async with at_work(archive, size=(80, 24)) as (app, pilot):
        type_ahead(app, "/", "foo:bar")
        await until(pilot, lambda: "no such filter key: foo:" in screen_text(app))
        table = archive_screen(app).table
        await until(pilot, lambda: table.region.y >= 4)
        assert table.current_record is not None
        assert table.current_record.patient_id in screen_text(app), "no row is hidden by it"
        type_ahead(app, "escape", "escape")
        await until(pilot, lambda: "no such filter" not in screen_text(app))


async def test_flat_shows_studies_and_is_remembered_until_changed() -> None:
    archive = FakeArchive(40)
    async with at_work(archive) as (app, pilot):
        screen = archive_screen(app)
        await pilot.press("grave_accent")
        await until(pilot, lambda: screen.table.flat)
        assert "80 studies" in screen_text(app)
        assert app.preferences.flat_list


async def test_yank_copies_the_uid_of_the_row() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: archive_screen(app).table.line_count == 7)
        await pilot.press("j", "y")
        assert app.clipboard == "1.2.826.0.1.3680043.10.1.0"


async def test_children_that_cannot_be_fetched_say_why_in_their_place() -> None:
    archive = FakeArchive(5)
    archive.failures["browse.studies_of"] = UnavailableError("the disk is being repaired")
    async with at_work(archive) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: "the disk is being repaired" in screen_text(app))
        assert archive_screen(app).table.line_count == 6


async def test_resizing_keeps_the_cursor_visible() -> None:
    archive = FakeArchive(300)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        table = archive_screen(app).table
        table.move_to(150)
        for other in ((100, 20), (80, 24), (160, 50)):
            await pilot.resize_terminal(*other)
            await pilot.pause()
            assert table.first_visible <= 150 < table.first_visible + table.page_lines
        await until(pilot, lambda: table.current_record is not None)


async def test_an_empty_archive_says_how_to_fill_it() -> None:
    async with at_work(FakeArchive(0)) as (app, pilot):
        await until(pilot, lambda: "send to ARCH1 on port 11112" in screen_text(app))
