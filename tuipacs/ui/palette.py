"""The command palette, filled from the action registry and the themes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tuipacs.ui import actions
from tuipacs.ui.actions import Action

if TYPE_CHECKING:
    from tuipacs.ui.application import TuipacsApp

_MISSING = ("global.palette", "global.back", "global.command")


class ActionProvider(Provider):
    """Every action of the screen below, those that cannot be done with the reason."""

    @property
    def _tui(self) -> TuipacsApp:
        return cast("TuipacsApp", self.app)

    def _actions(self) -> tuple[Action, ...]:
        scope = getattr(self.screen, "SCOPE", "")
        here = actions.in_scope(scope) + actions.in_scope(actions.GLOBAL)
        return tuple(action for action in here if action.id not in _MISSING)

    def _help(self, action: Action) -> str:
        reason = self._tui.why_not(action, self.screen)
        return f"{action.shown}   {reason}" if reason else f"{action.shown}   {action.about}"

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for action in self._actions():
            yield DiscoveryHit(
                action.title, partial(self._tui.perform, action), help=self._help(action)
            )

    async def search(self, query: str) -> Hits:
        """What fits, and the themes by name."""
        matcher = self.matcher(query)
        for action in self._actions():
            if (score := matcher.match(f"{action.title} {action.about}".strip())) > 0:
                yield Hit(
                    score,
                    matcher.highlight(action.title),
                    partial(self._tui.perform, action),
                    help=self._help(action),
                )
        for name in self._tui.theme_names():
            if (score := matcher.match(f"Theme {name}")) > 0:
                yield Hit(
                    score,
                    matcher.highlight(f"Theme {name}"),
                    partial(self._tui.choose_theme, name),
                )
