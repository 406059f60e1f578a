"""Themes that are tried on while one moves."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button, OptionList
from textual.widgets.option_list import Option

from tuipacs.ui.dialogs.dialog import Dialog


class ThemeDialog(Dialog[str]):
    """Answers with a theme; esc goes back to the one before."""

    heading = "Theme"
    AUTO_FOCUS = "OptionList"

    DEFAULT_CSS = """
    ThemeDialog { background: $background 20%; }
    ThemeDialog .dialog--card { width: 36; }
    ThemeDialog OptionList { height: auto; max-height: 16; border: none; background: $surface; }
    """

    def __init__(self, names: tuple[str, ...], current: str) -> None:
        super().__init__()
        self._names, self._before = names, current

    def compose_form(self) -> Iterable[Widget]:
        yield OptionList(*(Option(name, id=name) for name in self._names), markup=False)

    def buttons(self) -> Iterable[Button]:
        return ()

    def on_mount(self) -> None:
        """Start on the one in use."""
        if self._before in self._names:
            self.query_one(OptionList).highlighted = self._names.index(self._before)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Try it on."""
        if event.option.id is not None and self.is_current:
            self.app.theme = event.option.id

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Keep it."""
        self.dismiss(event.option.id)

    def action_cancel(self) -> None:
        self.app.theme = self._before
        self.dismiss(None)

    def chosen(self, button: str) -> None:
        """There are no buttons."""
