"""A card in the middle of an empty screen: the login, the lock, the first run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.containers import Center, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Static

from tuipacs.ui.screens.start import LOGO

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

Result = TypeVar("Result")


class CardScreen(Screen[Result | None], Generic[Result]):
    """Nothing of the archive shows through, and no key acts but in the card."""

    DEFAULT_CSS = """
    CardScreen {
        align: center middle;
        background: $background;
        & > VerticalScroll { align: center middle; height: 100%; scrollbar-size-vertical: 1; }
        & .card--logo { width: auto; color: $text-primary; margin-bottom: 1; }
        & .card {
            width: 58; max-width: 96%; height: auto;
            border: round $primary; background: $surface; padding: 1 3;
            border-title-color: $text-primary; border-title-style: bold;
            border-subtitle-color: $text-muted;
        }
        & .card--label { height: 1; color: $text-muted; }
        & .card--text { height: auto; }
        & .card--hint { height: auto; color: $text-accent; margin-top: 1; }
        & .card--error { height: auto; color: $text-error; }
        & .card--buttons { height: 1; align-horizontal: right; margin-top: 1; }
        & Input {
            border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $background;
            &:focus { border: none; background: $panel; background-tint: $panel 0%; }
        }
        & RadioSet {
            border: none; padding: 0; background: $surface; height: auto; width: 100%;
            margin-bottom: 1;
            &:focus { border: none; }
            & > RadioButton { background: $surface; padding: 0; width: 100%; }
        }
    }
    """

    title_words = ""
    subtitle_words = ""

    @property
    def tui(self) -> TuipacsApp:
        """The application."""
        return cast("TuipacsApp", self.app)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            with Center():
                yield Static(LOGO, classes="card--logo", markup=False)
            with Center(), Vertical(classes="card") as card:
                card.border_title = Content(self.title_words)
                card.border_subtitle = Content(self.subtitle_words)
                yield from self.compose_card()
                yield Static("", markup=False, classes="card--error", id="error")
                with Horizontal(classes="card--buttons"):
                    yield from self.buttons()

    def compose_card(self) -> Iterable[Widget]:
        """What is asked."""
        raise NotImplementedError

    def buttons(self) -> Iterable[Button]:
        """The answers."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """No empty line where no error is."""
        self.complain("")

    def complain(self, reason: str) -> None:
        """Say what went wrong."""
        error = self.query_one("#error", Static)
        error.update(reason)
        error.display = bool(reason)

    def busy(self, is_busy: bool) -> None:
        """While the answer is being judged nothing can be pressed."""
        for button in self.query(Button):
            button.disabled = is_busy


def label(text: str) -> Static:
    """The name of a field."""
    return Static(text, markup=False, classes="card--label")
