"""A card in the middle of an empty screen: the login, the lock, the first run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Static

from tuipacs.ui.form import Form
from tuipacs.ui.screens.start import LOGO

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

Result = TypeVar("Result")


class CardScreen(Form, Screen[Result | None], Generic[Result]):
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
        & .card--error.-quiet { color: $text-muted; }
        & .card--buttons { height: 1; align-horizontal: right; margin-top: 1; }
        &.-low .card { padding: 0 3; }
        & Input {
            border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $background;
            &:focus { border: none; background: $panel; background-tint: $panel 0%; }
        }
    }
    """

    # With priority: text typed faster than the focus moves would land in the field before.
    BINDINGS = [
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
    is_busy = False
    _focused_before: Widget | None = None
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
                error = Static("", markup=False, classes="card--error", id="error")
                error.display = False
                yield error
                with Horizontal(classes="card--buttons"):
                    yield from self.buttons()

    def compose_card(self) -> Iterable[Widget]:
        """What is asked."""
        raise NotImplementedError

    def buttons(self) -> Iterable[Button]:
        """The answers."""
        raise NotImplementedError

    def complain(self, reason: str) -> None:
        """Say what went wrong."""
        error = self.query_one("#error", Static)
        error.update(reason)
        error.display = bool(reason)
        error.remove_class("-quiet")

    def busy(self, is_busy: bool) -> None:
        """While the answer is being judged nothing can be pressed; the focus comes back after."""
        if is_busy:
            self._focused_before = self.focused
        self.is_busy = is_busy
        for button in self.query(Button):
            button.disabled = is_busy
        if is_busy:
            self.tell("one moment …")
        elif self.focused is None:
            self.set_focus(self._focused_before)

    def tell(self, words: str) -> None:
        """Say what is being done, where errors stand too."""
        self.complain(words)
        self.query_one("#error").add_class("-quiet")


def label(text: str) -> Static:
    """The name of a field."""
    return Static(text, markup=False, classes="card--label")
