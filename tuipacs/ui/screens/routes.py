"""Routing: the rules in order, and what the one under the cursor matched of late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.timer import Timer
from textual.widget import Widget

from tuipacs.domain.permissions import Permission
from tuipacs.domain.route import RouteRecord, RouteTarget
from tuipacs.domain.route_words import condition_words, rule_words
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty
from tuipacs.schema.operations import Answer, Operation, Request
from tuipacs.schema.route_messages import (
    RouteEnableRequest,
    RouteMoveRequest,
    RoutePreviewRequest,
    RouteRequest,
)
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.route import RouteDialog
from tuipacs.ui.dialogs.route_explain import ExplainDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.route_preview import PreviewList, preview_words
from tuipacs.ui.widgets.row_list import Row, RowList

_SETTLE = 0.15  # seconds that the cursor rests until the preview follows
_AGAIN = 10.0  # seconds between looks at the counts while objects arrive


def columns(width: int) -> Sequence[Column]:
    """Place, on or off, name, destinations, conditions, how many of late."""
    out = [
        Column("", 3, align="right"),
        Column("On", 3, source=1),
        Column("Rule", 14, flex=1, source=2),
        Column("To", 12, flex=1, source=3),
    ]
    if width >= 100:
        out.append(Column("Which", 20, flex=2, source=4))
    out.append(Column("Sent 7 d", 8, align="right", source=5))
    if width >= 120:
        out.append(Column("Last", 11, source=6))
    return out


class RoutesScreen(WorkScreen):
    """Rules above, studies below."""

    SCOPE = "routes"
    PLACE = "Routing"
    BINDINGS = actions.bindings("routes")

    DEFAULT_CSS = """
    RoutesScreen #rules { height: 1fr; }
    RoutesScreen #studies { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[RouteRecord, ...] = ()
        self._shown: RouteRecord | None = None  # whose preview is there
        self._timer: Timer | None = None
        self._is_stale = False

    def compose_body(self) -> Iterable[Widget]:
        with Panel("rules", id="rules"):
            yield RowList(columns, empty="nothing is sent on: a adds a rule", id="list")
        with Panel("studies that a rule matches", id="studies"):
            yield PreviewList()

    @property
    def rows(self) -> RowList:
        """The rules."""
        return self.query_one("#list", RowList)

    @property
    def studies(self) -> PreviewList:
        """What the rule matched."""
        return self.query_one(PreviewList)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.load()
        self.set_interval(_AGAIN, self._look_again)

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind in ("archive", "jobs", "incoming"):
            self._is_stale = True

    def _look_again(self) -> None:
        if self._is_stale and self.is_current:
            self.load()

    def catch_up(self) -> None:
        self.load()

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load(self) -> None:
        """Fetch the rules."""
        self._is_stale = False
        answer = await self.ask(op.ROUTES, Empty())
        if answer is None:
            return
        self._known = answer.routes
        today = self.desk.now().date()
        self.rows.set_rows(
            [
                Row(
                    record.key,
                    (
                        Cell(str(record.position), "dim"),
                        Cell("[x]", "good") if record.rule.enabled else Cell("[ ]", "warn"),
                        Cell(record.rule.name, "name" if record.rule.enabled else "dim"),
                        _targets(record.targets),
                        (Cell(what_words(record)),),
                        Cell(f.number(record.matched), "accent" if record.matched else "dim"),
                        Cell(f.clock(record.matched_at, today), "dim"),
                    ),
                )
                for record in self._known
            ]
        )
        waiting = f"{f.plural(answer.waiting, 'study', 'studies')} still arriving"
        self.query_one("#rules", Panel).entitle(
            f.plural(len(self._known), "rule"), waiting if answer.waiting else ""
        )
        self.refresh_keys()
        self._shown = None
        self.follow()

    @property
    def current(self) -> RouteRecord | None:
        """The rule under the cursor."""
        key = self.rows.current_key if self.is_mounted else None
        return next((record for record in self._known if record.key == key), None)

    def lacks(self, need: str) -> str:
        if need == "row" and self.current is None:
            return "there is no rule"
        if need == "study" and (not self.is_mounted or self.studies.current is None):
            return "there is no study"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Another rule has another preview."""
        if event.view is self.rows:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(_SETTLE, self.follow)
        self.refresh_keys()

    def follow(self) -> None:
        """Fetch the preview of the rule under the cursor, unless it is there."""
        record = self.current
        if record is None:
            self.studies.clear()
            self.query_one("#studies", Panel).entitle("studies that a rule matches")
        elif record != self._shown:
            self.preview(record)

    @work(exclusive=True, group="preview", exit_on_error=True)
    async def preview(self, record: RouteRecord) -> None:
        """What it would have matched."""
        found = await self.ask(op.ROUTE_PREVIEW, RoutePreviewRequest(rule=record.rule))
        if found is None:
            return
        self._shown = record
        self.studies.show(found)
        title = f"“{record.rule.name}” {preview_words(found)}"
        self.query_one("#studies", Panel).entitle(title, what_words(record))
        self.refresh_keys()

    # --- what can be done

    def action_other_pane(self) -> None:
        """From the rules to the studies and back."""
        self.set_focus(self.rows if self.studies.has_focus else self.studies)
        self.refresh_keys()

    def action_add(self) -> None:
        """A new rule."""
        self.open_dialog(None)

    def action_edit(self) -> None:
        """Change the rule."""
        self.open_dialog(self.current)

    def action_open(self) -> None:
        """Explain the study, or change the rule."""
        if self.studies.has_focus:
            self.action_explain()
        elif self.current is not None and self.desk.may(Permission.MANAGE_ROUTES):
            self.action_edit()

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        """A double click."""
        self.action_open()

    @work(exclusive=True, group="dialog", exit_on_error=True)
    async def open_dialog(self, record: RouteRecord | None) -> None:
        """The dialog needs the nodes."""
        nodes = await self.ask(op.NODES, Empty())
        if nodes is not None:
            self.app.push_screen(RouteDialog(nodes.nodes, record), self._saved)

    def _saved(self, record: RouteRecord | None) -> None:
        if record is not None:
            self.load()

    def action_switch(self) -> None:
        """Switch the rule on or off."""
        record = self.current
        if record is not None:
            request = RouteEnableRequest(key=record.key, enabled=not record.rule.enabled)
            self.change(op.ROUTE_ENABLE, request)

    def action_earlier(self) -> None:
        """Ask the rule earlier."""
        self._move(-1)

    def action_later(self) -> None:
        """Ask the rule later."""
        self._move(1)

    def _move(self, by: int) -> None:
        record = self.current
        if record is not None and 1 <= record.position + by <= len(self._known):
            request = RouteMoveRequest(key=record.key, position=record.position + by)
            self.change(op.ROUTE_MOVE, request)

    def action_remove(self) -> None:
        """Forget the rule."""
        record = self.current
        if record is None:
            return
        to = ", ".join(target.ae_title for target in record.targets) or "nowhere"
        text = (
            f"“{record.rule.name}” to {to} is forgotten. Jobs that it has queued go on;"
            " why a study was sent can still be asked."
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self.change(op.ROUTE_REMOVE, RouteRequest(key=record.key))

        self.app.push_screen(Confirm("Remove a rule", text, "Remove", danger=True), answered)

    def action_explain(self) -> None:
        """Why the study was sent, or not."""
        row = self.studies.current
        if row is not None:
            self.app.push_screen(ExplainDialog(row.study.key))

    @work(group="change", exit_on_error=True)
    async def change(self, operation: Operation[Request, Answer], request: Request) -> None:
        """Tell the archive, then show what it has."""
        await self.ask(operation, request)
        self.load()


def what_words(record: RouteRecord) -> str:
    """``CT; study *CHEST*; then commit``."""
    conditions = condition_words(record.rule.conditions) or ["everything that nodes send"]
    return "; ".join([*conditions, *rule_words(record.rule)])


def _targets(targets: Sequence[RouteTarget]) -> tuple[Cell, ...]:
    if not targets:
        return (Cell("nowhere", "dim"),)
    cells = []
    for number, target in enumerate(targets):
        blank = " " if number else ""
        if target.fault:
            cells.append(Cell(f"{blank}✗{target.ae_title}: {target.fault}", "bad"))
        else:
            cells.append(Cell(f"{blank}{target.ae_title}", "accent"))
    return tuple(cells)
