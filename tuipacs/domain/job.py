"""Durable jobs as people see them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class JobKind(StrEnum):
    """One file in ``tuipacs/jobs`` for each."""

    IMPORT = "import"
    SEND = "send"
    RETRIEVE = "retrieve"
    COMMIT = "commit"


class JobState(StrEnum):
    """Where a job is. Ended states never change again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobRecord(Struct, frozen=True, kw_only=True):
    """One job. ``rate`` is objects a second, ``eta`` seconds left; None when unknown."""

    key: int
    kind: JobKind
    state: JobState
    title: str
    submitted_by: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    total: int  # objects to look at; 0 while still counting
    done: int
    stored: int
    duplicate: int
    refused: int
    bytes_done: int
    message: str = ""
    rate: float | None = None
    eta: float | None = None


class Refusal(Struct, frozen=True, kw_only=True):
    """One path that an import did not take, and why."""

    path: str
    reason: str
