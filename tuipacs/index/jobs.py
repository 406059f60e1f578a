"""Durable jobs in the index."""

from __future__ import annotations

from collections.abc import Sequence

from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.job import JobKind, JobRecord, JobState, Refusal
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.tables import Job, JobRefusal

HISTORY = 500  # jobs on the list
_COLUMN = {
    IngestResult.STORED: "stored",
    IngestResult.CONFLICT: "stored",
    IngestResult.DUPLICATE: "duplicate",
}


def add(
    tx: Transaction, kind: JobKind, title: str, payload: str, submitted_by: str, at: float
) -> int:
    """Queue a job and return its key."""
    query = Job.insert(
        kind=kind.value,
        state=JobState.QUEUED.value,
        title=title,
        payload=payload,
        submitted_by=submitted_by,
        created_at=at,
    )
    return int(query.execute(tx.database))


def get(reader: Reader, key: int, now: float) -> JobRecord | None:
    """One job."""
    found = Job.select().where(Job.id == key).execute(reader.database)
    return next((_record(job, now) for job in found), None)


def newest(reader: Reader, now: float) -> tuple[JobRecord, ...]:
    """Jobs, newest first."""
    found = Job.select().order_by(Job.id.desc()).limit(HISTORY).execute(reader.database)
    return tuple(_record(job, now) for job in found)


def unfinished(reader: Reader) -> list[int]:
    """Keys of the jobs that wait or were running, oldest first."""
    states = (JobState.QUEUED.value, JobState.RUNNING.value)
    query = Job.select(Job.id).where(Job.state.in_(states)).order_by(Job.id)
    return [job.id for job in query.execute(reader.database)]


def payload(reader: Reader, key: int) -> str:
    """What the job is to do, as its kind wrote it."""
    return str(reader.scalar("SELECT payload FROM job WHERE id = ?", (key,)))


def is_cancelled(reader: Reader, key: int) -> bool:
    """Whether somebody has asked for its end."""
    return bool(reader.scalar("SELECT cancel_requested FROM job WHERE id = ?", (key,)))


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
    )
