"""The part of Query/Retrieve that asks: the form, and the answers while they come."""

from __future__ import annotations

import asyncio

from textual import work
from textual.css.query import NoMatches

from tuipacs.domain.level import Level
from tuipacs.domain.remote import NodeAnswer, RemoteQuery
from tuipacs.domain.remote_merge import MergedRow, Merger
from tuipacs.errors import SessionLockedError, TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty
from tuipacs.schema.remote_messages import (
    HoldingsRequest,
    RemoteAnswers,
    RemoteNode,
    RemotePoll,
    RemoteStart,
    RemoteTask,
)
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.query import QueryDialog
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.query_cells import BADGES, node_cells, study_cells
from tuipacs.ui.widgets.row_list import Row, RowList

POLL_EVERY = 0.2  # seconds
_LOOK_AGAIN = 0.5  # seconds after the archive has changed, however often it does
_ASKED_AT_ONCE = 1000  # UIDs of one request
_LEGEND = "  ".join(f"{badge} {presence.value}" for presence, badge in BADGES.items())


class QuerySearch(WorkScreen):
    """Has lists of the nodes asked (``#asked``) and of the studies found (``#list``)."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, RemoteNode] = {}
        self._query = RemoteQuery()
        self._ticked: frozenset[int] | None = None  # None: all
        self._asked: RemoteStart | None = None
        self._searching: RemoteTask | None = None
        self._comparing: RemoteTask | None = None
        self._answers: tuple[NodeAnswer, ...] = ()
        self._merger = Merger()
        self._rows: dict[str, MergedRow] = {}
        self._marks: set[str] = set()
        self._was_locked = False

    @property
    def rows(self) -> RowList:
        """The studies."""
        return self.query_one("#list", RowList)

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

    def close_detail(self) -> None:
        """Another question is asked: what was looked at closely is of the one before."""

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
        self.close_detail()
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
                partial = any(node.is_partial for node in answer.nodes)
                empty = "nothing was found where an answer came" if partial else "nothing matches"
                self.rows.say_when_empty(empty)
            if answer.rows or answer.finished:
                self._rows = {row.uid: row for row in self._merger.rows()}
            self._show()
            if not answer.rows:
                await asyncio.sleep(POLL_EVERY)

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
        partial = any(answer.is_partial for answer in self._answers)
        found = f.plural(len(self._rows), "study", "studies")
        asking = "asking …  " if self._searching is not None else ""
        unended = any(answer.state.is_partial for answer in self._answers)
        why = "not all answered to the end" if unended else "not all answers could be read"
        not_all = f"  {why}" if partial else ""
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
