"""What cards and dialogs have in common: when they can take keys."""

from __future__ import annotations

from textual.widget import Widget


class Form:
    """Mixed into a screen that begins with the focus on its first field or button."""

    enter_submits = False  # from every field, not only from the last
    _has_begun = False

    @property
    def is_settled(self) -> bool:
        """Whether it can take keys: something has the focus, or had it before.

        A button that is out of use for a moment loses the focus; the keys must not wait for that.
        """
        return self._has_begun

    def watch_focused(self, focused: Widget | None) -> None:
        """The first focus is what keys typed ahead wait for."""
        if focused is not None:
            self._has_begun = True
