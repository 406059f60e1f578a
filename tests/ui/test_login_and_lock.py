"""Who one is: the first run, the login, the lock, and the end of a session."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from textual.widgets import Button, Input

from tests.ui.driving import (
    FakeLauncher,
    at_work,
    log_in,
    program,
    screen_text,
    type_ahead,
    until,
)
from tests.ui.fake_archive import PASSWORD, FakeArchive
from tuipacs.errors import UnavailableError
from tuipacs.paths import ArchivePaths
from tuipacs.schema.messages import LoginRequest
from tuipacs.ui.launcher import Launcher, NewArchive
from tuipacs.ui.screens.first_run import (
    FirstRunScreen,
    check_ae_title,
    check_password,
    check_port,
)
from tuipacs.ui.screens.lock import LockScreen
from tuipacs.ui.screens.login import LoginScreen
from tuipacs.ui.screens.start import StartScreen
from tuipacs.ui.widgets.object_view import ObjectView


async def test_keys_do_not_act_while_typing_in_the_login() -> None:
    """q, g, / and the rest are letters there."""
    archive = FakeArchive(3)
    app = program(archive)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
        type_ahead(app, "q:g/?Sip")
        await until(pilot, lambda: app.screen.query_one("#user", Input).value == "q:g/?Sip")
        assert isinstance(app.screen, LoginScreen)
        assert app.is_running


async def test_a_name_and_password_typed_in_one_burst_land_in_their_own_fields() -> None:
    """The password must never become visible in the field of the name."""
    archive = FakeArchive(3)
    app = program(archive)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
        type_ahead(app, "anna", "tab", PASSWORD, "enter")
        await until(pilot, lambda: app.current_mode == "archive" and app.screen.is_mounted)
        ((_, request),) = [call for call in archive.calls if call[0] == "sessions.login"]
        assert isinstance(request, LoginRequest)
        assert (request.user, request.password) == ("anna", PASSWORD)


async def test_keys_that_edit_act_in_the_order_typed() -> None:
    """On a slow line they come in one packet: what is deleted is what stood before them."""
    archive = FakeArchive(3)
    app = program(archive)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
        type_ahead(app, "wrong", "ctrl+u", "annn", "backspace", "a", "left", "x", "tab", "secret")
        password = app.screen.query_one("#password", Input)
        await until(pilot, lambda: password.value == "secret")
        assert app.screen.query_one("#user", Input).value == "annxa"


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("wrong", "user name or password is wrong"),
        ("throttle", "too many wrong passwords: wait 42 s and try again"),
    ],
)
async def test_a_refused_login_says_why_and_forgets_the_password(password: str, words: str) -> None:
    archive = FakeArchive(3)
    app = program(archive)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
        type_ahead(app, "anna", "tab", password, "enter")
        await until(pilot, lambda: words in " ".join(screen_text(app).split()))
        assert app.screen.query_one("#password", Input).value == ""
        assert not app.screen.query(Button).first().disabled


async def test_the_login_shows_the_hint_of_a_demo_archive() -> None:
    archive = FakeArchive(3)
    archive.login_hint = "demo: user [red]demo[/red]"
    app = program(archive)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "demo: user [red]demo[/red]" in screen_text(app))


async def test_locking_covers_everything_and_removes_the_pictures() -> None:
    archive = FakeArchive(5)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        view = app.screen.query_one(ObjectView)
        await until(pilot, lambda: view.picture.frame is not None)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, LockScreen))
        assert view.picture.frame is None
        assert "DOE^JOHN" not in screen_text(app)
        await until(pilot, lambda: archive.session_state == "locked")
        await pilot.press("g", "s", "q")
        assert isinstance(app.screen, LockScreen)


async def test_the_password_unlocks_and_the_picture_comes_back() -> None:
    archive = FakeArchive(5)
    async with at_work(archive, size=(160, 45)) as (app, pilot):
        view = app.screen.query_one(ObjectView)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, LockScreen) and app.screen.focused)
        type_ahead(app, "no", "enter")
        await until(pilot, lambda: "the password is wrong" in screen_text(app))
        type_ahead(app, PASSWORD, "enter")
        await until(pilot, lambda: not isinstance(app.screen, LockScreen))
        await until(pilot, lambda: view.picture.frame is not None)


async def test_a_lock_by_the_archive_locks_the_screen() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        archive.session_state = "locked"
        await until(pilot, lambda: isinstance(app.screen, LockScreen))


async def test_the_screen_locks_itself_when_the_archive_is_out_of_reach() -> None:
    """The lock must not depend on the daemon being there."""
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        archive.reachable = False
        assert app.desk.session is not None
        app.keeper._last_key = time.monotonic() - app.desk.session.lock_after - 1
        app._check_idle()
        await until(pilot, lambda: isinstance(app.screen, LockScreen))


async def test_logging_out_leaves_no_patient_on_any_screen() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        await pilot.press("g", "i")
        await until(pilot, lambda: app.current_mode == "incoming")
        type_ahead(app, ":", "logout", "enter")
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))
        assert not list(app.work_screens())
        assert app.desk.link.token == ""
        await log_in(pilot, archive)
        await until(pilot, lambda: "DOE^JOHN" in screen_text(app))


async def test_a_session_that_ended_asks_for_a_login_and_says_so() -> None:
    archive = FakeArchive(5)
    async with at_work(archive) as (app, pilot):
        archive.token_valid = False
        archive.receive(1)
        await until(pilot, lambda: "Your session has ended." in screen_text(app))


async def test_the_first_run_makes_an_archive_and_goes_on_to_the_login() -> None:
    archive = FakeArchive(0)
    archive.reachable = False
    launcher = FakeLauncher(archive, exists=False)
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(80, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRunScreen) and app.screen.focused)
        sentence = "a long sentence 1"
        type_ahead(app, "MYARCH", "enter", "104", "enter", "tab", "admin", "enter")
        type_ahead(app, sentence, "enter", "another one, too long", "enter")
        await until(pilot, lambda: "The two passwords differ." in screen_text(app))
        app.screen.query_one("#again", Input).value = sentence
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and app.screen.focused)
        assert launcher.made is not None
        assert launcher.made.ae_title == "MYARCH"
        assert launcher.made.unknown_callers == "echo"
        assert launcher.made.password == sentence
        assert sentence not in repr(launcher.made)
        assert app.screen.query_one("#user", Input).value == "admin"
        assert launcher.starts == 1


async def test_a_port_that_is_taken_is_told_before_anything_is_made() -> None:
    """Afterwards only an editor would help: the archive would be there and could not start."""
    archive = FakeArchive(0)
    archive.reachable = False
    launcher = FakeLauncher(archive, exists=False)
    launcher.taken_ports = {11112}
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRunScreen) and app.screen.focused)
        sentence = "a long sentence 1"
        type_ahead(app, "tab", "tab", "tab", "admin", "tab", sentence, "tab", sentence, "enter")
        await until(pilot, lambda: "Another program listens there." in screen_text(app))
        assert launcher.made is None
        assert app.screen.focused is app.screen.query_one("#port")
        type_ahead(app, "ctrl+u", "11113")
        await pilot.pause()
        app.screen.query_one("#ok", Button).press()
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))
        assert launcher.made is not None
        assert launcher.made.port == 11113


def test_a_port_is_tried_before_it_is_taken(tmp_path: Path) -> None:
    launcher = Launcher(ArchivePaths(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        other.listen()
        assert launcher.port_trouble(port) == (
            f"Another program listens on port {port}. Choose another one."
        )
    assert launcher.port_trouble(port) == ""


async def test_what_the_archive_says_against_the_first_run_is_shown() -> None:
    archive = FakeArchive(0)
    launcher = FakeLauncher(archive, exists=False)
    launcher.refusal = UnavailableError("this password is too common")
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRunScreen) and app.screen.focused)
        type_ahead(app, "tab", "tab", "tab", "admin", "tab", "password12345678", "tab")
        type_ahead(app, "password12345678", "enter")
        await until(pilot, lambda: "this password is too common" in screen_text(app))


async def test_a_refused_first_run_can_be_corrected_and_left_with_the_keys() -> None:
    """The button that was pressed is out of use meanwhile; the keys must not go with it."""
    archive = FakeArchive(0)
    launcher = FakeLauncher(archive, exists=False)
    launcher.refusal = UnavailableError("the folder is not empty", remedy="take another one")
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRunScreen) and app.screen.focused)
        sentence = "a long sentence 1"
        type_ahead(app, "tab", "tab", "tab", "admin", "tab", sentence, "tab", sentence, "tab")
        type_ahead(app, "enter")
        words = "the folder is not empty. take another one"
        await until(pilot, lambda: words in " ".join(screen_text(app).split()))
        pressed = app.screen.query_one("#ok", Button)
        assert app.screen.focused is pressed
        launcher.refusal = None
        await until(pilot, lambda: not pressed.has_class("-active"))  # until then it takes no other
        type_ahead(app, "tab", "tab", "ctrl+u", "OTHER", *["tab"] * 6, "enter")
        await until(pilot, lambda: launcher.made is not None)
        assert launcher.made is not None
        assert launcher.made.ae_title == "OTHER"


async def test_an_archive_is_not_made_twice_by_two_enters() -> None:
    """The second one would stop the first half way, and then find its folder taken."""
    archive = FakeArchive(0)
    launcher = FakeLauncher(archive, exists=False)
    launcher.gate = asyncio.Event()
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, FirstRunScreen) and app.screen.focused)
        sentence = "a long sentence 1"
        type_ahead(app, "tab", "tab", "tab", "admin", "tab", sentence, "tab", sentence)
        type_ahead(app, "enter")
        await until(pilot, lambda: launcher.begun)
        type_ahead(app, "enter")
        await pilot.pause(0.1)
        launcher.gate.set()
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))
        assert launcher.begun == 1


async def test_what_init_says_is_told_in_sentences(tmp_path: Path) -> None:
    """A message and its remedy stand on two lines in the command's own words."""
    (tmp_path / "photo.jpg").touch()
    new = NewArchive("ARCH", 11112, "echo", "admin", "a long sentence 1")
    with pytest.raises(UnavailableError) as caught:
        await Launcher(ArchivePaths(tmp_path)).initialise(new)
    message, _, remedy = caught.value.message.partition(". ")
    assert message.startswith(f"the folder {tmp_path} is not empty")
    assert remedy


async def test_a_daemon_that_cannot_start_says_why_and_can_be_tried_again() -> None:
    archive = FakeArchive(0)
    archive.reachable = False
    launcher = FakeLauncher(archive)
    launcher.comes_up, launcher.last_words = False, "port 11112 is in use"
    app = program(archive, launcher=launcher)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "port 11112 is in use" in screen_text(app))
        assert isinstance(app.screen, StartScreen)
        launcher.comes_up, launcher.last_words = True, ""
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))


@pytest.mark.parametrize("title", ["", " ", "seventeen letters", "back\\slash", "tab\tin it", "é"])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    assert check_ae_title(title)


def test_ports_and_passwords_are_checked_before_anything_is_made() -> None:
    assert check_ae_title("ARCH 1") == ""
    assert check_port("11112") == ""
    assert all(check_port(bad) for bad in ("0", "65536", "", "-1", "1e3", "１２"))
    assert check_password("short", "short")
    assert check_password("long enough to be taken", "long enough to be taken") == ""
