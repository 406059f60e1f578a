"""Durable jobs in the index."""

from __future__ import annotations

from collections.abc import Sequence

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


def unfinished(reader: Reader) -> list[int]:
    """Keys of the jobs that wait or were running, oldest first."""
    states = (JobState.QUEUED.value, JobState.RUNNING.value)
    query = Job.select(Job.id).where(Job.state.in_(states)).order_by(Job.id)
    return [job.id for job in query.execute(reader.database)]


def is_cancelled(reader: Reader, key: int) -> bool:
    """Whether somebody has asked for its end."""
    return bool(reader.scalar("SELECT cancel_requested FROM job WHERE id = ?", (key,)))


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


def release_interrupted(tx: Transaction) -> None:
    """At start: what a crash or a stop left running waits for its turn again."""
    tx.execute("UPDATE job SET state = 'queued' WHERE state = 'running'")


def release_due(tx: Transaction, now: float, woken: Sequence[int]) -> None:
    """What waited until now, or for what has happened, waits for its turn again."""
    for key in (*woken, *due_keys(tx, now)):
        tx.execute(
            "UPDATE job SET state = 'queued', retry_at = NULL WHERE id = ? AND state = 'waiting'",
            (key,),
        )


def due_keys(reader: Reader, now: float) -> list[int]:
    """The waiting jobs whose time has come."""
    sql = "SELECT id FROM job WHERE state = 'waiting' AND retry_at <= ?"
    return [row[0] for row in reader.execute(sql, (now,))]


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
    while (node := reader.scalar(sql, (found[-1] if found else -1,))) is not None:
        found.append(node)
    return found


def queued(reader: Reader, node: int, limit: int) -> list[int]:
    """The first jobs of a lane: by priority, then the oldest."""
    rows = reader.execute(
        "SELECT id FROM job WHERE state = 'queued' AND node = ? ORDER BY priority DESC, id LIMIT ?",
        (node, limit),
    )
    return [row[0] for row in rows]


def lane_counts(reader: Reader) -> list[tuple[int, str, str, int]]:
    """(node, its title, state, jobs) of the jobs that have not ended."""
    return [
        (node, title, state, count)
        for node, title, state, count in reader.execute(
            "SELECT node, max(node_title), state, count(*) FROM job"
            " WHERE state NOT IN ('done', 'failed', 'cancelled', 'dead') GROUP BY node, state"
        )
    ]


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
    if job.started_at is not None and just_done:
        seconds = max((job.finished_at or now) - job.started_at, 0.001)
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
