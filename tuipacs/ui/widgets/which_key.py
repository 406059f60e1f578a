"""The popup that shows where the leader key can lead."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class WhichKey(Static):
    """Hidden until the leader waits for a moment."""

    DEFAULT_CSS = """
    WhichKey {
        layer: overlay;
        dock: bottom;
        width: auto;
        height: auto;
        margin: 0 1 1 1;
        padding: 0 2;
        background: $surface;
        border: round $primary;
        border-title-color: $text-primary;
        display: none;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.border_title = "g …"

    def show(self, rows: list[tuple[str, str, str]]) -> None:
        """Show rows of (key, title, why not); the last is empty for what can be done."""
        lines = []
        for key, title, why_not in rows:
            if why_not:
                lines.append(Content.styled(f"{key}  {title}  {why_not}", "$text-disabled"))
            else:
                lines.append(Content.assemble((key, "bold $text-accent"), "  ", title))
        self.update(Content("\n").join(lines))
        self.display = True

    def hide(self) -> None:
        """Take it away."""
        self.display = False
