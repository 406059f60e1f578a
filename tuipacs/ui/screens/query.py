"""Query/Retrieve: many archives asked at once, their answers in one table, and what is here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from textual import work
from textual.css.query import NoMatches
from textual.widget import Widget

from tuipacs.domain.level import Level
from tuipacs.domain.remote import HERE, NodeAnswer, RemoteQuery, SeriesComparison
from tuipacs.domain.remote_merge import MergedRow, Merger
from tuipacs.errors import SessionLockedError, TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty
from tuipacs.schema.remote_messages import (
    CompareStart,
    HoldingsRequest,
    RemoteAnswers,
    RemoteNode,
    RemotePoll,
    RemoteStart,
    RemoteTask,
    RetrieveRequest,
    RetrieveTarget,
)
from tuipacs.ui import actions, retrieving
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.dialogs.query import QueryDialog
from tuipacs.ui.dialogs.retrieve import RetrieveDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.query_cells import (
    BADGES,
    node_cells,
    node_columns,
    patient_words,
    series_cells,
    series_columns,
    study_cells,
    study_columns,
)
from tuipacs.ui.widgets.row_list import Row, RowList

_POLL_EVERY = 0.2  # seconds
_LOOK_AGAIN = 0.5  # seconds after the archive has changed, however often it does
_ASKED_AT_ONCE = 1000  # UIDs of one request
_NAMED = 4  # studies in a dialog
_LEGEND = "  ".join(f"{badge} {presence.value}" for presence, badge in BADGES.items())


class QueryScreen(WorkScreen):
    """Nodes above, studies below them, and one study's series compared with what is here."""

    SCOPE = "query"
    PLACE = "Query/Retrieve"
    BINDINGS = actions.bindings("query")

    DEFAULT_CSS = """
    QueryScreen {
        & #nodes { height: auto; max-height: 8; }
        & #nodes RowList { height: auto; max-height: 6; }
        & #studies { height: 3fr; }
        & #series { height: 2fr; display: none; }
        &.-detail #series { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, RemoteNode] = {}
        self._query = RemoteQuery()
        self._ticked: frozenset[int] | None = None  # None: all
        self._asked: RemoteStart | None = None
        self._searching: RemoteTask | None = None
        self._answers: tuple[NodeAnswer, ...] = ()
        self._merger = Merger()
        self._rows: dict[str, MergedRow] = {}
        self._marks: set[str] = set()
        self._compared: tuple[MergedRow, int] | None = None  # which study, at which node
        self._comparing: RemoteTask | None = None
        self._series: list[SeriesComparison] = []
        self._was_locked = False

    def compose_body(self) -> Iterable[Widget]:
        with Panel("nobody was asked yet: / fills in the form", id="nodes"):
            yield RowList(node_columns, has_header=False, id="asked")
        with Panel("studies", id="studies"):
            yield RowList(study_columns, empty="nothing was asked yet", id="list")
        with Panel("series", id="series"):
            yield RowList(series_columns, empty="asking for each series …", id="compared")

    @property
    def rows(self) -> RowList:
        """The studies."""
        return self.query_one("#list", RowList)

    @property
    def series_rows(self) -> RowList:
        """The series of one study."""
        return self.query_one("#compared", RowList)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.open_form()

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    @property
    def is_asking(self) -> bool:
        """Whether a query or a comparison runs."""
        return self._searching is not None or self._comparing is not None

    @property
    def current(self) -> MergedRow | None:
        """The study under the cursor."""
        key = self.rows.current_key
        return self._rows.get(key) if isinstance(key, str) else None

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

    # --- the form

    @work(exclusive=True, group="form", exit_on_error=True)
    async def open_form(self) -> None:
        """Ask which nodes there are, then whom to ask for what."""
        known = await self.ask(op.REMOTE_NODES, Empty())
        if known is None:
            return
        self._known = {node.key: node for node in known.nodes}
        today = self.desk.now().date()
        dialog = QueryDialog(known.nodes, self._query, self._ticked, today)
        if self.is_current:
            self.app.push_screen(dialog, self._filled_in)

    def _filled_in(self, asked: RemoteStart | None) -> None:
        if asked is not None:
            self._query, self._ticked = asked.query, frozenset(asked.nodes)
            self._asked = asked
            self.search(asked)

    def action_form(self) -> None:
        """Fill in the form."""
        self.open_form()

    def action_again(self) -> None:
        """The same question again."""
        if self._asked is not None:
            self.search(self._asked)

    # --- asking

    @work(exclusive=True, group="search", exit_on_error=True)
    async def search(self, asked: RemoteStart) -> None:
        """Ask, and show what comes while it comes."""
        await self._stop_asking()
        self._close_detail()
        self._merger, self._rows, self._answers = Merger(), {}, ()
        self._marks.clear()
        self.rows.say_when_empty("asking …")
        self._show()
        task = await self.ask(op.REMOTE_START, asked)
        if task is None:
            self.rows.say_when_empty("nothing was asked")
            return
        self._searching = task
        await self._follow_search(task)

    async def _follow_search(self, task: RemoteTask, after: int = 0) -> None:
        while self._searching is task:
            answer = await self._poll(task, after)
            if answer is None or self._searching is not task:
                return
            after = answer.next
            self._answers = answer.nodes
            self._merger.add(answer.rows)
            if answer.finished:
                self._searching = None
                partial = any(node.state.is_partial for node in answer.nodes)
                empty = "nothing was found where an answer came" if partial else "nothing matches"
                self.rows.say_when_empty(empty)
            if answer.rows or answer.finished:
                self._rows = {row.uid: row for row in self._merger.rows()}
            self._show()
            if not answer.rows:
                await asyncio.sleep(_POLL_EVERY)

    async def _poll(self, task: RemoteTask, after: int) -> RemoteAnswers | None:
        try:
            return await self.desk.link.call(
                op.REMOTE_POLL, RemotePoll(token=task.token, after=after)
            )
        except SessionLockedError:
            self._was_locked = True
        except TuipacsError as error:
            self.tui.report(error)
        self._searching = self._comparing = None
        self._show()
        return None

    def unwiped(self) -> None:
        """A query that the lock interrupted is asked again."""
        if self._was_locked and self._asked is not None:
            self._was_locked = False
            self.search(self._asked)

    async def _stop_asking(self) -> None:
        for task in (self._searching, self._comparing):
            if task is not None:
                await self.ask(op.REMOTE_CANCEL, task)
        self._searching = self._comparing = None

    @work(group="cancel", exit_on_error=True)
    async def cancel(self) -> None:
        """Ask the nodes to stop; what has come stays, and the last words are still shown."""
        for task in (self._searching, self._comparing):
            if task is not None:
                await self.ask(op.REMOTE_CANCEL, task)

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.is_asking:
            self.cancel()
            return True
        if self.has_class("-detail"):
            self._close_detail()
            return True
        if self._marks:
            self.action_unmark()
            return True
        return False

    # --- showing

    def _show(self) -> None:
        try:
            studies, nodes = self.query_one("#studies", Panel), self.query_one("#nodes", Panel)
        except NoMatches:
            return  # the application is leaving
        titles = {answer.node: answer.ae_title for answer in self._answers}
        self.rows.set_rows(
            [
                Row(uid, study_cells(row, titles, marked=uid in self._marks))
                for uid, row in self._rows.items()
            ]
        )
        answers = [Row(answer.node, node_cells(answer)) for answer in self._answers]
        self.query_one("#asked", RowList).set_rows(answers)
        marked = f", {len(self._marks):,} marked" if self._marks else ""
        partial = any(answer.state.is_partial for answer in self._answers)
        found = f.plural(len(self._rows), "study", "studies")
        asking = "asking …  " if self._searching is not None else ""
        not_all = "  not all answered to the end" if partial else ""
        studies.entitle(f"{asking}{found}{marked}{not_all}", _LEGEND)
        nodes.entitle(_words(self._query))
        self.refresh_keys()

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "archive" and self._rows:
            self.look_what_is_here()

    def catch_up(self) -> None:
        if self._rows:
            self.look_what_is_here()

    @work(exclusive=True, group="here", exit_on_error=True)
    async def look_what_is_here(self) -> None:
        """Objects have come: perhaps some that were missing."""
        await asyncio.sleep(_LOOK_AGAIN)
        uids = list(self._rows)
        for start in range(0, len(uids), _ASKED_AT_ONCE):
            some = tuple(uids[start : start + _ASKED_AT_ONCE])
            found = await self.ask(op.REMOTE_HERE, HoldingsRequest(level=Level.STUDY, uids=some))
            if found is None:
                return
            self._merger.now_here(dict(zip(some, found.counts, strict=True)))
        self._show()

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
                await asyncio.sleep(_POLL_EVERY)

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
        who = f.person_name(row.first.patient_name)
        self.query_one("#series", Panel).entitle(f"{who}  {words}", row.differing and "⚑ patients")
        self.refresh_keys()

    def _close_detail(self) -> None:
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


def _words(query: RemoteQuery) -> str:
    """What was asked, for the border."""
    named = (
        ("name", query.patient_name),
        ("id", query.patient_id),
        ("date", query.study_date),
        ("acc", query.accession_number),
        ("mod", query.modality),
        ("born", query.patient_birth_date),
        ("desc", query.study_description),
        ("uid", " ".join(query.study_instance_uids)),
    )
    return "  ".join(f"{key}:{f.cut(text, 24)}" for key, text in named if text)
