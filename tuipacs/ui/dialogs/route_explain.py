"""Why a study was sent on, or why it was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget
from textual.widgets import Button, Static

from tuipacs.domain.permissions import Permission
from tuipacs.domain.route import RouteDecision, RouteOutcome
from tuipacs.domain.route_words import decision_words
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.route_messages import RouteExplanation, RouteStudyRequest
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.dialog import Dialog
from tuipacs.ui.widgets.line_view import Cell, Column
from tuipacs.ui.widgets.push_button import PushButton
from tuipacs.ui.widgets.row_list import Row, RowList

_REFRESH = 1.0  # seconds, while it is not judged


def columns(width: int) -> Sequence[Column]:
    """When, which rule, what became of it."""
    return (Column("When", 11), Column("Rule", 16, source=1), Column("What", 20, flex=1, source=2))


class ExplainDialog(Dialog[bool]):
    """Shows the decisions about one study; the button has it judged at once."""

    heading = "Why sent, or not"
    AUTO_FOCUS = "RowList"

    DEFAULT_CSS = """
    ExplainDialog > .dialog--card { width: 110; }
    ExplainDialog #study { height: auto; }
    ExplainDialog #state { height: auto; color: $text-accent; margin-bottom: 1; }
    ExplainDialog.-low #state { margin-bottom: 0; }
    ExplainDialog RowList { height: 12; }
    ExplainDialog.-high RowList { height: 16; }
    """

    def __init__(self, study_key: int) -> None:
        super().__init__()
        self._request = RouteStudyRequest(key=study_key)

    def compose_form(self) -> Iterable[Widget]:
        yield Static("", markup=False, id="study")
        yield Static("", markup=False, id="state")
        yield RowList(columns, empty="there is no rule")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Close", id="cancel")
        if self.tui.desk.may(Permission.SEND):
            yield PushButton("Judge now", id="ok")

    def on_mount(self) -> None:
        """Ask."""
        self.load()

    def chosen(self, button: str) -> None:
        self.ask(op.ROUTE_FORCE, self._request, lambda answer: self._show(answer.studies[0]))

    @work(exclusive=True, group="load", exit_on_error=True)
    async def load(self) -> None:
        """Fetch the explanation."""
        try:
            answer = await self.tui.desk.link.call(op.ROUTE_EXPLAIN, self._request)
        except TuipacsError as error:
            self.complain(self.refused(error))
            return
        self._show(answer.studies[0])

    def _show(self, found: RouteExplanation) -> None:
        study = found.study
        name = f.person_name(study.patient_name) or "(no name)"
        words = f"{name}  {study.patient_id or '(no ID)'}  {f.date(study.study_date)}"
        modalities = f.modalities(study.modalities_in_study)
        self.query_one("#study", Static).update(f"{words}  {modalities}  {study.study_description}")
        self.query_one("#state", Static).update(found.state)
        rows = [_row(("decided", n), each) for n, each in enumerate(found.decisions)]
        if found.waits or not found.decisions:
            rows += [_row(("now", n), each, is_now=True) for n, each in enumerate(found.now)]
        self.query_one(RowList).set_rows(rows)
        if found.waits and self.is_mounted:
            self.set_timer(_REFRESH, self.load)


def _row(key: object, decision: RouteDecision, *, is_now: bool = False) -> Row:
    when = Cell("now" if is_now else f.moment(decision.at)[5:16], "dim")
    if decision.outcome is RouteOutcome.SENT:
        tone = "accent" if is_now else "good"
    elif decision.outcome in (RouteOutcome.NODE_REMOVED, RouteOutcome.NODE_NOT_CALLED):
        tone = "bad"
    else:
        tone = "warn"
    words = f"{decision_words(decision)}: {decision.reason}"
    asked = "  (asked for)" if decision.forced else ""
    cells = (when, Cell(f.cut(decision.rule, 16), "name"), Cell(words + asked, tone))
    return Row((key, decision.rule), cells, spans=True)
