"""Jobs: lanes, progress, rate, time left, and what became of each instance."""

from __future__ import annotations

from collections.abc import Iterable

from textual import work
from textual.widget import Widget

from tuipacs.domain.job import ItemState, JobKind, JobPriority, JobRecord, JobState, LaneRecord
from tuipacs.domain.job_words import state_sentence
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import JobItemsRequest, JobPriorityRequest, LaneRequest
from tuipacs.schema.messages import Changes, JobRequest
from tuipacs.schema.operations import Operation
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.job_cells import job_cells, job_columns, lane_cells, lane_columns
from tuipacs.ui.widgets.job_log import PAGE, JobLog
from tuipacs.ui.widgets.line_view import Cell, Column, LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList


class JobsScreen(WorkScreen):
    """Newest first; lanes above where there are any, what became of a job's objects below."""

    SCOPE = "jobs"
    PLACE = "Jobs"
    BINDINGS = actions.bindings("jobs")

    DEFAULT_CSS = """
    JobsScreen {
        & #lanes { height: auto; max-height: 8; display: none; }
        & #lanes RowList { height: auto; max-height: 6; }
        &.-lanes #lanes { display: block; }
        & #jobs { height: 3fr; }
        & #refusals, & #log { height: 2fr; display: none; }
        &.-refusals #refusals { display: block; }
        &.-log #log { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged: JobRecord | None = None  # whose instances are shown
        self._only_failed = False

    def compose_body(self) -> Iterable[Widget]:
        with Panel("lanes", id="lanes"):
            yield RowList(lane_columns, id="lane-list")
        with Panel("jobs", id="jobs"):
            yield RowList(job_columns, empty="no jobs yet: s sends, I imports files", id="list")
        with Panel("refused", id="refusals"):
            yield RowList(
                lambda _: (Column("Path", 20, flex=1), Column("Reason", 20, flex=1, source=1)),
                empty="nothing was refused",
                id="paths",
            )
        with Panel("objects", id="log"):
            yield JobLog(id="items")

    @property
    def rows(self) -> RowList:
        """The list of jobs."""
        return self.query_one("#list", RowList)

    @property
    def lanes(self) -> RowList:
        """The list of lanes."""
        return self.query_one("#lane-list", RowList)

    @property
    def log_view(self) -> JobLog:
        """The instances of one job."""
        return self.query_one("#items", JobLog)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.tui.refresh_jobs()
        self._show()

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "jobs":
            self._show()
            if self._logged is not None:
                self.log_view.stale()
                self.load_items(self.log_view.visible_offset)

    def catch_up(self) -> None:
        self.tui.refresh_jobs()

    def _show(self) -> None:
        now = self.desk.now()
        self.rows.set_rows([Row(job.key, job_cells(job, now)) for job in self.desk.jobs])
        lanes = [lane for lane in self.desk.lanes if lane.node]
        self.lanes.set_rows([Row(lane.node, lane_cells(lane)) for lane in lanes])
        self.set_class(bool(lanes), "-lanes")
        if not lanes and self.focused is self.lanes:
            self.set_focus(self.rows)
        self._tell()
        self.refresh_keys()

    def _tell(self) -> None:
        """Counts above the list; below it what the job under the cursor has to say."""
        running = sum(job.state is JobState.RUNNING for job in self.desk.jobs)
        dead = sum(job.state is JobState.DEAD for job in self.desk.jobs)
        parts = [
            f.plural(len(self.desk.jobs), "job"),
            f"{running} running" * bool(running),
            f.plural(dead, "dead letter") * bool(dead),
        ]
        job = self.current
        words = [job.message if job else "", f.retry_words(job.retry_at) if job else ""]
        self.query_one("#jobs", Panel).entitle(
            " ─ ".join(part for part in parts if part), ", ".join(word for word in words if word)
        )

    @property
    def current(self) -> JobRecord | None:
        """The job under the cursor."""
        return next((job for job in self.desk.jobs if job.key == self.rows.current_key), None)

    @property
    def lane(self) -> LaneRecord | None:
        """The lane under the cursor, if the lanes have the focus."""
        if self.focused is not self.lanes:
            return None
        key = self.lanes.current_key
        return next((lane for lane in self.desk.lanes if lane.node == key), None)

    def lacks(self, need: str) -> str:
        if not self.is_mounted:
            return "there is no job"
        if need == "lane-or-open" and self.lane is not None:
            return ""
        if need == "log":
            return "" if self._logged is not None else "no job's objects are shown"
        if need == "panes":
            return "" if self.has_class("-lanes") or self._logged else "there is one list"
        job = self.current
        if job is None:
            return "there is no job"
        ended = state_sentence(job.state)
        if need in ("open", "lane-or-open") and job.state.ended:
            return ended
        if need == "retry" and not (job.state.can_be_retried or job.state is JobState.WAITING):
            return ended
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row, and other words."""
        self._tell()
        self.refresh_keys()

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        """A double click shows what became of the job's objects."""
        if event.view is self.rows:
            self.action_log()

    def on_descendant_focus(self) -> None:
        """Lanes can do other things than jobs."""
        self.refresh_keys()

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.has_class("-refusals") or self.has_class("-log"):
            self.remove_class("-refusals", "-log")
            self._logged = None
            self.set_focus(self.rows)
            self.refresh_keys()
            return True
        return False

    # --- what became of the objects

    def action_log(self) -> None:
        """The job's instances one by one, or what an import did not take."""
        job = self.current
        if job is None:
            return
        if job.kind is JobKind.IMPORT:
            self.load_refusals(job)
        else:
            self._only_failed = False
            self._show_log(job)

    def action_failed(self) -> None:
        """Only the instances that failed, or all again."""
        if self._logged is not None:
            self._only_failed = not self._only_failed
            self._show_log(self._logged)

    def _show_log(self, job: JobRecord) -> None:
        self._logged = job
        self.remove_class("-refusals")
        self.add_class("-log")
        self.log_view.start("none failed" if self._only_failed else "no objects yet")
        self.load_items(0)
        self.refresh_keys()

    def on_job_log_wanted(self, event: JobLog.Wanted) -> None:
        """A page is looked at that is not there."""
        self.load_items(event.offset)

    @work(exclusive=True, group="items", exit_on_error=True)
    async def load_items(self, offset: int) -> None:
        """Fetch a page of instances."""
        job, only_failed = self._logged, self._only_failed
        if job is None:
            return
        states = (ItemState.FAILED,) if only_failed else ()
        request = JobItemsRequest(key=job.key, states=states, offset=offset, limit=PAGE)
        answer = await self.ask(op.JOB_ITEMS, request)
        if answer is None or self._logged is not job or only_failed is not self._only_failed:
            return
        self.log_view.take(offset, answer)
        what = f"{f.number(answer.matched)} failed of" if only_failed else ""
        title = f"{what} {f.plural(answer.total, 'object')} of job {job.key}".strip()
        self.query_one("#log", Panel).entitle(title, job.node_title)

    @work(exclusive=True, group="refusals", exit_on_error=True)
    async def load_refusals(self, job: JobRecord) -> None:
        """Fetch what an import did not take."""
        answer = await self.ask(op.JOB_REFUSALS, JobRequest(key=job.key))
        if answer is None:
            return
        self._logged = None
        self.remove_class("-log")
        self.add_class("-refusals")
        self.query_one("#paths", RowList).set_rows(
            [
                Row(index, (Cell(refusal.path), Cell(refusal.reason, "warn")))
                for index, refusal in enumerate(answer.refusals)
            ]
        )
        self.query_one("#refusals", Panel).entitle(
            f"{f.plural(len(answer.refusals), 'path')} refused by {job.title}", job.message
        )

    # --- what can be asked of a job

    def action_cancel(self) -> None:
        """End a job; what it has done stays."""
        job = self.current
        if job is None:
            return
        far = f"{f.number(job.done)} of {f.number(job.total)} done"
        text = f"{job.title}: {far}. What it has done stays."

        def answered(yes: bool | None) -> None:
            if yes:
                self.order(op.JOB_CANCEL, job)

        self.app.push_screen(Confirm("Cancel a job", text, "Cancel the job", danger=True), answered)

    def action_retry(self) -> None:
        """Queue it again: what was done is not done twice."""
        if self.current is not None:
            self.order(op.JOB_RETRY, self.current)

    def action_pause(self) -> None:
        """Pause or go on: the lane if the lanes have the focus, else the job."""
        lane, job = self.lane, self.current
        if lane is not None:
            self.hold(lane)
        elif job is not None:
            held = job.state is JobState.PAUSED
            self.order(op.JOB_RESUME if held else op.JOB_PAUSE, job)

    def action_sooner(self) -> None:
        """A higher priority."""
        self._prefer(1)

    def action_later(self) -> None:
        """A lower priority."""
        self._prefer(-1)

    def _prefer(self, step: int) -> None:
        job = self.current
        if job is not None and job.priority + step in tuple(JobPriority):
            self.prefer(job, JobPriority(job.priority + step))

    def action_other_pane(self) -> None:
        """The next of lanes, jobs and objects."""
        views: list[LineView] = [self.rows]
        if self.has_class("-lanes"):
            views.insert(0, self.lanes)
        if self._logged is not None:
            views.append(self.log_view)
        at = views.index(self.focused) if self.focused in views else 0
        self.set_focus(views[(at + 1) % len(views)])

    @work(group="order", exit_on_error=True)
    async def order(self, operation: Operation[JobRequest, JobRecord], job: JobRecord) -> None:
        """Tell the archive what to do with a job."""
        if await self.ask(operation, JobRequest(key=job.key)) is not None:
            self.tui.refresh_jobs()

    @work(group="order", exit_on_error=True)
    async def prefer(self, job: JobRecord, priority: JobPriority) -> None:
        """Give a job another priority."""
        request = JobPriorityRequest(key=job.key, priority=priority)
        if await self.ask(op.JOB_PRIORITY, request) is not None:
            self.tui.refresh_jobs()

    @work(group="order", exit_on_error=True)
    async def hold(self, lane: LaneRecord) -> None:
        """Pause a lane, or let it go on."""
        operation = op.LANE_RESUME if lane.paused else op.LANE_PAUSE
        if await self.ask(operation, LaneRequest(node=lane.node)) is not None:
            self.tui.refresh_jobs()

    def action_import(self) -> None:
        """Import files on the archive's machine."""
        self.tui.import_files()
