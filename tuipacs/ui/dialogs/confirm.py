"""A yes-or-no question that names its object and starts on Cancel."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button

from tuipacs.ui.dialogs.dialog import Dialog, words
from tuipacs.ui.widgets.push_button import PushButton


class Confirm(Dialog[bool]):
    """True when the act was chosen."""

    def __init__(self, heading: str, text: str, act: str, *, danger: bool = False) -> None:
        super().__init__()
        self.heading = heading
        self._text = text
        self._act = act
        self._danger = danger

    def compose_form(self) -> Iterable[Widget]:
        yield words(self._text)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton(self._act, id="ok", classes="-danger" if self._danger else "")

    def chosen(self, button: str) -> None:
        self.dismiss(True)
