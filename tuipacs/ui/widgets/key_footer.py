"""The bottom line: only what works here and now."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tuipacs.ui.actions import Action


class KeyFooter(Widget):
    """Shows as many actions as fit, in order of rank; the last ones are always there."""

    DEFAULT_CSS = """
    KeyFooter {
        height: 1;
        dock: bottom;
        background: $panel;
        color: $foreground;
        padding: 0 1;
    }
    """

    class Pressed(Message):
        """An action was clicked."""

        def __init__(self, action: Action) -> None:
            super().__init__()
            self.action = action

    def __init__(self) -> None:
        super().__init__()
        self._actions: tuple[Action, ...] = ()
        self._always: tuple[Action, ...] = ()
        self._spans: list[tuple[int, int, Action]] = []

    def show(self, actions: tuple[Action, ...], always: tuple[Action, ...]) -> None:
        """Set what works now."""
        if (actions, always) != (self._actions, self._always):
            self._actions, self._always = actions, always
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        kept = sum(_length(action) + 2 for action in self._always)
        most = 7 if width < 90 else 12
        shown: list[Action] = []
        used = 0
        for action in self._actions[:most]:
            if used + _length(action) + 2 + kept > width:
                break
            used += _length(action) + 2
            shown.append(action)
        self._spans = []
        parts: list[Content] = []
        x = 0
        for action in (*shown, *self._always):
            parts.append(
                Content.assemble(
                    (action.shown, "bold $text-accent"), " ", (_label(action), "$text-muted")
                )
            )
            self._spans.append((x, x + _length(action), action))
            x += _length(action) + 2
        return Content("  ").join(parts)

    def on_click(self, event: events.Click) -> None:
        """A click does what the key does."""
        x = event.x - 1
        for first, last, action in self._spans:
            if first <= x < last:
                self.post_message(self.Pressed(action))


def _label(action: Action) -> str:
    return action.title[:1].lower() + action.title[1:]


def _length(action: Action) -> int:
    return len(action.shown) + 1 + len(_label(action))
