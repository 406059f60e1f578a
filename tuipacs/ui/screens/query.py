"""Query/Retrieve: many archives asked at once, their answers in one table, and what is here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget

from tuipacs.domain.remote import HERE, NodeAnswer, SeriesComparison
from tuipacs.domain.remote_merge import MergedRow
from tuipacs.schema import operations as op
from tuipacs.schema.remote_messages import (
    CompareStart,
    RetrieveRequest,
    RetrieveTarget,
)
from tuipacs.ui import actions, retrieving
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.retrieve import RetrieveDialog
from tuipacs.ui.screens.query_search import POLL_EVERY, QuerySearch
from tuipacs.ui.widgets.line_view import LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.query_cells import (
    node_columns,
    patient_words,
    series_cells,
    series_columns,
    study_columns,
)
from tuipacs.ui.widgets.row_list import Row, RowList

_NAMED = 4  # studies in a dialog


class QueryScreen(QuerySearch):
    """Nodes above, studies below them, and one study's series compared with what is here."""

    SCOPE = "query"
    PLACE = "Query/Retrieve"
    BINDINGS = actions.bindings("query")

    DEFAULT_CSS = """
    QueryScreen {
        & #nodes { height: auto; max-height: 6; }
        & #nodes RowList { height: auto; max-height: 4; }
        & #studies { height: 3fr; }
        & #series { height: 2fr; display: none; }
        &.-detail #series { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compared: tuple[MergedRow, int] | None = None  # which study, at which node
        self._series: list[SeriesComparison] = []

    def compose_body(self) -> Iterable[Widget]:
        with Panel("nobody was asked yet: / fills in the form", id="nodes"):
            yield RowList(node_columns, has_header=False, id="asked")
        with Panel("studies", id="studies"):
            yield RowList(study_columns, empty="nothing was asked yet", id="list")
        with Panel("series", id="series"):
            yield RowList(series_columns, empty="asking for each series …", id="compared")

    @property
    def series_rows(self) -> RowList:
        """The series of one study."""
        return self.query_one("#compared", RowList)

    @property
    def chosen(self) -> list[MergedRow]:
        """What is marked, or the row."""
        marked = [row for uid, row in self._rows.items() if uid in self._marks]
        return marked or ([self.current] if self.current is not None else [])

    def lacks(self, need: str) -> str:
        if not self.is_mounted:
            return "nothing was asked yet"
        if need == "asked":
            return "" if self._asked is not None else "nothing was asked yet"
        if need == "marks":
            return "" if self._marks else "nothing is marked"
        if need == "detail":
            return "" if self.has_class("-detail") else "there is one list"
        return "" if self.current is not None else "there is no study"

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.is_asking:
            self.cancel()
            return True
        if self.has_class("-detail"):
            self.close_detail()
            return True
        if self._marks:
            self.action_unmark()
            return True
        return False

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row."""
        self.refresh_keys()

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        """A double click compares."""
        if event.view is self.rows:
            self.action_compare()

    # --- marks

    def action_mark(self) -> None:
        """Mark the row, or take its mark away; then the next one."""
        row = self.current
        if row is not None:
            self._marks ^= {row.uid}
            self._show()
            self.rows.action_down()

    def action_unmark(self) -> None:
        """Clear the marks."""
        self._marks.clear()
        self._show()

    def action_yank(self) -> None:
        """Copy the Study Instance UID, or the series'."""
        row = self.current
        if row is None:
            return
        key = self.series_rows.current_key
        in_detail = self.focused is self.series_rows and isinstance(key, str)
        uid = key if in_detail and isinstance(key, str) else row.uid
        self.app.copy_to_clipboard(uid)
        self.notify(f"copied {uid}", markup=False)

    # --- one study, instance by instance

    def action_compare(self) -> None:
        """Hold a study against what is here, by its SOP Instance UIDs."""
        row = self.current
        if row is None:
            return
        node = retrieving.source_of(row, self._known) or next(
            (node for node in row.nodes if node != HERE), None
        )
        if node is None:
            self.notify("it is only here", markup=False)
            return
        self.compare(row, node)

    def action_other_pane(self) -> None:
        """Studies or series."""
        self.set_focus(self.series_rows if self.focused is self.rows else self.rows)

    @work(exclusive=True, group="compare", exit_on_error=True)
    async def compare(self, row: MergedRow, node: int) -> None:
        """Ask a node for every instance of a study."""
        if self._comparing is not None:
            await self.ask(op.REMOTE_CANCEL, self._comparing)
        self._compared, self._series = (row, node), []
        self.series_rows.say_when_empty("asking for each series …")
        self.add_class("-detail")
        self._show_series(None)
        task = await self.ask(
            op.REMOTE_COMPARE, CompareStart(node=node, study_instance_uid=row.uid)
        )
        self._comparing = task
        after = 0
        while task is not None and self._comparing is task:
            answer = await self._poll(task, after)
            if answer is None:
                return
            after = answer.next
            self._series += answer.series
            if answer.finished:
                self._comparing = None
            self._show_series(answer.nodes[0])
            if not answer.series and not answer.finished:
                await asyncio.sleep(POLL_EVERY)

    def _show_series(self, answer: NodeAnswer | None) -> None:
        if self._compared is None:
            return
        row, node = self._compared
        self.series_rows.set_rows(
            [Row(each.series_instance_uid, series_cells(each)) for each in self._series]
        )
        missing = sum(each.missing for each in self._series)
        title = self._known[node].ae_title if node in self._known else "the node"
        if answer is None or not answer.state.ended:
            words = f"compared with {title}, one by one …"
        elif answer.state.is_partial:
            words = f"not compared to the end with {title}: {answer.words}"
            self.series_rows.say_when_empty(answer.words)
        else:
            words = f"compared with {title}, one by one: {missing:,} missing here"
            words += f"; {answer.words}" if answer.words else ""
        who = f.person_name(row.first.patient_name)
        self.query_one("#series", Panel).entitle(f"{who}  {words}", row.differing and "⚑ patients")
        self.refresh_keys()

    def close_detail(self) -> None:
        """Only the studies are left."""
        self.remove_class("-detail")
        self._compared, self._series = None, []
        self.set_focus(self.rows)
        self.refresh_keys()

    # --- retrieving

    def action_retrieve(self) -> None:
        """Here, from whoever has most of each: what is marked, the row, or one series."""
        key = self.series_rows.current_key
        if self.focused is self.series_rows and self._compared and isinstance(key, str):
            row, node = self._compared
            target = RetrieveTarget(study_instance_uid=row.uid, series_instance_uid=key)
            self._confirmed([row], [RetrieveRequest(node=node, targets=(target,))])
            return
        rows = self.chosen
        self._plan(rows, HERE, None)

    def action_send(self) -> None:
        """To another node, or from a certain one."""
        rows = self.chosen
        sources = [
            node
            for key, node in self._known.items()
            if retrieving.may_give(node, -1) and any(row.of(key) is not None for row in rows)
        ]
        dialog = RetrieveDialog(_named(rows), sources, list(self._known.values()))

        def answered(answer: tuple[int, int | None] | None) -> None:
            if answer is not None:
                self._plan(rows, *answer)

        self.app.push_screen(dialog, answered)

    def _plan(self, rows: Sequence[MergedRow], destination: int, source: int | None) -> None:
        requests, nobody = retrieving.requests_for(
            rows, self._known, destination=destination, source=source
        )
        if nobody:
            words = f"{f.plural(len(nobody), 'study', 'studies')}: no node that can be asked has it"
            self.notify(f"{words}. g n, e says what a node may be asked for.", markup=False)
        if requests:
            self._confirmed(rows, requests)

    def _confirmed(self, rows: Sequence[MergedRow], requests: list[RetrieveRequest]) -> None:
        """Two patients under one UID: nobody but a person may say which one is meant."""
        doubtful = [row for row in rows if row.differing]
        if not doubtful:
            self.submit(requests)
            return
        titles = {answer.node: answer.ae_title for answer in self._answers}
        asked = ", ".join(titles.get(request.node, "?") for request in requests)
        lines = [f"One Study Instance UID, and {doubtful[0].differing} not the same everywhere:"]
        for row in doubtful[:_NAMED]:
            lines += [patient_words(said, titles.get(said.node, "?")) for said in row.answers]
        lines.append(f"It is retrieved from {asked}.")

        def answered(yes: bool | None) -> None:
            if yes:
                self.submit(requests)

        text = "\n".join(lines)
        self.app.push_screen(Confirm("Which patient?", text, "Retrieve", danger=True), answered)

    @work(group="submit", exit_on_error=True)
    async def submit(self, requests: list[RetrieveRequest]) -> None:
        """Queue a job for each source."""
        for request in requests:
            job = await self.ask(op.RETRIEVE, request)
            if job is not None:
                self.notify(f"{job.title}: queued, g j shows it", markup=False)
        self._marks.clear()
        self._show()
        self.tui.refresh_jobs()


def _named(rows: Sequence[MergedRow]) -> list[str]:
    lines = []
    for row in rows[:_NAMED]:
        first = row.first
        name = f.person_name(first.patient_name) or "(no name)"
        parts = (name, f.date(first.study_date), first.study_description)
        lines.append("  ".join(part for part in parts if part))
    if len(rows) > _NAMED:
        lines.append(f"and {len(rows) - _NAMED:,} more")
    return lines
