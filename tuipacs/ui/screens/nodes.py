"""Known nodes: who may call, from where, for what; whom we call, and whether they answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from textual import work
from textual.containers import Container
from textual.widget import Widget

from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.node_files.found import FileNodes
from tuipacs.domain.node_health import NodeHealth
from tuipacs.domain.node_words import endpoint, may_words, short_proof
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import LaneRequest
from tuipacs.schema.messages import Changes, Empty
from tuipacs.schema.node_messages import NodeRemoveRequest, NodeTestRequest
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.node import NodeDialog
from tuipacs.ui.dialogs.node_import import NodeFileDialog, NodesFoundDialog
from tuipacs.ui.dialogs.node_test import NodeTestDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.node_card import NodeCard
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList

_CALLERS = {
    "refuse": "unknown callers are refused",
    "echo": "unknown callers may only test the connection",
    "store": "unknown callers may send",
}


def columns(width: int) -> Sequence[Column]:
    """Title, proof, both addresses, state; what is allowed and asked for where there is room."""
    out = [Column("AE title", 16), Column("Proof", 12, source=1)]
    out.append(Column("Calls from", 15, flex=1, source=2))
    if width >= 150:
        out.append(Column("May", 36, source=5))
    out.append(Column("Called at", 15, flex=1, source=3))
    if width >= 120:
        out.append(Column("Asked for", 36, source=6))
    return [*out, Column("State", 10, flex=1, source=4 if width >= 100 else 7)]


class NodesScreen(WorkScreen):
    """A list that administrators change, and all about the node under the cursor."""

    SCOPE = "nodes"
    PLACE = "Nodes"
    BINDINGS = actions.bindings("nodes")

    DEFAULT_CSS = """
    NodesScreen #split { layout: vertical; height: 1fr; }
    NodesScreen #list { height: 1fr; }
    NodesScreen #card { height: auto; min-height: 8; max-height: 60%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[NodeRecord, ...] = ()
        self._health: dict[int, NodeHealth] = {}

    def compose_body(self) -> Iterable[Widget]:
        with Container(id="split"):
            with Panel("nodes", id="list"):
                yield RowList(columns, empty="no node is known yet: a adds one, I imports a list")
            with Panel("node", id="card"):
                yield NodeCard()

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.load()

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind in ("incoming", "status", "jobs"):
            self.load()

    def catch_up(self) -> None:
        self.load()

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load(self) -> None:
        """Fetch the nodes."""
        answer = await self.ask(op.NODES, Empty())
        if answer is None:
            return
        self._known = answer.nodes
        self._health = {health.key: health for health in answer.health}
        today = self.desk.now().date()
        self.rows.set_rows([self._row(node, today) for node in self._known])
        status = self.desk.status
        rule = _CALLERS.get(status.unknown_callers, "") if status is not None else ""
        self.query_one("#list", Panel).entitle(f.plural(len(self._known), "node"), rule)
        self._show_card()

    def _row(self, node: NodeRecord, today: dt.date) -> Row:
        place = endpoint(node.call) + (" TLS" if node.call.use_tls else "")
        return Row(
            node.key,
            (
                Cell(node.ae_title, "name"),
                Cell(_proof(node), "dim"),
                Cell(node.address or "any address", "" if node.address else "warn"),
                Cell(place) if node.call.host else Cell("never", "guide"),
                _state(node, self._health.get(node.key), today),
                Cell(may_words(node), "accent"),
                Cell(", ".join(node.call.services), "accent"),
                _state(node, self._health.get(node.key), today, is_short=True),
            ),
        )

    def _show_card(self) -> None:
        node = self.current
        health = self._health.get(node.key) if node else None
        self.query_one(NodeCard).show(node, health)
        self.query_one("#card", Panel).entitle(
            node.ae_title if node else "", node.description if node else ""
        )
        self.refresh_keys()

    @property
    def current(self) -> NodeRecord | None:
        """The node under the cursor."""
        return next((node for node in self._known if node.key == self.rows.current_key), None)

    def lacks(self, need: str) -> str:
        node = self.current if self.is_mounted else None
        if need and node is None:
            return "there is no node"
        if need == "called" and node is not None and not node.call.host:
            return f"{node.ae_title} is never called: e gives it a host"
        if need == "echo" and node is not None and CallService.ECHO not in node.call.services:
            return f"{node.ae_title} is not asked for echo"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Another card, and other actions, for another row."""
        self._show_card()

    def _reload(self, answer: object) -> None:
        if answer is not None:
            self.load()

    def action_add(self) -> None:
        """A new node."""
        self.app.push_screen(NodeDialog(), self._reload)

    def action_edit(self) -> None:
        """Change the node."""
        if (node := self.current) is not None:
            self.app.push_screen(NodeDialog(node=node), self._reload)

    def action_test(self) -> None:
        """Climb the ladder."""
        if (node := self.current) is not None:
            self.app.push_screen(NodeTestDialog(node), self._tested)

    def _tested(self, _: bool | None) -> None:
        self.load()

    def action_echo(self) -> None:
        """One C-ECHO."""
        if (node := self.current) is not None:
            self.notify(f"C-ECHO to {node.ae_title} …", markup=False, timeout=2)
            self.echo(node)

    @work(group="echo", exit_on_error=True)
    async def echo(self, node: NodeRecord) -> None:
        """Tell how it answered."""
        report = await self.ask(op.NODE_ECHO, NodeTestRequest(key=node.key))
        if report is not None:
            (answer,) = report.rungs
            took = f" in {answer.seconds * 1000:.0f} ms" if not answer.is_broken else ""
            self.notify(
                f"{node.ae_title}: {answer.words}{took}",
                severity="error" if answer.is_broken else "information",
                markup=False,
            )
        self.load()

    def action_pause(self) -> None:
        """No job calls it, or they do again."""
        if (node := self.current) is not None:
            self.pause(node)

    @work(group="change", exit_on_error=True)
    async def pause(self, node: NodeRecord) -> None:
        """Stop its lane, or let it go on."""
        operation = op.LANE_RESUME if node.paused else op.LANE_PAUSE
        if await self.ask(operation, LaneRequest(node=node.key)) is not None:
            done = "jobs go on" if node.paused else "no further job calls it"
            self.notify(f"{node.ae_title}: {done}", markup=False)
        self.load()

    def action_import(self) -> None:
        """Nodes of another program."""
        self.app.push_screen(NodeFileDialog(), self._found)

    def _found(self, answer: tuple[str, FileNodes] | None) -> None:
        if answer is not None:
            self.app.push_screen(NodesFoundDialog(*answer), self._reload)

    def action_remove(self) -> None:
        """Forget a node."""
        node = self.current
        if node is None:
            return
        health = self._health.get(node.key)
        text = (
            f"{node.ae_title} at {node.address or 'any address'} is forgotten."
            " Its open associations end; what it sent stays."
        )
        if health is not None and health.open_jobs:
            text += f" {f.plural(health.open_jobs, 'job')} to it will fail."

        def answered(yes: bool | None) -> None:
            if yes:
                self.forget(node.key)

        self.app.push_screen(Confirm("Remove a node", text, "Remove", danger=True), answered)

    @work(group="change", exit_on_error=True)
    async def forget(self, key: int) -> None:
        """Tell the archive, then show what it has."""
        if await self.ask(op.NODE_REMOVE, NodeRemoveRequest(key=key)) is not None:
            self.notify("the node is forgotten", markup=False)
        self.load()


def _proof(node: NodeRecord) -> str:
    proof = short_proof(node)
    return proof.replace("cert", "cert.").replace("+", " + ") if proof else "title"


def _state(
    node: NodeRecord, health: NodeHealth | None, today: dt.date, *, is_short: bool = False
) -> Cell:
    """The pause first, then the last test, then its jobs."""
    jobs = f.plural(health.open_jobs, "job") if health and health.open_jobs else ""
    if node.paused:
        return Cell(f"paused · {jobs}" if jobs else "paused", "warn")
    if health is None or not health.checked_at:
        return Cell(jobs, "accent")
    mark, tone = ("✓", "good") if health.reached else ("✗", "bad")
    words = f"{mark} {f.clock(health.checked_at, today)}"
    if is_short:
        return Cell(words, tone)
    return Cell(f"{words} · {jobs}" if jobs else f"{words} {health.words}", tone)
