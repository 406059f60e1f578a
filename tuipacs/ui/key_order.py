"""Keys act in the order they were typed, also when they come faster than screens open.

Textual hands a key to the widget that has the focus now. What a key before it does to the focus
(tab, enter in a form, a dialog that opens) happens a little later, so that a password typed ahead
could land in the field of the user name. Here the keys that move the focus do it at once, and keys
for a screen that is not there yet wait for it. A key that edits a field (backspace, ctrl+u) climbs
from the field to the application before it acts, while letters act in the field: typed ahead, the
letters after it would be deleted instead of those before. It joins the letters' queue.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Button, Input

LONGEST_WAIT = 3.0  # seconds that keys wait for a screen
POLL = 0.02  # seconds

_EDITING = {
    each.key: each.action
    for each in Binding.make_bindings(Input.BINDINGS)
    if each.key != "enter"  # it leaves the field
}


@runtime_checkable
class Settles(Protocol):
    """A screen that says when it can take keys."""

    @property
    def is_settled(self) -> bool:
        """Whether keys can be handed to it."""


def early_form_key(screen: Screen[Any], key: str) -> bool:
    """Move the focus of a form at once; True when the key was such a one.

    Enter goes from one field to the next; in the last one it is left to the field, and in each of
    a form that it submits.
    """
    if key == "tab":
        screen.focus_next()
    elif key == "shift+tab":
        screen.focus_previous()
    elif key == "enter" and isinstance(screen.focused, Input):
        if getattr(screen, "enter_submits", False):
            return False
        fields = [widget for widget in screen.focus_chain if not isinstance(widget, Button)]
        if screen.focused not in fields[:-1]:
            return False
        screen.focus_next()
    else:
        return False
    return True


def early_edit_key(screen: Screen[Any], key: str) -> bool:
    """Queue an editing key of the focused field behind the letters before it; True if it is one."""
    field = screen.focused
    if not isinstance(field, Input) or key not in _EDITING:
        return False
    field.call_later(field.run_action, _EDITING[key])
    return True


class KeyOrder:
    """Holds keys while the screen they are meant for is being made."""

    def __init__(self, longest_wait: float = LONGEST_WAIT) -> None:
        self._longest_wait = longest_wait
        self._held: list[events.Key] = []
        self._since = 0.0
        self._given_up: weakref.ref[Screen[Any]] | None = None  # waited for long enough

    def must_wait(self, screen: Screen[Any]) -> bool:
        """Whether a key that comes now has to wait."""
        return bool(self._held) or not self._takes_keys(screen)

    def _takes_keys(self, screen: Screen[Any]) -> bool:
        if not isinstance(screen, Settles) or screen.is_settled:
            return True
        return self._given_up is not None and self._given_up() is screen

    def hold(self, event: events.Key) -> bool:
        """Keep a key; True when it is the first one, so that someone must look after it."""
        self._held.append(event)
        if len(self._held) == 1:
            self._since = time.monotonic()
            return True
        return False

    async def release(
        self, screen: Screen[Any], handle: Callable[[events.Key], Awaitable[None]]
    ) -> bool:
        """Hand the keys out if the screen is there; False when they still have to wait.

        A screen that does not come gets them all the same in the end, and all later ones at once:
        whatever is wrong with it, one must be able to leave it.
        """
        if not self._takes_keys(screen):
            if time.monotonic() - self._since < self._longest_wait:
                return False
            self._given_up = weakref.ref(screen)
        held, self._held = self._held, []
        for event in held:
            await handle(event)
        return not self._held
