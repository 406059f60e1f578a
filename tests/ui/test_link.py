"""When the archive goes away while one works, and comes back."""

from __future__ import annotations

from tests.ui.driving import FakeLauncher, at_work, log_in, program, screen_text, until
from tests.ui.fake_archive import FakeArchive
from tuipacs.ui.screens.login import LoginScreen


async def test_an_archive_that_goes_away_is_told_and_found_again() -> None:
    """The list stays readable; what came meanwhile is there after the return."""
    archive = FakeArchive(20)
    async with at_work(archive) as (app, pilot):
        archive.reachable = False
        await until(pilot, lambda: "archive not reachable, reconnecting" in screen_text(app))
        assert "DOE^JOHN" in screen_text(app)
        await pilot.press("j", "k", "enter", "p", "escape")
        archive.receive(900)
        archive.reachable = True
        await until(pilot, lambda: "not reachable" not in screen_text(app))
        await until(pilot, lambda: "21 patients" in screen_text(app))


async def test_a_session_that_did_not_survive_asks_for_a_login() -> None:
    archive = FakeArchive(20)
    async with at_work(archive) as (app, pilot):
        archive.reachable = False
        await until(pilot, lambda: not app.desk.reachable)
        archive.token_valid = False
        archive.reachable = True
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))


async def test_f5_starts_an_archive_that_is_gone() -> None:
    archive = FakeArchive(20)
    launcher = FakeLauncher(archive)
    app = program(archive, launcher=launcher)
    async with app.run_test(notifications=True) as pilot:
        await log_in(pilot, archive)
        await pilot.press("f5")
        assert launcher.starts == 0, "it runs: nothing to start"
        archive.reachable = False
        await until(pilot, lambda: "F5 starts it again" in screen_text(app))
        await pilot.press("f5")
        assert launcher.starts == 1
        await until(pilot, lambda: app.desk.reachable)
