"""The audit log, newest first, with a badge that says whether its chain is whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tuipacs.domain.audit import AuditOutcome, AuditRecord
from tuipacs.schema import operations as op
from tuipacs.schema.messages import AuditRequest, Changes, Empty
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.prompt_line import PromptLine
from tuipacs.ui.widgets.row_list import Row, RowList

PAGE = 200
MOST = 20_000  # records kept in memory; the command line reads more
FILTER_AFTER = 0.2  # seconds without a key
_TONES = {AuditOutcome.SUCCESS: "good", AuditOutcome.FAILURE: "bad", AuditOutcome.REFUSED: "warn"}


def columns(width: int) -> Sequence[Column]:
    """When, who, what; outcome in color."""
    out = [Column("At", 19), Column("Who", 12, flex=1, source=2)]
    if width >= 100:
        out.insert(0, Column("#", 8, align="right", source=1))
        out.append(Column("Role", 12, source=3))
    out += [Column("What", 18, flex=1, source=4), Column("Outcome", 8, source=5)]
    if width >= 76:
        out.append(Column("Detail", 16, flex=2, source=6))
    return out


class AuditScreen(WorkScreen):
    """Loads further pages as the cursor nears the end."""

    SCOPE = "audit"
    PLACE = "Audit log"
    BINDINGS = actions.bindings("audit")

    DEFAULT_CSS = """
    AuditScreen {
        & #log { width: 1fr; }
        & #record { width: 52; display: none; }
        & #record Static { padding: 0 1; }
        &.-details #record { display: block; }
        &.-narrow.-details #log { display: none; }
        &.-narrow.-details #record { width: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._records: list[AuditRecord] = []
        self._rows: list[Row] = []
        self.most = MOST
        self._total = 0
        self._words = ""
        self._badge = ""
        self._complete = False
        self._loading = False
        self._timer: Timer | None = None

    def compose_body(self) -> Iterable[Widget]:
        with Horizontal():
            with Panel("audit log", id="log"):
                yield PromptLine("/", "words that must all occur", id="filter")
                yield RowList(columns, empty="loading …")
            with Panel("record", id="record"):
                yield Static(markup=False)

    @property
    def rows(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    @property
    def filter_line(self) -> PromptLine:
        """Where words are typed."""
        return self.query_one("#filter", PromptLine)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.load()

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    def catch_up(self) -> None:
        """What is read stays where it is; ^r loads what came since."""

    def digest(self, kind: str, changes: Changes | None) -> None:
        """As `catch_up`."""

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load(self) -> None:
        """The newest page."""
        answer = await self.ask(op.AUDIT, AuditRequest(words=self._words, limit=PAGE))
        if answer is None:
            self.rows.say_when_empty("the log could not be read")
            return
        self._records, self._total = list(answer.records), answer.total
        self._rows = [_row(record) for record in answer.records]
        self._complete = len(answer.records) < PAGE
        self.rows.say_when_empty("no record has these words" if self._words else "an empty log")
        self._show()

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load_more(self) -> None:
        """The next page."""
        request = AuditRequest(
            words=self._words, before_seq=self._records[-1].seq if self._records else 0, limit=PAGE
        )
        answer = await self.ask(op.AUDIT, request)
        self._loading = False
        if answer is not None:
            self._records += answer.records
            self._rows += [_row(record) for record in answer.records]
            self._complete = len(answer.records) < PAGE
            self._show()

    @property
    def _is_full(self) -> bool:
        """Whether there are older records, which are not loaded here."""
        return len(self._records) >= self.most and not self._complete

    def _show(self) -> None:
        self.rows.set_rows(self._rows)
        title = f"{f.number(self._total)} records"
        if self._words:
            more = "" if self._complete else "+"
            title = f"{f.number(len(self._records))}{more} of {title} with “{self._words}”"
        if self._is_full:
            title = f"newest {title}" if self._words else f"newest {f.number(self.most)} of {title}"
            title += "; older: tuipacs audit list --limit 0"
        self.query_one("#log", Panel).entitle(title, self._badge or "v verifies the chain")
        self._show_record()
        self.refresh_keys()

    @property
    def current(self) -> AuditRecord | None:
        """The record under the cursor."""
        index = self.rows.cursor
        return self._records[index] if index < len(self._records) else None

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """More pages near the end."""
        self._show_record()
        near_end = self.rows.cursor > len(self._records) - PAGE // 2
        if near_end and not self._complete and not self._is_full and not self._loading:
            self._loading = True
            self.load_more()

    def on_line_view_chosen(self) -> None:
        """A double click shows the record."""
        self.action_details()

    def _show_record(self) -> None:
        record = self.current
        self.query_one("#record Static", Static).update(
            describe(record) if record is not None else Content("")
        )

    def lacks(self, need: str) -> str:
        if need == "row" and (not self.is_mounted or self.current is None):
            return "there is no record"
        return ""

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.filter_line.is_open and self.filter_line.text:
            self.set_focus(self.rows)
        elif self.has_class("-details"):
            self.remove_class("-details")
        elif self.filter_line.display:
            self.filter_line.close()
            self.set_focus(self.rows)
            self._filter("")
        else:
            return False
        return True

    def on_prompt_line_typed(self, event: PromptLine.Typed) -> None:
        """Filter as one types."""
        if event.line.id == "filter":
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(FILTER_AFTER, lambda: self._filter(self.filter_line.text))

    def on_prompt_line_entered(self, event: PromptLine.Entered) -> None:
        if event.line.id == "filter":
            self._filter(event.text)
            self.set_focus(self.rows)

    def _filter(self, words: str) -> None:
        if words != self._words:
            self._words = words
            self.load()

    def action_filter(self) -> None:
        """Type words."""
        self.filter_line.open()

    def action_details(self) -> None:
        """Show or hide the whole record."""
        self.toggle_class("-details")

    def action_reload(self) -> None:
        """What came since."""
        self.rows.move_to(0)
        self.load()

    def action_verify(self) -> None:
        """Walk the chain."""
        self._badge = "verifying …"
        self._show()
        self.verify()

    @work(exclusive=True, group="verify", exit_on_error=True)
    async def verify(self) -> None:
        """Ask the archive to walk it."""
        answer = await self.ask(op.AUDIT_VERIFY, Empty())
        if answer is None:
            self._badge = "not verified"
        elif answer.ok:
            self._badge = f"✓ chain verified: {f.number(answer.checked)} records"
        else:
            self._badge = f"✗ the chain breaks at record {answer.first_bad}: {answer.message}"
            self.notify(self._badge, severity="error", timeout=30, markup=False)
        self._show()


def _row(record: AuditRecord) -> Row:
    return Row(record.seq, _cells(record))


def _cells(record: AuditRecord) -> tuple[Cell, ...]:
    about = record.patient_id or record.study_instance_uid or record.sop_instance_uid
    detail = " · ".join(part for part in (about, record.detail) if part)
    return (
        Cell(f.moment(record.at), "dim"),
        Cell(f.number(record.seq), "dim"),
        Cell(record.actor or record.actor_kind, "name"),
        Cell(record.role, "dim"),
        Cell(record.operation or record.event),
        Cell(record.outcome.value, _TONES[record.outcome]),
        Cell(detail, "dim"),
    )


def describe(record: AuditRecord) -> Content:
    """All that is known of one act."""
    lines = [
        ("At", f.moment(record.at)),
        ("Event", f"{record.event} ({record.event_code})"),
        ("Operation", record.operation),
        ("Outcome", record.outcome.value),
        ("Who", f"{record.actor} ({record.actor_kind})"),
        ("Role", record.role),
        ("Unix user", record.unix_user),
        ("Terminal", record.terminal),
        ("SSH client", record.ssh_client),
        ("Address", record.address),
        ("Patient ID", record.patient_id),
        ("Study", record.study_instance_uid),
        ("Object", record.sop_instance_uid),
        ("Detail", record.detail),
        ("Hash", record.hash),
    ]
    out = [Content.styled(f"Record {record.seq:,}", "bold $text-primary")]
    out += [
        Content.assemble((f"{name:<11}", "$text-muted"), value) for name, value in lines if value
    ]
    return Content("\n").join(out)
