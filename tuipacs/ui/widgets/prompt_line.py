"""A line to type into at the edge of a screen: the filter, the command line, a search."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static


class PromptLine(Vertical):
    """Hidden until opened. Says what is typed as it is typed, and why it is wrong.

    It lies over the header of a list, so that nothing moves when it opens; with a reason below it
    it takes its place beside the list, since no row may be hidden.
    """

    DEFAULT_CSS = """
    PromptLine {
        height: auto;
        layer: overlay;
        dock: top;
        display: none;
        background: $surface;
        &.-wrong { layer: default; }
        & > Horizontal { height: 1; }
        & .prompt--sign { width: auto; color: $text-accent; text-style: bold; padding: 0 0 0 1; }
        & Input {
            width: 1fr; height: 1; border: none; padding: 0 1; background: $surface;
            &:focus { border: none; background-tint: $surface 0%; }
        }
        & > .prompt--error { height: auto; color: $text-error; padding: 0 3; display: none; }
    }
    """

    class Typed(Message):
        """The text changed."""

        def __init__(self, line: PromptLine, text: str) -> None:
            super().__init__()
            self.line, self.text = line, text

        @property
        def control(self) -> PromptLine:
            """The line."""
            return self.line

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, line: PromptLine, text: str) -> None:
            super().__init__()
            self.line, self.text = line, text

        @property
        def control(self) -> PromptLine:
            """The line."""
            return self.line

    def __init__(
        self, sign: str, placeholder: str, *, id: str, suggester: Suggester | None = None
    ) -> None:
        super().__init__(id=id)
        self._sign = Static(sign, markup=False, classes="prompt--sign")
        self.input = Input(placeholder=placeholder, suggester=suggester, max_length=500)
        self._error = Static("", markup=False, classes="prompt--error")

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield self._sign
            yield self.input
        yield self._error

    @property
    def text(self) -> str:
        """What is typed."""
        return self.input.value

    @property
    def is_open(self) -> bool:
        """Whether it has the focus."""
        return self.display and self.screen.focused is self.input

    def open(self, text: str | None = None) -> None:
        """Show the line and type into it."""
        self.display = True
        if text is not None:
            self.set_text(text)
        self.input.cursor_position = len(self.input.value)
        self.screen.set_focus(self.input)

    def set_text(self, text: str) -> None:
        """Put a text without telling that it was typed."""
        with self.input.prevent(Input.Changed):
            self.input.value = text

    def close(self) -> None:
        """Hide the line and forget its text."""
        self.set_text("")
        self.complain("")
        self.display = False

    def complain(self, reason: str) -> None:
        """Say what is wrong with the text; empty for nothing."""
        self._error.update(reason)
        self._error.display = bool(reason)
        self.set_class(bool(reason), "-wrong")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass it on under our own name."""
        event.stop()
        self.post_message(self.Typed(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Pass it on under our own name."""
        event.stop()
        self.post_message(self.Entered(self, event.value))
