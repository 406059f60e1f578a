"""Covers everything until the password is given again."""

from __future__ import annotations

from collections.abc import Iterable

from textual import work
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tuipacs.errors import AuthenticationError, SessionLockedError, ThrottledError, TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import PasswordRequest
from tuipacs.ui.desk import Desk
from tuipacs.ui.format import error_words
from tuipacs.ui.screens.card import CardScreen, label
from tuipacs.ui.widgets.push_button import PushButton


class LockScreen(CardScreen[str]):
    """Answers ``unlocked`` or ``logout``."""

    AUTO_FOCUS = "#password"
    BINDINGS = [Binding("ctrl+q", "logout", "Log out", show=False, priority=True)]
    title_words = "locked"

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def compose_card(self) -> Iterable[Widget]:
        user = self._desk.session.user if self._desk.session else ""
        yield Static(
            f"{user} is still logged in. The archive goes on receiving.",
            markup=False,
            classes="card--text",
        )
        yield Static("", markup=False)
        yield label("Password")
        yield Input(id="password", password=True, max_length=1024)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Unlock", id="ok")
        yield PushButton("Log out", id="logout")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Unlock, or end the session."""
        if event.button.id == "ok":
            self._begin()
        else:
            self.action_logout()

    def on_input_submitted(self) -> None:
        """Enter unlocks."""
        self._begin()

    def action_logout(self) -> None:
        """End the session."""
        self.dismiss("logout")

    def _begin(self) -> None:
        if self.is_busy:
            return  # enter was pressed twice
        self.busy(True)
        self.unlock(self.query_one("#password", Input).value)

    @work(exclusive=True, exit_on_error=True)
    async def unlock(self, password: str) -> None:
        """Ask the archive."""
        try:
            await self._desk.link.call(op.UNLOCK, PasswordRequest(password=password))
        except ThrottledError as error:
            self._failed(f"{error.message} and try again")
        except SessionLockedError as error:
            self._failed(error.message)
        except AuthenticationError as error:
            self._failed(f"{error.message}. Log out if the session is over.")
        except TuipacsError as error:
            self._failed(error_words(error))
        else:
            self.dismiss("unlocked")

    def _failed(self, reason: str) -> None:
        self.busy(False)
        self.complain(reason)
        password = self.query_one("#password", Input)
        password.value = ""
        self.set_focus(password)
