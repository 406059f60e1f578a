"""Jobs: progress, rate, time left, what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget

from tuipacs.domain.job import JobRecord, JobState
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, JobRequest
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.line_view import Cell, Column, LineView, Part
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.row_list import Row, RowList

_TONES = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "accent",
    JobState.DONE: "good",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "warn",
}
_BAR = 16  # cells


def progress_bar(done: int, total: int, width: int) -> tuple[str, str]:
    """The filled and the empty part of a bar, to half a cell."""
    halves = min(width * 2, done * width * 2 // total) if total > 0 else 0
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    return filled, "─" * (width - len(filled))


def short_title(title: str) -> tuple[str, str]:
    """``import /media/cd/IMAGES`` as ``import IMAGES`` and ``/media/cd``: ends tell jobs apart."""
    start, _, last = title.rstrip("/").replace("/ and ", " and ").rpartition("/")
    deed, _, place = start.partition(" ")
    return (f"{deed} {last}", place or "/") if start and last else (title, "")


def columns(width: int) -> Sequence[Column]:
    """What, how far; counts where there is room."""
    out = [
        Column("Job", 16, flex=1, source=0),
        Column("State", 9, source=1),
        Column("Progress", _BAR + 5, source=2),
    ]
    if width >= 100:
        out += [
            Column("Done", 15, align="right", source=3),
            Column("Rate", 8, align="right", source=4),
            Column("Left", 9, align="right", source=5),
            Column("Stored", 8, align="right", source=6),
            Column("Had", 7, align="right", source=7),
        ]
    out.append(Column("Refused", 7, align="right", source=8))
    if width >= 140:
        out.append(Column("By", 12, source=9))
    return out


class JobsScreen(WorkScreen):
    """Newest first."""

    SCOPE = "jobs"
    PLACE = "Jobs"
    BINDINGS = actions.bindings("jobs")

    DEFAULT_CSS = """
    JobsScreen #jobs { height: 3fr; }
    JobsScreen #refusals { height: 2fr; display: none; }
    JobsScreen.-refusals #refusals { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown_refusals: int | None = None

    def compose_body(self) -> Iterable[Widget]:
        with Panel("jobs", id="jobs"):
            yield RowList(columns, empty="no jobs yet: I imports files", id="list")
        with Panel("refused", id="refusals"):
            yield RowList(
                lambda _: (Column("Path", 20, flex=1), Column("Reason", 20, flex=1, source=1)),
                empty="nothing was refused",
                id="paths",
            )

    @property
    def rows(self) -> RowList:
        """The list of jobs."""
        return self.query_one("#list", RowList)

    def begin(self) -> None:
        self.set_focus(self.rows)
        self.tui.refresh_jobs()
        self._show()

    def focus_home(self) -> None:
        self.set_focus(self.rows)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "jobs":
            self._show()

    def catch_up(self) -> None:
        self.tui.refresh_jobs()

    def _show(self) -> None:
        self.rows.set_rows([Row(job.key, _cells(job)) for job in self.desk.jobs])
        running = len(self.desk.running_jobs)
        self.query_one("#jobs", Panel).entitle(
            f.plural(len(self.desk.jobs), "job"), f"{running} running" if running else ""
        )
        self.refresh_keys()

    @property
    def current(self) -> JobRecord | None:
        """The job under the cursor."""
        return next((job for job in self.desk.jobs if job.key == self.rows.current_key), None)

    def lacks(self, need: str) -> str:
        job = self.current if self.is_mounted else None
        if job is None:
            return "there is no job"
        if need == "running" and job.state.ended:
            return f"the job is {job.state.value}"
        return ""

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Other actions for another row."""
        self.refresh_keys()

    def on_line_view_chosen(self) -> None:
        """A double click shows what was refused."""
        self.action_refusals()

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.has_class("-refusals"):
            self.remove_class("-refusals")
            self.set_focus(self.rows)
            return True
        return False

    def action_refusals(self) -> None:
        """What the import did not take, and why."""
        if self.current is not None:
            self.load_refusals(self.current)

    @work(exclusive=True, group="refusals", exit_on_error=True)
    async def load_refusals(self, job: JobRecord) -> None:
        """Fetch the list."""
        answer = await self.ask(op.JOB_REFUSALS, JobRequest(key=job.key))
        if answer is None:
            return
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

    def action_cancel(self) -> None:
        """Stop a job; what it stored stays."""
        job = self.current
        if job is None:
            return
        far = f"{f.number(job.done)} of {f.number(job.total)} done"
        text = f"{job.title}: {far}. What it stored stays."

        def answered(yes: bool | None) -> None:
            if yes:
                self.cancel_job(job)

        self.app.push_screen(Confirm("Cancel a job", text, "Cancel the job", danger=True), answered)

    @work(group="cancel", exit_on_error=True)
    async def cancel_job(self, job: JobRecord) -> None:
        """Tell the archive."""
        if await self.ask(op.JOB_CANCEL, JobRequest(key=job.key)) is not None:
            self.tui.refresh_jobs()

    def action_import(self) -> None:
        """Import files on the archive's machine."""
        self.tui.import_files()


def _cells(job: JobRecord) -> tuple[Part, ...]:
    filled, rest = progress_bar(job.done, job.total, _BAR)
    if job.state is JobState.DONE:
        filled, rest = "━" * _BAR, ""
    tone, live = _TONES[job.state], not job.state.ended
    share = f.percent(job.done, job.total) if job.total else "…" if live else ""
    done = f.number(job.done) + (f"/{f.number(job.total)}" if job.total else "")
    title, place = short_title(job.title)
    said = [f"  {part}" for part in (job.message, place) if part]
    return (
        (Cell(title, "name"), Cell("".join(said), "dim")),
        Cell(job.state.value, tone),
        (Cell(filled, tone), Cell(rest, "guide"), Cell(f" {share:>4}")),
        Cell(done),
        Cell(f"{job.rate:.1f}/s" if live and job.rate is not None else "", "accent"),
        Cell(f.duration(job.eta) if live and job.eta is not None else "", "accent"),
        Cell(f.number(job.stored)),
        Cell(f.number(job.duplicate), "dim"),
        Cell(f.number(job.refused), "warn" if job.refused else "dim"),
        Cell(job.submitted_by, "dim"),
    )
