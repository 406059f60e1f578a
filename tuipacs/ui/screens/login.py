"""The login: a centred card. It always asks; the environment is never looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable

from textual import work
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tuipacs.domain.user import ClientKind, Session
from tuipacs.errors import ThrottledError, TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import LoginRequest
from tuipacs.ui.desk import Desk
from tuipacs.ui.format import error_words
from tuipacs.ui.screens.card import CardScreen, label
from tuipacs.ui.widgets.push_button import PushButton


class LoginScreen(CardScreen[Session]):
    """Answers with a session."""

    AUTO_FOCUS = "#user"
    BINDINGS = [Binding("ctrl+q", "app.leave", "Quit", show=False, priority=True)]

    def __init__(self, desk: Desk, *, reason: str = "", user: str = "") -> None:
        super().__init__()
        self._desk = desk
        self._reason = reason
        self._user = user
        self.title_words = "log in"
        if desk.health is not None:
            self.title_words = f"log in to {desk.health.ae_title}"
            self.subtitle_words = f"tuipacs {desk.health.version}"

    def compose_card(self) -> Iterable[Widget]:
        if self._reason:
            yield Static(self._reason, markup=False, classes="card--text")
        yield label("User")
        yield Input(self._user, id="user", max_length=64)
        yield label("Password")
        yield Input(id="password", password=True, max_length=1024)
        hint = self._desk.health.login_hint if self._desk.health else ""
        if hint:
            yield Static(hint, markup=False, classes="card--hint")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Log in", id="ok")
        yield PushButton("Quit", id="leave")

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Log in, or leave."""
        if event.button.id == "ok":
            self._begin()
        else:
            await self.app.run_action("app.leave")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on."""
        if event.input.id == "user":
            self.set_focus(self.query_one("#password"))
        else:
            self._begin()

    def _begin(self) -> None:
        if self.is_busy:
            return  # enter was pressed twice
        user = self.query_one("#user", Input).value.strip()
        if not user:
            self.complain("Who are you? The user name is empty.")
            self.set_focus(self.query_one("#user"))
            return
        self.busy(True)
        self.log_in(user, self.query_one("#password", Input).value)

    @work(exclusive=True, exit_on_error=True)
    async def log_in(self, user: str, password: str) -> None:
        """Ask the archive."""
        request = LoginRequest(
            user=user,
            password=password,
            client=ClientKind.SCREEN,
            terminal=terminal_name(),
            ssh_client=os.environ.get("SSH_CLIENT", "").partition(" ")[0],
        )
        try:
            session = await self._desk.link.call(op.LOGIN, request)
        except ThrottledError as error:
            self._failed(f"{error.message} and try again")
        except TuipacsError as error:
            self._failed(error_words(error))
        else:
            self.dismiss(session)

    def _failed(self, reason: str) -> None:
        self.busy(False)
        self.complain(reason)
        password = self.query_one("#password", Input)
        password.value = ""
        self.set_focus(password)


def terminal_name() -> str:
    """The terminal's device name, for the audit log; empty when there is none."""
    try:
        return os.ttyname(0)
    except OSError:
        return ""
