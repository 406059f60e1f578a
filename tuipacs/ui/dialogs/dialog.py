"""The base of all dialogs: a card in the middle; esc cancels, no key reaches what is below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from tuipacs.errors import TuipacsError
from tuipacs.schema.operations import Answer, Operation, Request
from tuipacs.ui.form import Form
from tuipacs.ui.format import error_words
from tuipacs.ui.widgets.push_button import PushButton

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

Result = TypeVar("Result")


class Dialog(Form, ModalScreen[Result | None], Generic[Result]):
    """Subclasses give `heading`, `compose_form` and `buttons`; None is the answer of esc."""

    BINDINGS = [
        # With priority: text typed faster than the focus moves would land in the field before.
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    # 80x24 has no room for empty lines: the largest form, its error and its buttons must fit.
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 65%;
        & > .dialog--card {
            width: 64; max-width: 92%; height: auto; max-height: 100%;
            background: $surface; border: round $primary;
            border-title-color: $text-primary; border-title-style: bold;
            padding: 1 2;
        }
        & .dialog--label { height: 1; color: $text-muted; }
        & .dialog--text { height: auto; }
        & .dialog--error { height: auto; color: $text-error; }
        & .dialog--buttons { height: 1; align-horizontal: right; margin-top: 1; }
        & Input {
            border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $background;
            &:focus { border: none; background: $panel; background-tint: $panel 0%; }
        }
        & Select { margin-bottom: 1; }
        &.-low > .dialog--card { padding: 0 2; }
        &.-low Input { margin-bottom: 0; }
    }
    """

    heading = ""
    _is_asking = False

    @property
    def tui(self) -> TuipacsApp:
        """The application."""
        return cast("TuipacsApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--card") as card:
            card.border_title = Content(self.heading)
            yield from self.compose_form()
            error = Static("", markup=False, classes="dialog--error", id="error")
            error.display = False
            yield error
            with Horizontal(classes="dialog--buttons"):
                yield from self.buttons()

    def compose_form(self) -> Iterable[Widget]:
        """What is asked."""
        raise NotImplementedError

    def buttons(self) -> Iterable[Button]:
        """The answers; Cancel first, so that a dialog starts on it unless it has a form."""
        yield PushButton("Cancel", id="cancel")
        yield PushButton("OK", id="ok")

    def complain(self, reason: str) -> None:
        """Say what is wrong with the answers."""
        error = self.query_one("#error", Static)
        error.update(reason)
        error.display = bool(reason)

    def ask(
        self,
        operation: Operation[Request, Answer],
        request: Request,
        done: Callable[[Answer], object],
    ) -> None:
        """Ask the archive, once at a time; stay with the reason if it refuses."""
        if not self._is_asking:
            self._is_asking = True
            self.run_worker(self._ask(operation, request, done), exit_on_error=True)

    async def _ask(
        self,
        operation: Operation[Request, Answer],
        request: Request,
        done: Callable[[Answer], object],
    ) -> None:
        try:
            answer = await self.tui.desk.link.call(operation, request)
        except TuipacsError as error:
            self.complain(self.refused(error))
        else:
            done(answer)
        finally:
            self._is_asking = False

    def refused(self, error: TuipacsError) -> str:
        """Why the archive does not do it, and what one can do."""
        return error_words(error)

    def action_cancel(self) -> None:
        """No answer."""
        self.dismiss(None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Cancel cancels; the others are the subclass's."""
        event.stop()
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self.chosen(event.button.id or "")

    def on_input_submitted(self) -> None:
        """Enter goes to the next field, and from the last one to the answer."""
        inputs = [widget for widget in self.focus_chain if not isinstance(widget, Button)]
        if self.focused in inputs[:-1]:
            self.focus_next()
        else:
            self.chosen("ok")

    def chosen(self, button: str) -> None:
        """A button other than Cancel, or enter in the last field."""
        raise NotImplementedError


def label(text: str) -> Static:
    """The name of a field."""
    return Static(text, markup=False, classes="dialog--label")


def words(text: str) -> Static:
    """A paragraph."""
    return Static(text, markup=False, classes="dialog--text")
