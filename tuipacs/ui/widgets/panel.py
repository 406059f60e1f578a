"""A framed part of a screen with a title in its border."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content


class Panel(Vertical):
    """Its frame lights up while what is in it has the focus."""

    DEFAULT_CSS = """
    Panel {
        layers: base overlay;
        border: round $row-guide;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &.-lit { border: round $primary; border-title-color: $text-accent; }
    }
    """

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self.entitle(title)

    def on_descendant_focus(self) -> None:
        """Light up."""
        self._light()

    def on_descendant_blur(self) -> None:
        """Go dark, unless the focus moved within."""
        self._light()

    def _light(self) -> None:
        # Not `:focus-within`: that computes the style of everything inside on each move of the
        # focus, also from the list to its filter.
        self.set_class(self.has_focus_within, "-lit")

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Change the words in the border; they are no markup."""
        self.border_title = Content(title)
        self.border_subtitle = Content(subtitle)
