"""Where a key goes: the leader, a form, an action; and why an action cannot be done now."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import App
from textual.screen import Screen

from tuipacs.ui import actions
from tuipacs.ui.actions import Action
from tuipacs.ui.desk import Desk
from tuipacs.ui.dialogs.dialog import Dialog
from tuipacs.ui.global_actions import GlobalActions
from tuipacs.ui.keeper import Keeper
from tuipacs.ui.key_order import POLL, KeyOrder, early_edit_key, early_form_key
from tuipacs.ui.leader import KEY, POPUP_AFTER, Leader, choices
from tuipacs.ui.screens.card import CardScreen
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import LineView


class Keys(GlobalActions):
    """One part of `TuipacsApp`, which makes these."""

    desk: Desk
    keeper: Keeper
    key_order: KeyOrder
    leader: Leader

    async def on_event(self, event: events.Event) -> None:
        """The leader comes first, so that keys typed ahead keep their order."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        if self.keeper.key_pressed():
            self.tui.touch()
        if self.key_order.must_wait(self.screen):
            if self.key_order.hold(event):
                self.set_timer(POLL, self._release_keys)
            return
        if self._leader_takes(event) or self._form_takes(event):
            return
        if early_edit_key(self.screen, event.key):
            return
        await super().on_event(event)

    async def _release_keys(self) -> None:
        if not await self.key_order.release(self.screen, self.on_event):
            self.set_timer(POLL, self._release_keys)

    def _form_takes(self, event: events.Key) -> bool:
        screen = self.screen
        return isinstance(screen, CardScreen | Dialog) and early_form_key(screen, event.key)

    def _leader_takes(self, event: events.Key) -> bool:
        screen = self.screen
        if not isinstance(screen, WorkScreen):
            self.leader.end()
            return False
        if self.leader.waiting:
            self.leader.end()
            screen.hide_which_key()
            if event.key == KEY:
                screen.go_to_top()
            elif action := self.leader.resolve(event):
                self.perform(action)
            return True
        focused = screen.focused
        if event.key != KEY or (focused is not None and focused.check_consume_key(KEY, KEY)):
            return False
        self.leader.begin()
        rows = [(a.shown.split()[-1], a.title, self.why_not(a, screen)) for a in choices()]
        rows.append(("g", "First line", ""))
        self.leader.timer = self.set_timer(POPUP_AFTER, lambda: screen.show_which_key(rows))
        return True

    def on_key(self, event: events.Key) -> None:
        """A key that did nothing: if its action is disabled, say why."""
        screen = self.screen
        if isinstance(screen, WorkScreen):
            binding = screen.active_bindings.get(event.key)
            if binding is not None and not binding.enabled and binding.binding.id:
                action = actions.BY_ID.get(binding.binding.id)
                if action is not None and (reason := self.why_not(action, screen)):
                    self.tell_why_not(action, reason)

    def tell_why_not(self, action: Action, reason: str) -> None:
        """One message at a time, however often the key is pressed."""
        self.clear_notifications()
        self.notify(f"{action.title}: {reason}", severity="warning", timeout=4, markup=False)

    def why_not(self, action: Action, screen: Screen[Any]) -> str:
        """Why an action cannot be done now; empty when it can."""
        if action.scope not in (actions.GLOBAL, actions.LIST) and isinstance(screen, WorkScreen):
            return screen.why_not(action)
        if action.permission is not None and not self.desk.may(action.permission):
            return actions.needs_role(action.permission)
        if action.needs == "unreachable" and self.desk.reachable:
            return "the archive runs"
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        known = actions.find(actions.GLOBAL, action)
        if known is None:
            return True
        if not isinstance(self.screen, WorkScreen):
            return False
        return None if self.why_not(known, self.screen) else True

    def perform(self, action: Action) -> None:
        """Do an action from the palette, the help, the footer or the leader."""
        screen = self.screen
        if reason := self.why_not(action, screen):
            self.tell_why_not(action, reason)
            return
        target: App[int] | Screen[Any] | LineView = screen
        if action.scope == actions.GLOBAL:
            target = self
        elif action.scope == actions.LIST and isinstance(screen.focused, LineView):
            target = screen.focused
        result = getattr(target, f"action_{action.method}")()
        if result is not None and hasattr(result, "__await__"):
            self.run_worker(result, group="action")
