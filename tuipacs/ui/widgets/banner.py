"""A line under the header for what a person must know now: the archive is out of reach."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Banner(Static):
    """Hidden while all is well."""

    DEFAULT_CSS = """
    Banner {
        height: 1;
        background: $error;
        color: $background;
        text-style: bold;
        padding: 0 1;
        display: none;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def say(self, text: str) -> None:
        """Show ``text``; an empty one hides the line."""
        self.update(Content(text))
        self.display = bool(text)
