"""The first thing one sees: the name, and what is being done until the login."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Static

from tuipacs.ui.widgets.push_button import PushButton

LOGO = """\
▀█▀ █ █ █ █▀█ ▄▀█ █▀▀ █▀▀
 █  █▄█ █ █▀▀ █▀█ █▄▄ ▄▄█"""


class StartScreen(Screen[None]):
    """Stays at the bottom of the screen stack for the whole run."""

    AUTO_FOCUS = ""
    BINDINGS = [Binding("ctrl+q", "app.leave", "Quit", show=False, priority=True)]

    DEFAULT_CSS = """
    StartScreen {
        align: center middle;
        background: $background;
        & > Vertical { width: 72; max-width: 96%; height: auto; align-horizontal: center; }
        & #logo { width: auto; color: $text-primary; margin-bottom: 1; }
        & #state { width: auto; max-width: 100%; color: $text-muted; text-align: center; }
        & #state.-error { color: $text-error; }
        & Horizontal { width: auto; height: 1; margin-top: 1; display: none; }
    }
    """

    class Retry(Message):
        """Try to start again."""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(LOGO, id="logo", markup=False)
            yield Static("opening the archive …", id="state", markup=False)
            with Horizontal():
                yield PushButton("Try again", id="retry", disabled=True)
                yield PushButton("Quit", id="leave", disabled=True)

    def tell(self, text: str) -> None:
        """What is being done."""
        state = self.query_one("#state", Static)
        state.set_class(False, "-error")
        state.update(text)
        self._offer(False)

    def fail(self, text: str) -> None:
        """What went wrong; offers to try again."""
        state = self.query_one("#state", Static)
        state.set_class(True, "-error")
        state.update(text)
        self._offer(True)
        self.set_focus(self.query_one("#retry"))

    def _offer(self, offered: bool) -> None:
        self.query_one(Horizontal).display = offered
        for button in self.query(Button):
            button.disabled = not offered

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Again, or not at all."""
        if event.button.id == "retry":
            self.post_message(self.Retry())
        else:
            await self.app.run_action("app.leave")
