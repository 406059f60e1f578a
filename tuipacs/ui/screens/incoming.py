"""What modalities send right now: associations above, arrivals below."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget

from tuipacs.domain.fingerprint import short_fingerprint
from tuipacs.domain.node import AssociationRecord, AssociationState, NodeRecord
from tuipacs.domain.permissions import NodeService, Permission
from tuipacs.domain.query import SortKey
from tuipacs.domain.records import StudyRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, PageRequest
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.node import NodeDialog
from tuipacs.ui.rates import Rates
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList

ARRIVALS = 100
GLOW_SECONDS = 3.0
_TONES = {
    AssociationState.OPEN: "good",
    AssociationState.RELEASED: "dim",
    AssociationState.ABORTED: "bad",
    AssociationState.REJECTED: "bad",
}
_FIRST = (AssociationState.OPEN, AssociationState.REJECTED, AssociationState.ABORTED)


def association_columns(width: int) -> Sequence[Column]:
    """AE, state, count; rate, size, time and address where there is room."""
    out = [Column("Calling AE", 18, source=0), Column("State", 9, source=1)]
    out.append(Column("Stored", 7, align="right", source=2))
    if width >= 100:
        out += [
            Column("Rate", 8, align="right", source=3),
            Column("Size", 8, align="right", source=4),
            Column("Since", 10, source=5),
            Column("Address", 15, source=6),
        ]
    return [*out, Column("Last status or reason", 20, flex=1, source=7)]


def arrival_columns(width: int) -> Sequence[Column]:
    """When, who, what; ID and sender where there is room."""
    out = [Column("Received", 10, source=0), Column("Patient", 20, flex=2, source=1)]
    if width >= 100:
        out += [Column("ID", 12, source=2), Column("From", 16, source=3)]
    out += [Column("Mod", 8, source=4), Column("Images", 7, align="right", source=5)]
    if width >= 70:
        out.append(Column("Description", 16, flex=2, source=6))
    return out


class IncomingScreen(WorkScreen):
    """Live: redrawn when the archive says that something came."""

    SCOPE = "incoming"
    PLACE = "Incoming"
    BINDINGS = actions.bindings("incoming")

    DEFAULT_CSS = """
    IncomingScreen #associations { height: 1fr; }
    IncomingScreen #arrivals { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: set[int] = set()
        self._rates = Rates()
        self._glow: dict[int, float] = {}
        self._arrived: tuple[StudyRecord, ...] = ()
        self._primed = False

    def compose_body(self) -> Iterable[Widget]:
        with Panel("associations", id="associations"):
            yield RowList(
                association_columns, empty="no association yet: send something", id="calls"
            )
        with Panel("arrivals", id="arrivals"):
            yield RowList(arrival_columns, empty="nothing has arrived yet", id="studies")

    @property
    def calls(self) -> RowList:
        """The list of associations."""
        return self.query_one("#calls", RowList)

    @property
    def studies(self) -> RowList:
        """The list of arrivals."""
        return self.query_one("#studies", RowList)

    def begin(self) -> None:
        self.set_focus(self.calls)
        self.tui.refresh_incoming()
        self.load_arrivals()
        self.set_interval(1.0, self._tick)

    def focus_home(self) -> None:
        self.set_focus(self.calls)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "incoming":
            self._show_calls()
        elif kind == "archive":
            self.load_arrivals()

    def catch_up(self) -> None:
        self.tui.refresh_incoming()
        self.load_arrivals()

    def _tick(self) -> None:
        """Rates fall while nothing comes, and the glow ends."""
        if self.is_current and any(a.ended_at is None for a in self.desk.associations):
            self._show_calls()

    # --- associations

    def _show_calls(self) -> None:
        rows: list[Row] = []
        records = sorted(
            self.desk.associations,
            key=lambda a: (
                _FIRST.index(a.state) if a.state in _FIRST else len(_FIRST),
                -(a.ended_at or a.started_at),
            ),
        )
        now = time.monotonic()
        for record in records:
            rate = self._rates.of(record.key, record.stored + record.duplicate, now)
            rows.append(Row(record.key, self._association(record, rate)))
            if record.key in self._open:
                rows += self._contexts(record)
        self._rates.keep(record.key for record in records)
        self.calls.set_rows(rows)
        live = sum(record.ended_at is None for record in records)
        total = sum(record.stored for record in records if record.ended_at is None)
        self.query_one("#associations", Panel).entitle(
            f"associations ─ {live} open", f"{f.number(total)} received by the open ones"
        )
        self.refresh_keys()

    def _association(self, record: AssociationRecord, rate: float | None) -> tuple[Cell, ...]:
        sign = "▾ " if record.key in self._open else "▸ "
        unknown = "" if record.known_node else " ?"
        last = record.reason or record.last_status
        bad = record.state in (AssociationState.REJECTED, AssociationState.ABORTED)
        tone = "bad" if bad else "dim" if record.last_status.startswith("0x0000") else "warn"
        if record.refused:
            last, tone = f"{f.number(record.refused)} refused · {last}", "warn"
        if record.bytes_receiving:
            last, tone = f"receiving an object, {f.size(record.bytes_receiving)} so far", "accent"
        live = record.state is AssociationState.OPEN and rate is not None
        return (
            Cell(sign + (record.calling_ae_title or "(empty)") + unknown, "name"),
            Cell(record.state.value, _TONES[record.state]),
            Cell(f.number(record.stored)),
            Cell(f"{rate:.1f}/s" if live else "", "accent"),
            Cell(f.size(record.bytes_received + record.bytes_receiving), "dim"),
            Cell(f.clock(record.started_at, self.desk.now().date()), "dim"),
            Cell(record.address, "dim"),
            Cell(last, tone),
        )

    @staticmethod
    def _contexts(record: AssociationRecord) -> list[Row]:
        first = Cell("    context", "guide")
        status = record.last_status if not record.last_status.startswith("0x0000") else ""
        rows = [  # the columns they stand in are narrow on a small terminal, or missing
            Row((record.key, number), (Cell(f"    {name}", "guide"), Cell(text, tone)), spans=True)
            for number, name, text, tone in (
                (-2, "reason", record.reason, "bad"),
                (-4, "status", status, "warn"),
                (-3, "peer", _facts(record), "dim"),
            )
            if text
        ]
        # What was refused is what one looks for.
        for index, context in sorted(enumerate(record.contexts), key=lambda c: c[1].accepted):
            mark = Cell("accepted", "good") if context.accepted else Cell("refused", "bad")
            name = context.abstract_syntax_name or context.abstract_syntax
            words = Cell(f"{name} · {context.reason or context.transfer_syntax}", "dim")
            rows.append(Row((record.key, index), (first, mark, words), spans=True))
        if not record.contexts:
            words = Cell("no presentation context was negotiated", "dim")
            rows.append(Row((record.key, -1), (first, Cell(""), words), spans=True))
        return rows

    @property
    def current_association(self) -> AssociationRecord | None:
        """The association under the cursor, or whose context is under it."""
        key = self.calls.current_key
        number = key[0] if isinstance(key, tuple) else key
        return next((a for a in self.desk.associations if a.key == number), None)

    # --- arrivals

    @work(exclusive=True, group="arrivals", exit_on_error=True)
    async def load_arrivals(self) -> None:
        """The newest studies; what is new since the last time glows."""
        if not self.desk.may(Permission.BROWSE):
            return
        request = PageRequest(sort=SortKey.RECEIVED, descending=True, limit=ARRIVALS)
        try:
            page = await self.desk.link.call(op.STUDIES, request)
        except TuipacsError as error:
            self.tui.report(error, quietly=True)
            return
        before = {row.key: row.received_at for row in self._arrived}
        now = time.monotonic()
        if self._primed:
            for row in page.rows:
                if before.get(row.key) != row.received_at:
                    self._glow[row.key] = now + GLOW_SECONDS
            self.set_timer(GLOW_SECONDS + 0.05, self._show_arrivals)
        self._primed = True
        self._arrived = page.rows
        self._show_arrivals()

    def _show_arrivals(self) -> None:
        now = time.monotonic()
        self._glow = {key: until for key, until in self._glow.items() if until > now}
        today = self.desk.now().date()
        self.studies.set_rows(
            [
                Row(row.key, _arrival(row, today), glow=row.key in self._glow)
                for row in self._arrived
            ]
        )
        self.query_one("#arrivals", Panel).entitle("arrivals, newest first")

    # --- what can be done

    def lacks(self, need: str) -> str:
        record = self.current_association if self.is_mounted else None
        if need == "row" and record is None:
            return "there is no association"
        if need == "unknown-caller":
            if record is None:
                return "there is no association"
            if record.known_node:
                return f"{record.calling_ae_title} is known already"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row."""
        self.refresh_keys()

    def on_line_view_chosen(self) -> None:
        """A double click shows the contexts."""
        self.action_contexts()

    def action_contexts(self) -> None:
        """Show or hide the presentation contexts."""
        record = self.current_association
        if record is not None and self.focused is self.calls:
            self._open ^= {record.key}
            if (line := self.calls.line_of(record.key)) is not None:
                self.calls.move_to(line)
            self._show_calls()
            self._show_unfolded(record.key)

    def _show_unfolded(self, key: int) -> None:
        """What was unfolded is to be seen, not only to be there."""
        line = self.calls.line_of(key)
        if line is None or key not in self._open:
            return
        last = line
        while (below := self.calls.key_at(last + 1)) and isinstance(below, tuple):
            last += 1
        self.call_after_refresh(self.calls.scroll_to_lines, line, last)

    def action_other_pane(self) -> None:
        """The other list."""
        self.set_focus(self.studies if self.focused is self.calls else self.calls)

    def action_add_node(self) -> None:
        """Make the caller a known node."""
        record = self.current_association
        if record is not None:
            dialog = NodeDialog(
                ae_title=record.calling_ae_title,
                address=record.address,
                services=(NodeService.ECHO, NodeService.STORE),
                certificate=record.certificate_sha256,
            )
            self.app.push_screen(dialog, self._node_added)

    def _node_added(self, node: NodeRecord | None) -> None:
        if node is not None:
            self.tui.refresh_incoming()


def _facts(record: AssociationRecord) -> str:
    """Who the peer is and what else it did, as a list of words."""
    shown = short_fingerprint(record.certificate_sha256)
    parts = [
        f"from {record.address}{' over TLS' if record.is_tls else ''}" if record.address else "",
        f"certificate {shown}" if shown else "",
        record.implementation,
        f"called {record.called_ae_title}" if record.called_ae_title else "",
        f"user {record.user}" if record.user else "",
        record.remark,
        f"{f.number(record.duplicate)} known already" if record.duplicate else "",
        f"{f.number(record.other)} other requests" if record.other else "",
    ]
    return " · ".join(part for part in parts if part)


def _arrival(row: StudyRecord, today: dt.date) -> tuple[Cell, ...]:
    name = f.person_name(row.patient_name) or "(no name)"
    return (
        Cell(f.clock(row.received_at, today), "dim"),
        Cell(f"{name} {f.FLAG_MARK}" if row.flags else name, "name"),
        Cell(row.patient_id),
        Cell(row.calling_ae_title or "import", "dim"),
        Cell(f.modalities(row.modalities_in_study), "accent"),
        Cell(f.number(row.number_of_study_related_instances)),
        Cell(row.study_description),
    )
