"""The leader key ``g``: with a letter it leads to a screen, twice it leads to the first line."""

from __future__ import annotations

from textual import events
from textual.timer import Timer

from tuipacs.ui import actions
from tuipacs.ui.actions import Action

KEY = "g"
POPUP_AFTER = 0.25  # seconds


class Leader:
    """Handles keys before any widget does, so that keys typed ahead cannot pass it."""

    def __init__(self) -> None:
        self.waiting = False
        self.timer: Timer | None = None

    def begin(self) -> None:
        """The leader was pressed."""
        self.waiting = True

    def end(self) -> None:
        """The next key came, or something else took over."""
        self.waiting = False
        if self.timer is not None:
            self.timer.stop()
            self.timer = None

    def resolve(self, event: events.Key) -> Action | None:
        """The action that the key after the leader means; None for none."""
        for action in choices():
            if action.shown.split()[-1] == event.key:
                return action
        return None


def choices() -> tuple[Action, ...]:
    """All actions that the leader leads to."""
    return tuple(a for a in actions.in_scope(actions.GLOBAL) if a.shown.startswith(f"{KEY} "))
