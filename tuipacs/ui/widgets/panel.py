"""A framed part of a screen with a title in its border."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content


class Panel(Vertical):
    """Its frame lights up while what is in it has the focus."""

    DEFAULT_CSS = """
    Panel {
        border: round $row-guide;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &:focus-within { border: round $primary; border-title-color: $text-accent; }
    }
    """

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self.entitle(title)

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Change the words in the border; they are no markup."""
        self.border_title = Content(title)
        self.border_subtitle = Content(subtitle)
