"""A button of one line."""

from __future__ import annotations

from textual.widgets import Button


class PushButton(Button):
    """Textual's button without its border; ``danger`` shows when it is about to be pressed."""

    DEFAULT_CSS = """
    PushButton {
        height: 1;
        width: auto;
        min-width: 10;
        border: none !important;
        padding: 0 1;
        margin-left: 2;
        background: $panel !important;
        color: $foreground;
        text-style: none;
        &:focus {
            background: $primary !important; color: $background; text-style: bold !important;
        }
        &.-danger:focus { background: $error !important; color: $background; }
        &:disabled { color: $text-disabled; text-opacity: 100%; }
        &:hover { background: $primary 60% !important; }
    }
    """
