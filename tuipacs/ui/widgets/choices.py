"""Radio buttons and check boxes that can be told apart without color."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox, RadioButton, RadioSet


class Choices(RadioSet):
    """A set of `Choice`s without a border."""

    DEFAULT_CSS = """
    Choices {
        border: none !important;
        padding: 0;
        background: $surface !important;
        background-tint: $surface 0% !important;
        height: auto;
        margin-bottom: 1;
    }
    """


class Choice(RadioButton):
    """``(•)`` when chosen, ``( )`` when not."""

    DEFAULT_CSS = """
    Choices > Choice { width: 100%; background: $surface; }
    Choices > Choice > .toggle--button { color: $text-muted; background: $surface; }
    Choices > Choice.-on > .toggle--button { color: $text-accent; text-style: bold; }
    Choices:focus > Choice.-selected > .toggle--label {
        background: $row-cursor; color: $foreground; text-style: bold;
    }
    """

    @property
    def _button(self) -> Content:
        return Content.styled(
            "(•)" if self.value else "( )", self.get_visual_style("toggle--button")
        )


class Tick(Checkbox):
    """``[x]`` when ticked, ``[ ]`` when not."""

    DEFAULT_CSS = """
    Tick { border: none !important; padding: 0; height: 1; background: $surface; width: 100%; }
    Tick > .toggle--button { color: $text-muted; background: $surface; }
    Tick.-on > .toggle--button { color: $text-accent; text-style: bold; }
    Tick:focus > .toggle--label {
        background: $row-cursor; color: $foreground; text-style: bold;
    }
    """

    @property
    def _button(self) -> Content:
        return Content.styled(
            "[x]" if self.value else "[ ]", self.get_visual_style("toggle--button")
        )
