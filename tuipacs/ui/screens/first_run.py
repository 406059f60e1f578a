"""The first run: a short form that makes an archive."""

from __future__ import annotations

from collections.abc import Iterable

from textual import work
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.errors import TuipacsError
from tuipacs.ui.format import error_words
from tuipacs.ui.launcher import Launcher, NewArchive
from tuipacs.ui.screens.card import CardScreen, label
from tuipacs.ui.widgets.choices import Choice, Choices
from tuipacs.ui.widgets.push_button import PushButton

LEAST_PASSWORD = 15
_CALLERS = (
    ("refuse", "the nodes I add; others are turned away"),
    ("echo", "the nodes I add; others only test the connection (C-ECHO)"),
    ("store", "anyone"),
)


def check_ae_title(value: str) -> str:
    """Why ``value`` is no AE title (PS3.5 6.2); empty when it is one."""
    if not 1 <= len(value.strip(" ")) <= 16 or len(value) > 16:
        return "The AE title has 1 to 16 characters."
    if "\\" in value or not all(" " <= character <= "~" for character in value):
        return "The AE title takes plain ASCII, and no backslash."
    return ""


def check_port(value: str) -> str:
    """Why ``value`` is no port; empty when it is one."""
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        return "The port is a number from 1 to 65535 (DICOM's own are 104 and 11112)."
    return ""


def check_password(first: str, second: str) -> str:
    """Why the password cannot be taken; empty when the archive may judge it."""
    if len(first) < LEAST_PASSWORD:
        return f"The password needs {LEAST_PASSWORD} characters or more."
    if first != second:
        return "The two passwords differ."
    return ""


class FirstRunScreen(CardScreen[str]):
    """The name of its administrator when the archive was made."""

    AUTO_FOCUS = "#ae-title"
    BINDINGS = [Binding("ctrl+q", "app.leave", "Quit", show=False, priority=True)]
    title_words = "a new archive"

    DEFAULT_CSS = """
    FirstRunScreen .card { width: 74; }
    FirstRunScreen .card--logo { display: none; }
    FirstRunScreen.-low Input { margin-bottom: 0; }
    """

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self._launcher = launcher
        self.subtitle_words = launcher.place

    def compose_card(self) -> Iterable[Widget]:
        yield label("AE title: the name by which modalities call this archive")
        yield Input("TUIPACS", id="ae-title", max_length=16)
        yield label("Port (for this machine only; dicom.host in archive.toml opens it)")
        yield Input("11112", id="port", max_length=5)
        yield label("Who may send")
        with Choices(id="callers"):
            for value, text in _CALLERS:
                yield Choice(text, value=value == "echo", id=value)
        yield label("Administrator")
        yield Input(id="admin", placeholder="a name to log in with", max_length=64)
        yield label(f"Password: {LEAST_PASSWORD} characters or more, nothing common")
        yield Input(id="password", password=True, max_length=1024)
        yield label("Password again")
        yield Input(id="again", password=True, max_length=1024)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Make the archive", id="ok")
        yield PushButton("Quit", id="leave")

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Make it, or leave."""
        if event.button.id == "ok":
            self._begin()
        else:
            await self.app.run_action("app.leave")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on."""
        if event.input.id == "again":
            self._begin()
        else:
            self.focus_next()

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _check_port(self) -> str:
        port = self._value("port")
        return check_port(port) or self._launcher.port_trouble(int(port))

    def _begin(self) -> None:
        if self.is_busy:
            return  # enter was pressed twice
        checks = (
            ("ae-title", check_ae_title(self._value("ae-title"))),
            ("port", self._check_port()),
            ("admin", "" if self._value("admin").strip() else "The administrator needs a name."),
            ("password", check_password(self._value("password"), self._value("again"))),
        )
        for name, reason in checks:
            if reason:
                self.complain(reason)
                self.set_focus(self.query_one(f"#{name}"))
                return
        pressed = self.query_one(Choices).pressed_button
        self.busy(True)
        self.make(
            NewArchive(
                ae_title=self._value("ae-title").strip(" "),
                port=int(self._value("port")),
                unknown_callers=(pressed.id if pressed else None) or "echo",
                admin=self._value("admin").strip(),
                password=self._value("password"),
            )
        )

    @work(exclusive=True, exit_on_error=True)
    async def make(self, new: NewArchive) -> None:
        """Run ``tuipacs init``."""
        self.tell("making the archive …")
        try:
            await self._launcher.initialise(new)
        except TuipacsError as error:
            self.busy(False)
            self.complain(error_words(error))
        else:
            self.dismiss(new.admin)
