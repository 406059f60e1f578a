"""Durable jobs in the index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.job import JobKind, JobPriority, JobRecord, JobState, Refusal
from tuipacs.domain.node import NodeRecord
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.tables import Job, JobRefusal

_COLUMN = {
    IngestResult.STORED: "stored",
    IngestResult.CONFLICT: "stored",
    IngestResult.DUPLICATE: "duplicate",
}


_ESTIMATES_AFTER = 1.0  # seconds of running: before that a rate says nothing
_NO_NODE = -(2**62)  # below the keys of removed ones


def add(
    tx: Transaction,
    kind: JobKind,
    title: str,
    payload: str,
    submitted_by: str,
    at: float,
    *,
    node: NodeRecord | None = None,
    priority: int = JobPriority.NORMAL,
) -> int:
    """Queue a job and return its key. ``node``: whom it calls, and so its lane."""
    query = Job.insert(
        kind=kind.value,
        state=JobState.QUEUED.value,
        title=title,
        payload=payload,
        submitted_by=submitted_by,
        created_at=at,
        node=node.key if node else 0,
        node_title=node.ae_title if node else "",
        priority=int(priority),
    )
    return int(query.execute(tx.database))


def get(reader: Reader, key: int, now: float) -> JobRecord | None:
    """One job."""
    found = Job.select().where(Job.id == key).execute(reader.database)
    return next((_record(job, now) for job in found), None)


def written(tx: Transaction, key: int, now: float) -> JobRecord:
    """A job that this transaction has added or changed."""
    record = get(tx, key, now)
    if record is None:
        raise AssertionError("the job just written is gone")
    return record


def newest(
    reader: Reader,
    now: float,
    *,
    limit: int = 500,
    open_only: bool = False,
    node: int | None = None,
) -> tuple[JobRecord, ...]:
    """Jobs, newest first; of one lane, and those that have not ended, if so wanted."""
    query = Job.select().order_by(Job.id.desc()).limit(limit)
    if open_only:
        query = query.where(Job.state.not_in([state.value for state in JobState if state.ended]))
    if node is not None:
        query = query.where(Job.node == node)
    return tuple(_record(job, now) for job in query.execute(reader.database))


def payload(reader: Reader, key: int) -> str:
    """What the job is to do, as its kind wrote it."""
    return str(reader.scalar("SELECT payload FROM job WHERE id = ?", (key,)))


def checkpoint(reader: Reader, key: int) -> bytes:
    """What its kind noted with the last object; empty at the start."""
    return bytes(reader.scalar("SELECT checkpoint FROM job WHERE id = ?", (key,)))


def start_over(tx: Transaction, key: int) -> None:
    """Forget all counts and refusals: everything is looked at again."""
    JobRefusal.delete().where(JobRefusal.job == key).execute(tx.database)
    update(tx, key, done=0, done_before=0, stored=0, duplicate=0, refused=0, bytes_done=0,
           checkpoint=b"")  # fmt: skip


def update(tx: Transaction, key: int, **fields: object) -> None:
    """Set columns of one job."""
    Job.update(**fields).where(Job.id == key).execute(tx.database)


_ONE_MORE = "UPDATE job SET done = done + 1, total = max(total, done + 1), checkpoint = ?"


def count_result(
    tx: Transaction, key: int, result: IngestResult, size: int, checkpoint: bytes
) -> None:
    """One more object is done."""
    column = _COLUMN[result]
    tx.execute(
        f"{_ONE_MORE}, {column} = {column} + 1, bytes_done = bytes_done + ? WHERE id = ?",
        (checkpoint, size, key),
    )


def count_refusal(tx: Transaction, key: int, refusal: Refusal, checkpoint: bytes) -> None:
    """One more object was refused."""
    tx.execute(f"{_ONE_MORE}, refused = refused + 1 WHERE id = ?", (checkpoint, key))
    JobRefusal.insert(job=key, path=refusal.path, reason=refusal.reason).execute(tx.database)


def refusals(reader: Reader, key: int) -> tuple[Refusal, ...]:
    """What a job refused, in order."""
    found: Sequence[JobRefusal] = (
        JobRefusal.select()
        .where(JobRefusal.job == key)
        .order_by(JobRefusal.id)
        .execute(reader.database)
    )
    return tuple(Refusal(path=str(row.path), reason=str(row.reason)) for row in found)


class Asked(NamedTuple):
    """What people want of a job that runs."""

    cancel: bool
    pause: bool


def asked(reader: Reader, key: int) -> Asked:
    """What is asked of a job; nothing of one that is gone."""
    row = reader.one("SELECT cancel_requested, pause_requested FROM job WHERE id = ?", (key,))
    return Asked(False, False) if row is None else Asked(bool(row[0]), bool(row[1]))


def take(tx: Transaction, key: int, now: float) -> bool:
    """Let a job begin; False if it does not wait for its turn any more."""
    sql = (
        "UPDATE job SET state = 'running', started_at = ?, begun_at = coalesce(begun_at, ?),"
        " done_before = done, message = '', retry_at = NULL WHERE id = ? AND state = 'queued'"
    )
    return tx.change(sql, (now, now, key)) == 1


def running(reader: Reader) -> list[int]:
    """The jobs that count as running: at start they are those that a crash interrupted."""
    return [row[0] for row in reader.execute("SELECT id FROM job WHERE state = 'running'")]


def due_keys(reader: Reader, now: float) -> list[int]:
    """The waiting jobs whose time has come, or whose node has gone."""
    sql = (
        "SELECT id FROM job WHERE state = 'waiting' AND retry_at <= ?"
        " UNION SELECT id FROM job WHERE state = 'waiting' AND node < 0"
    )
    return [row[0] for row in reader.execute(sql, (now,))]


def waiting_among(reader: Reader, keys: Iterable[int]) -> list[int]:
    """Those of the jobs that wait for a time or an event."""
    sql = "SELECT 1 FROM job WHERE id = ? AND state = 'waiting'"
    return [key for key in keys if reader.one(sql, (key,)) is not None]


def release(tx: Transaction, keys: Iterable[int]) -> None:
    """Let jobs wait for their turn again."""
    for key in keys:
        tx.execute(
            "UPDATE job SET state = 'queued', retry_at = NULL WHERE id = ?"
            " AND state IN ('waiting', 'running')",
            (key,),
        )


def next_due(reader: Reader) -> float | None:
    """When the next waiting job is to be tried again."""
    at = reader.scalar("SELECT min(retry_at) FROM job WHERE state = 'waiting'")
    return None if at is None else float(at)


def due(tx: Transaction, key: int, at: float) -> None:
    """What a waiting job waits for has happened; tell the runner after the commit."""
    tx.execute("UPDATE job SET retry_at = ? WHERE id = ? AND state = 'waiting'", (at, key))


def lanes_queued(reader: Reader) -> list[int]:
    """The nodes that jobs are queued for; one step for each, however many jobs there are."""
    found: list[int] = []
    sql = "SELECT min(node) FROM job WHERE state = 'queued' AND node > ?"
    while (node := reader.scalar(sql, (found[-1] if found else _NO_NODE,))) is not None:
        found.append(node)
    return found


def queued(reader: Reader, node: int, limit: int) -> list[int]:
    """The first jobs of a lane: by priority, then the oldest."""
    rows = reader.execute(
        "SELECT id FROM job WHERE state = 'queued' AND node = ? ORDER BY priority DESC, id LIMIT ?",
        (node, limit),
    )
    return [row[0] for row in rows]


def open_count(reader: Reader) -> int:
    """How many jobs have not ended."""
    return sum(count for *_, count in lane_counts(reader))


def lane_counts(reader: Reader) -> list[tuple[int, str, str, int]]:
    """(node, its title, state, jobs) of the jobs that have not ended."""
    return [
        (node, title, state, count)
        for node, title, state, count in reader.execute(
            "SELECT node, max(node_title), state, count(*) FROM job"
            " WHERE state NOT IN ('done', 'failed', 'cancelled', 'dead') GROUP BY node, state"
        )
    ]


def has_ended(reader: Reader, before: float) -> bool:
    """Whether any job ended before that time."""
    return reader.one("SELECT 1 FROM job WHERE finished_at < ?", (before,)) is not None


def forget_ended(tx: Transaction, before: float, limit: int) -> int:
    """Delete jobs that ended before that time, with all that is known of them; how many."""
    return tx.change(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished_at < ? AND state IN"
        " ('done', 'failed', 'cancelled', 'dead') ORDER BY finished_at LIMIT ?)",
        (before, limit),
    )


def _record(job: Job, now: float) -> JobRecord:
    state = JobState(job.state)
    rate = eta = None
    just_done = job.done - job.done_before
    seconds = (job.finished_at or now) - job.started_at if job.started_at is not None else 0.0
    if just_done and (seconds >= _ESTIMATES_AFTER or (job.finished_at and seconds > 0)):
        rate = just_done / seconds
        if state is JobState.RUNNING and job.total:
            eta = max(job.total - job.done, 0) / rate
    return JobRecord(
        key=job.id,
        kind=JobKind(job.kind),
        state=state,
        title=job.title,
        submitted_by=job.submitted_by,
        created_at=job.created_at,
        begun_at=job.begun_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        total=job.total,
        done=job.done,
        stored=job.stored,
        duplicate=job.duplicate,
        refused=job.refused,
        bytes_done=job.bytes_done,
        message=job.message,
        rate=rate,
        eta=eta,
        node=job.node,
        node_title=job.node_title,
        priority=JobPriority(job.priority),
        attempts=job.attempts,
        retry_at=job.retry_at,
        warned=job.warned,
        failed=job.failed,
        is_stopping=state is JobState.RUNNING and bool(job.cancel_requested or job.pause_requested),
    )
