"""A routing rule, new or changed, with what it would have matched of late while it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from textual import work
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_choice import choose
from tuipacs.domain.route import RouteLevel, RouteRecord, RouteRule
from tuipacs.domain.route_check import check_rule
from tuipacs.domain.route_text import KEYS, read_conditions, write_conditions
from tuipacs.domain.route_words import PRIORITIES
from tuipacs.errors import NotFoundError, TuipacsError, UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.route_messages import (
    RouteAddRequest,
    RouteEditRequest,
    RoutePreviewRequest,
)
from tuipacs.ui.dialogs.dialog import Dialog, label
from tuipacs.ui.widgets.choices import Tick
from tuipacs.ui.widgets.push_button import PushButton
from tuipacs.ui.widgets.route_preview import PreviewList, preview_words

_PAUSE = 0.3  # seconds without a key until the preview follows
_REMOVED = "(removed)"


class _Titles(Suggester):
    """Completes the last title of the line."""

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._titles = titles

    async def get_suggestion(self, value: str) -> str | None:
        """The first node that begins so."""
        before, _, begun = value.rpartition(" ")
        if not begun:
            return None
        found = next((t for t in self._titles if t.lower().startswith(begun.lower())), None)
        return None if found is None else f"{before} {found}".lstrip()


class RouteDialog(Dialog[RouteRecord]):
    """Makes or changes a rule and answers with it; what was typed stays while it is refused."""

    AUTO_FOCUS = "#name"

    DEFAULT_CSS = """
    RouteDialog > .dialog--card { width: 100; }
    RouteDialog .row { height: auto; }
    RouteDialog .row > * { width: 1fr; }
    RouteDialog .row > Input { margin-right: 2; }
    RouteDialog #hint { height: 2; color: $text-muted; }
    RouteDialog #summary { height: 1; color: $text-accent; }
    RouteDialog PreviewList { height: 5; }
    RouteDialog.-high PreviewList { height: 9; }
    """

    def __init__(self, nodes: Sequence[NodeRecord], before: RouteRecord | None = None) -> None:
        super().__init__()
        self.heading = "Change a rule" if before else "Add a rule"
        self._before = before
        self._targets = [node for node in nodes if node.call.host]
        self._rule = before.rule if before else RouteRule(name="", nodes=())
        self._asked: RouteRule | None = None

    def compose_form(self) -> Iterable[Widget]:
        rule = self._rule
        with Horizontal(classes="row"):
            yield label("Name")
            yield label("To: nodes (→ completes)")
        with Horizontal(classes="row"):
            yield Input(rule.name, id="name", max_length=60)
            yield Input(
                self._titles(),
                id="to",
                suggester=_Titles([node.ae_title for node in self._targets]),
            )
        yield label("Which studies (nothing: all that nodes send)")
        yield Input(write_conditions(rule.conditions), id="what", max_length=2000)
        yield Static(f"{' '.join(f'{key}:' for key in KEYS)} unflagged", markup=False, id="hint")
        with Horizontal(classes="row"):
            yield Tick("matching series only", rule.level is RouteLevel.SERIES, id="series")
            yield Tick("switched on", rule.enabled, id="enabled")
        with Horizontal(classes="row"):
            yield Tick("then ask for commitment", rule.commit, id="commit")
            yield Tick("then stop: no rule after it", rule.stop, id="stop")
        with Horizontal(classes="row"):
            yield label("Priority: low, normal or high")
            yield label("Seconds of quiet (empty: as set)")
        with Horizontal(classes="row"):
            yield Input(PRIORITIES[rule.priority], id="priority", max_length=6)
            yield Input(str(rule.quiet_seconds or ""), id="quiet", max_length=5)
        yield Static("", markup=False, id="summary")
        preview = PreviewList()
        preview.can_focus = False  # it is only looked at: enter in the field before it saves
        yield preview

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Save" if self._before else "Add", id="ok")

    def _titles(self) -> str:
        """The destinations; one that was removed stays until it is taken out of the line."""
        targets = self._before.targets if self._before else ()
        return " ".join(t.ae_title + ("" if t.node else _REMOVED) for t in targets)

    def on_mount(self) -> None:
        """Show what it matches as it stands."""
        self._follow()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What it matches may be another."""
        if event.input.id == "what":
            self._follow()

    def on_checkbox_changed(self) -> None:
        """Of series level the numbers mean series."""
        self._follow()

    def _follow(self) -> None:
        self.set_timer(_PAUSE, self._preview)

    def _preview(self) -> None:
        """Ask for the preview of what is typed, if that is a rule, and another than before."""
        try:
            rule = self._wanted(named=False)
        except UsageError as error:
            self._asked = None
            self.query_one("#summary", Static).update(error.message)
            return
        if rule != self._asked:
            self._asked = rule
            self._fetch(rule)

    @work(exclusive=True, group="preview", exit_on_error=True)
    async def _fetch(self, rule: RouteRule) -> None:
        try:
            found = await self.tui.desk.link.call(op.ROUTE_PREVIEW, RoutePreviewRequest(rule=rule))
        except TuipacsError as error:
            self.query_one("#summary", Static).update(self.refused(error))
            return
        self.query_one("#summary", Static).update(preview_words(found))
        preview = self.query_one(PreviewList)
        preview.show(found, matches=preview.size.height // 2)  # the rest for what it nearly takes

    def chosen(self, button: str) -> None:
        try:
            rule = self._wanted(named=True)
        except UsageError as error:
            self.complain(error.message)
            return
        if self._before is None:
            self.ask(op.ROUTE_ADD, RouteAddRequest(rule=rule), self.dismiss)
        else:
            before = self._before
            request = RouteEditRequest(key=before.key, revision=before.revision, rule=rule)
            self.ask(op.ROUTE_EDIT, request, self.dismiss)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _ticked(self, name: str) -> bool:
        return self.query_one(f"#{name}", Tick).value

    def _wanted(self, *, named: bool) -> RouteRule:
        """The rule as typed; for a preview name and destinations do not matter."""
        conditions = read_conditions(self._value("what"))
        level = RouteLevel.SERIES if self._ticked("series") else RouteLevel.STUDY
        if not named:
            return check_rule(
                RouteRule(name="a rule", nodes=(), stop=True, level=level, conditions=conditions)
            )
        priority, quiet = self._value("priority").lower() or "normal", self._value("quiet") or "0"
        if priority not in PRIORITIES:
            raise UsageError("The priority is low, normal or high.")
        if not quiet.isdecimal():
            raise UsageError("The seconds are a whole number.")
        return check_rule(
            msgspec.structs.replace(
                self._rule,
                name=self._value("name"),
                nodes=tuple(self._node(title) for title in self._value("to").split()),
                conditions=conditions,
                level=level,
                enabled=self._ticked("enabled"),
                priority=PRIORITIES.index(priority),
                commit=self._ticked("commit"),
                stop=self._ticked("stop"),
                quiet_seconds=int(quiet),
            )
        )

    def _node(self, title: str) -> int:
        if title.endswith(_REMOVED):
            return 0
        for target in self._before.targets if self._before else ():
            if target.node and target.ae_title == title:  # of several with one title, that one
                return target.node
        try:
            return choose(self._targets, title).key
        except NotFoundError:
            raise UsageError(f"{title} is no node that can be called: g n shows them.") from None
        except UsageError as error:
            raise UsageError(f"{error.message}: {error.remedy}") from None
