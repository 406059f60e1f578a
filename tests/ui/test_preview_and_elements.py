"""Pictures, documents and data elements."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.driving import archive_screen, at_work, screen_text, type_ahead, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.permissions import Role
from tuipacs.errors import DecodeError
from tuipacs.ui.application import TuipacsApp
from tuipacs.ui.dialogs.export_document import ExportDialog, write_new_file
from tuipacs.ui.screens.elements import ElementsScreen
from tuipacs.ui.screens.preview import PreviewScreen
from tuipacs.ui.widgets.object_view import ObjectView


async def open_picture(app: TuipacsApp, pilot: Pilot[int]) -> PreviewScreen:
    """Press p and wait for what it shows."""
    await pilot.press("p")
    await until(pilot, lambda: isinstance(app.screen, PreviewScreen) and app.screen.is_settled)
    screen = app.screen
    assert isinstance(screen, PreviewScreen)
    await until(pilot, lambda: screen.view.instance is not None)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 45)])
async def test_a_picture_always_says_whose_it_is_and_what_it_is_not_for(
    size: tuple[int, int],
) -> None:
    archive = FakeArchive(5)
    async with at_work(archive, size=size) as (app, pilot):
        await open_picture(app, pilot)
        await until(pilot, lambda: "W 400 L 40" in screen_text(app))
        text = screen_text(app)
        assert "NOT FOR DIAGNOSIS" in text
        assert "DOE^JOHN  1002900" in text.splitlines()[0]


async def test_j_and_k_walk_through_the_series_and_stop_at_its_ends() -> None:
    archive = FakeArchive(7)
    async with at_work(archive) as (app, pilot):
        await pilot.press(*"jjjj")
        await open_picture(app, pilot)
        await until(pilot, lambda: "image 4/6" in screen_text(app))
        await pilot.press("j")
        await until(pilot, lambda: "image 5/6" in screen_text(app))
        await pilot.press("j", "j", "j")
        await until(pilot, lambda: "image 6/6" in screen_text(app))
        await pilot.press("home", "k")
        await until(pilot, lambda: "image 1/6" in screen_text(app))
        await pilot.press("escape")
        assert archive_screen(app).table.cursor == 4


async def test_presets_change_the_window_of_a_ct_and_0_gives_the_own_one_back() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await open_picture(app, pilot)
        await until(pilot, lambda: "W 400 L 40" in screen_text(app))
        await pilot.press("2")
        await until(pilot, lambda: "W 1500 L -600 lung" in screen_text(app))
        await pilot.press("0")
        await until(pilot, lambda: "W 400 L 40 WINDOW1" in screen_text(app))


async def test_presets_are_refused_for_what_is_no_ct() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await pilot.press("j")
        await open_picture(app, pilot)
        await until(pilot, lambda: "W 400 L 40" in screen_text(app))
        await pilot.press("2")
        await until(pilot, lambda: "presets are for CT" in " ".join(screen_text(app).split()))
        assert "lung" not in screen_text(app)


async def test_what_cannot_be_decoded_says_why_instead_of_showing_another_picture() -> None:
    archive = FakeArchive(5)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        view = app.screen.query_one(ObjectView)
        await until(pilot, lambda: view.picture.frame is not None)
        archive.failures["objects.frame"] = DecodeError("the pixel data is cut off")
        await pilot.press("j")
        await until(pilot, lambda: "the pixel data is cut off" in screen_text(app))
        assert view.picture.frame is None


async def open_report(app: TuipacsApp, pilot: Pilot[int]) -> None:
    """Go to the dose report of the first study and show it."""
    screen = archive_screen(app)
    for step in ("l", "j", "l"):
        await pilot.press(step)
        await until(pilot, lambda: "loading" not in screen_text(app))
    await pilot.press("j", "j")
    assert "Series 2" in screen_text(app)
    assert screen.table.current is not None
    await open_picture(app, pilot)


async def test_a_report_is_shown_as_text() -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        await open_report(app, pilot)
        await until(pilot, lambda: "Total DLP: 312 mGy.cm" in screen_text(app))


async def test_an_encapsulated_document_is_exported_to_a_new_file(tmp_path: Path) -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        await open_report(app, pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog) and app.screen.focused)
        target = tmp_path / "report.pdf"
        app.screen.query_one("#path", Input).value = str(target)
        await pilot.press("enter")
        await until(pilot, target.exists)
        assert target.read_bytes() == b"%PDF-1.7 and so on"
        assert target.stat().st_mode & 0o777 == 0o600


async def test_an_export_never_replaces_a_file(tmp_path: Path) -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        await open_report(app, pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog) and app.screen.focused)
        target = tmp_path / "there"
        target.write_text("mine")
        app.screen.query_one("#path", Input).value = str(target)
        await pilot.press("enter")
        await until(pilot, lambda: "exists already" in screen_text(app))
        assert target.read_text() == "mine"


def test_a_dangling_link_is_no_new_file(tmp_path: Path) -> None:
    """Following it would write somewhere else."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_new_file(link, b"x")


async def test_a_viewer_may_look_at_a_document_but_not_export_it() -> None:
    async with at_work(FakeArchive(5, role=Role.VIEWER)) as (app, pilot):
        await open_report(app, pilot)
        await until(pilot, lambda: "Total DLP" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: "needs role technologist" in " ".join(screen_text(app).split()))
        assert not isinstance(app.screen, ExportDialog)


async def open_elements(app: TuipacsApp, pilot: Pilot[int]) -> ElementsScreen:
    """Press i and wait for the list."""
    await pilot.press("i")
    await until(pilot, lambda: "Patient's Name" in screen_text(app))
    assert isinstance(app.screen, ElementsScreen)
    return app.screen


async def test_elements_fold_and_unfold() -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        screen = await open_elements(app, pilot)
        count = screen.elements.line_count
        await pilot.press(*"jjj", "enter")
        assert screen.elements.line_count == count - 4
        await pilot.press("enter", "j", "j", "h")
        assert screen.elements.current is not None
        assert screen.elements.current.name == "Item 1"
        await pilot.press("z")
        assert screen.elements.line_count == count
        await pilot.press("z")
        assert screen.elements.line_count == count - 4


async def test_searching_elements_goes_from_hit_to_hit_and_opens_what_is_folded() -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        screen = await open_elements(app, pilot)
        await pilot.press("z")
        type_ahead(app, "/", "1.2.3.4", "enter")
        await until(pilot, lambda: "2 hits" in screen_text(app))
        await until(pilot, lambda: screen.focused is screen.elements)
        values = set()
        for _ in range(2):
            await pilot.press("n")
            assert screen.elements.current is not None
            values.add(screen.elements.current.value)
        assert values == {"1.2.3.4.5", "1.2.3.4.6"}
        await pilot.press("escape", "escape")
        archive_screen(app)


async def test_elements_say_whose_they_are() -> None:
    async with at_work(FakeArchive(5)) as (app, pilot):
        await open_elements(app, pilot)
        assert "DOE^JOHN  1002900" in screen_text(app).splitlines()[0]
