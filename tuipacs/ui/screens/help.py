"""All that can be done here, searchable; enter does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tuipacs.domain.query import fold
from tuipacs.ui import actions
from tuipacs.ui.actions import Action
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp
    from tuipacs.ui.screens.work import WorkScreen

_SCOPE_NAMES = {actions.GLOBAL: "everywhere", actions.LIST: "every list"}


def columns(width: int) -> Sequence[Column]:
    """Key, action, where; the reason where it cannot be done."""
    out = [Column("Key", 8), Column("Action", 22, flex=2, source=1)]
    if width >= 60:
        out.append(Column("Where", 11, source=2))
    out.append(Column("", 14, flex=3, source=3))
    return out


class HelpScreen(ModalScreen[Action | None]):
    """Answers with the chosen action."""

    AUTO_FOCUS = "Input"
    BINDINGS = [
        Binding("escape,f1", "close", "Close", show=False, priority=True),
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
    ]

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        background: $background 65%;
        & > Vertical {
            width: 96; max-width: 96%; height: 90%; background: $surface;
            border: round $primary; border-title-color: $text-primary;
            border-subtitle-color: $text-muted;
        }
        & Input {
            border: none; height: 1; padding: 0 1; background: $surface; margin: 0 0 1 0;
            &:focus { border: none; background-tint: $surface 0%; }
        }
        & RowList { background: $surface; scrollbar-background: $surface; }
    }
    """

    def __init__(self, below: WorkScreen) -> None:
        super().__init__()
        self._below = below
        self._found: list[Action] = []

    @property
    def is_settled(self) -> bool:
        """Whether it can take keys."""
        return self.focused is not None

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "help"
            box.border_subtitle = "enter does it ─ esc closes"
            yield Input(placeholder="search: filter, window, node …")
            yield RowList(columns, empty="no action is called so", has_header=False)

    def on_mount(self) -> None:
        """Everything, to begin with."""
        self.query_one(RowList).always_lit = True
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search as one types."""
        self._search(event.value)

    def _all(self) -> Iterable[Action]:
        return actions.in_scope(self._below.SCOPE) + actions.in_scope(actions.LIST, actions.GLOBAL)

    def _search(self, text: str) -> None:
        tui = cast("TuipacsApp", self.app)
        words = fold(text).split()
        self._found = [
            action
            for action in self._all()
            if all(word in fold(f"{action.title} {action.about} {action.shown}") for word in words)
        ]
        rows = []
        for action in self._found:
            reason = tui.why_not(action, self._below)
            where = _SCOPE_NAMES.get(action.scope, "here")
            rows.append(
                Row(
                    action.id,
                    (
                        Cell(action.shown, "dim" if reason else "accent"),
                        Cell(action.title, "dim" if reason else ""),
                        Cell(where, "dim"),
                        Cell(reason or action.about, "warn" if reason else "dim"),
                    ),
                )
            )
        rows_list = self.query_one(RowList)
        rows_list.set_rows(rows)
        rows_list.move_to(0)

    def action_move(self, step: int) -> None:
        """Move in the list while the input keeps the focus."""
        rows = self.query_one(RowList)
        rows.move_to(rows.cursor + step)

    def action_close(self) -> None:
        """Nothing chosen."""
        self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Do what is under the cursor."""
        self._choose()

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        """A double click does it too."""
        self._choose()

    def _choose(self) -> None:
        index = self.query_one(RowList).cursor
        if index < len(self._found):
            self.dismiss(self._found[index])
