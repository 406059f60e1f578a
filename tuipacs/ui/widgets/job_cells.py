"""Jobs, lanes and instances of jobs as columns and cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from tuipacs.domain.job import (
    ItemState,
    JobItem,
    JobKind,
    JobPriority,
    JobRecord,
    JobState,
    LaneRecord,
)
from tuipacs.ui import format as f
from tuipacs.ui.widgets.line_view import Cell, Column, Part

_TONES = {
    JobState.QUEUED: "dim",
    JobState.RUNNING: "accent",
    JobState.WAITING: "warn",
    JobState.PAUSED: "dim",
    JobState.DONE: "good",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "warn",
    JobState.DEAD: "bad",
}
_ITEM_TONES = {
    ItemState.WAITING: "dim",
    ItemState.DONE: "good",
    ItemState.WARNING: "warn",
    ItemState.FAILED: "bad",
}
_MARKS = {JobPriority.HIGH: "▲ ", JobPriority.NORMAL: "", JobPriority.LOW: "▼ "}
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


def job_columns(width: int) -> Sequence[Column]:
    """Which, what, how far; whom with, and counts where there is room."""
    out = [
        Column("Key", 5, align="right", source=11),
        Column("Job", 14, flex=1, source=0),
        Column("Node", 16 if width >= 100 else 10, source=1),
        Column("State", 9, source=2),
        Column("Progress", (_BAR if width >= 100 else 8) + 5, source=3 if width >= 100 else 4),
    ]
    if width >= 100:
        out += [
            Column("Done", 15, align="right", source=5),
            Column("Rate", 8, align="right", source=6),
            Column("Left", 9, align="right", source=7),
        ]
    out.append(Column("Failed", 6, align="right", source=8))
    if width >= 170:
        out += [Column("By", 12, source=9), Column("Age", 9, align="right", source=10)]
    return out


def job_cells(job: JobRecord, now: dt.datetime) -> tuple[Part, ...]:
    """One job."""
    tone, live = _TONES[job.state], not job.state.ended
    is_import = job.kind is JobKind.IMPORT
    title, place = short_title(job.title) if is_import else (job.title, "")
    said = [f"  {part}" for part in (job.message, place) if part]
    done = f.number(job.done) + (f"/{f.number(job.total)}" if job.total else "")
    failed = job.refused if is_import else job.failed
    return (
        (
            Cell(_MARKS[job.priority], "accent"),
            Cell(title, "name"),
            Cell("".join(said), "dim"),
        ),
        Cell(job.node_title, "dim" if job.node < 0 else ""),
        Cell(state_word(job), tone),
        _progress(job, tone, _BAR),
        _progress(job, tone, 8),
        Cell(done),
        Cell(f"{job.rate:.1f}/s" if job.state is JobState.RUNNING and job.rate else "", "accent"),
        Cell(f.duration(job.eta) if live and job.eta is not None else "", "accent"),
        Cell(f.number(failed), "warn" if failed else "dim"),
        Cell(job.submitted_by, "dim"),
        Cell(f.duration(max(0.0, now.timestamp() - job.created_at)), "dim"),
        Cell(str(job.key), "dim"),
    )


def state_word(job: JobRecord) -> str:
    """The state; "stopping" between the asking and the end of the present object."""
    return "stopping" if job.is_stopping and not job.state.ended else job.state.value


def _progress(job: JobRecord, tone: str, width: int) -> Part:
    filled, rest = progress_bar(job.done, job.total, width)
    if job.state is JobState.DONE:
        filled, rest = "━" * width, ""
    live = not job.state.ended
    share = f.percent(job.done, job.total) if job.total else "…" if live else ""
    return (Cell(filled, tone), Cell(rest, "guide"), Cell(f" {share:>4}"))


def lane_columns(width: int) -> Sequence[Column]:
    """Whom with, and how many jobs."""
    return (
        Column("Lane", 16, source=0),
        Column("Running", 7, align="right", source=1),
        Column("Queued", 6, align="right", source=2),
        Column("Waiting", 7, align="right", source=3),
        Column("", 10, flex=1, source=4),
    )


def lane_cells(lane: LaneRecord) -> tuple[Part, ...]:
    """One lane."""
    said, tone = "", "dim"
    if lane.paused:
        said, tone = "paused", "warn"
    elif lane.opens_at is not None:
        opens = dt.datetime.fromtimestamp(lane.opens_at, dt.UTC).astimezone()
        said, tone = f"closed until {opens:%H:%M} ({lane.window})", "warn"
    elif lane.window:
        said = f"open {lane.window}"
    return (
        Cell(lane.node_title or "imports", "name"),
        Cell(f.number(lane.running), "accent" if lane.running else "dim"),
        Cell(f.number(lane.queued), "" if lane.queued else "dim"),
        Cell(f.number(lane.waiting + lane.held), "warn" if lane.waiting + lane.held else "dim"),
        Cell(said, tone),
    )


def item_columns(width: int) -> Sequence[Column]:
    """Which instance, what became of it, and what was said."""
    out = [Column("#", 7, align="right", source=0), Column("State", 8, source=1)]
    if width >= 100:
        out.append(Column("SOP instance", 40, flex=1, source=2))
    out.append(Column("What the node said", 20, flex=2, source=3))
    return out


def item_cells(item: JobItem) -> tuple[Part, ...]:
    """One instance of a job."""
    return (
        Cell(f.number(item.position), "dim"),
        Cell(item.state.value, _ITEM_TONES[item.state]),
        Cell(item.sop_instance_uid),
        Cell(item.words, "" if item.state is ItemState.DONE else _ITEM_TONES[item.state]),
    )
