"""Known nodes: who may call, from where, for what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget

from tuipacs.domain.node import NodeRecord, proof_words
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty
from tuipacs.schema.node_messages import NodeRemoveRequest
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.node import NodeDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList

_CALLERS = {
    "refuse": "unknown callers are refused",
    "echo": "unknown callers may only test the connection",
    "store": "unknown callers may send",
}


def columns(width: int) -> Sequence[Column]:
    """Title, address, services, description, proof; more of it and the age where there is room."""
    out = [Column("AE title", 16), Column("Address", 18, source=1), Column("May", 11, source=2)]
    if width >= 70:
        out.append(Column("Description", 8, flex=1, source=3))
    out.append(Column("Proof", 25, source=5) if width >= 96 else Column("Proof", 12, source=6))
    if width >= 120:
        out.append(Column("Since", 19, source=4))
    return out


class NodesScreen(WorkScreen):
    """A list that administrators change."""

    SCOPE = "nodes"
    PLACE = "Nodes"
    BINDINGS = actions.bindings("nodes")

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[NodeRecord, ...] = ()

    def compose_body(self) -> Iterable[Widget]:
        with Panel("nodes"):
            yield RowList(columns, empty="no node is known yet: a adds one")

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
        if kind in ("incoming", "status"):
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
        self.rows.set_rows(
            [
                Row(
                    node.key,
                    (
                        Cell(node.ae_title, "name"),
                        Cell(node.address or "any address", "" if node.address else "warn"),
                        Cell(", ".join(node.services), "accent"),
                        Cell(node.description, "dim"),
                        Cell(f.moment(node.created_at), "dim"),
                        Cell(proof_words(node) or "title and address", "dim"),
                        Cell(_short_proof(node), "dim"),
                    ),
                )
                for node in self._known
            ]
        )
        status = self.desk.status
        rule = _CALLERS.get(status.unknown_callers, "") if status is not None else ""
        self.query_one(Panel).entitle(f.plural(len(self._known), "node"), rule)
        self.refresh_keys()

    @property
    def current(self) -> NodeRecord | None:
        """The node under the cursor."""
        return next((node for node in self._known if node.key == self.rows.current_key), None)

    def lacks(self, need: str) -> str:
        if need == "row" and (not self.is_mounted or self.current is None):
            return "there is no node"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row."""
        self.refresh_keys()

    def action_add(self) -> None:
        """A new node."""
        self.app.push_screen(NodeDialog(), self._added)

    def _added(self, node: NodeRecord | None) -> None:
        if node is not None:
            self.load()

    def action_remove(self) -> None:
        """Forget a node."""
        node = self.current
        if node is None:
            return
        text = (
            f"{node.ae_title} at {node.address or 'any address'} is forgotten."
            " Its open associations end; what it sent stays."
        )

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


def _short_proof(node: NodeRecord) -> str:
    """What `proof_words` says, in 12 cells."""
    channel = "cert." if node.certificate_sha256 else "TLS" if node.needs_tls else "title"
    return f"{channel} + user" if node.require_identity else channel
