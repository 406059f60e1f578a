"""What becomes of a job when a run of it ends: one place for all the ways."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tuipacs.domain.job import JobRecord, JobState
from tuipacs.errors import TuipacsError
from tuipacs.index import job_items, jobs
from tuipacs.index.database import Transaction
from tuipacs.jobs.delays import doubling
from tuipacs.jobs.signals import (
    Cancelled,
    GivenUp,
    Held,
    Interrupted,
    Paused,
    RetryLater,
    WaitForEvent,
)

log = logging.getLogger(__name__)

_MAX_MESSAGE = 500  # characters


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and after how long, what failed is tried again. Times in seconds."""

    retries: int = 10
    first_delay: float = 30.0
    longest_delay: float = 600.0
    history: float = 30 * 86400.0  # how long ended jobs are kept

    def delay(self, attempt: int) -> float:
        """Before the retry that follows failed attempt 1, 2, ...: twice as long each time."""
        return doubling(self.first_delay, self.longest_delay, attempt)


@dataclass(frozen=True)
class Ending:
    """Where a run led. ``failed``: it is tried again, or given up, as the policy says."""

    state: JobState
    words: str = ""
    failed: bool = False
    until: float | None = None


def ending(work: Callable[[], str], key: int) -> Ending:
    """Run a job and say where that led."""
    try:
        return Ending(JobState.DONE, work())
    except (Interrupted, Held):
        return Ending(JobState.QUEUED)
    except Paused:
        return Ending(JobState.PAUSED)
    except Cancelled:
        return Ending(JobState.CANCELLED, "cancelled")
    except RetryLater as signal:
        return Ending(JobState.WAITING, signal.words, failed=True)
    except WaitForEvent as signal:
        return Ending(JobState.WAITING, signal.words, until=signal.until)
    except GivenUp as signal:
        return Ending(JobState.DEAD, signal.words)
    except TuipacsError as error:
        words = f"{error.message}; {error.remedy}" if error.remedy else error.message
        return Ending(JobState.FAILED, words)
    except Exception:  # a bug ends its job, and no other
        log.exception("job %d failed by a bug", key)
        return Ending(JobState.FAILED, "an internal error: see the log")


def leave(
    tx: Transaction, began: JobRecord, end: Ending, policy: RetryPolicy, now: float
) -> JobRecord:
    """Write where a run of the job that ``began`` so has led; return the job as it is then.

    What was asked of it meanwhile comes before a wait, and after a true end.
    """
    record = jobs.get(tx, began.key, now)
    if record is None:
        raise AssertionError("the job that runs is gone")
    asked = jobs.asked(tx, began.key)
    state, retry_at, attempts = end.state, end.until, record.attempts
    if end.failed:
        attempts = 1 if _got_on(began, record) else attempts + 1
        retry_at = now + policy.delay(attempts)
        if attempts > policy.retries:
            state, retry_at = JobState.DEAD, None
    elif state in (JobState.DONE, JobState.DEAD):
        attempts = 0
    if not state.ended and (asked.cancel or asked.pause):
        state = JobState.CANCELLED if asked.cancel else JobState.PAUSED
        retry_at = None
    if state is JobState.DEAD:
        job_items.give_up(tx, began.key, end.words)
    jobs.update(
        tx,
        began.key,
        state=state.value,
        message=end.words[:_MAX_MESSAGE],
        attempts=attempts,
        retry_at=retry_at,
        finished_at=now if state.ended else None,
        cancel_requested=False,
        pause_requested=False,
    )
    return jobs.written(tx, began.key, now)


def _got_on(before: JobRecord, now: JobRecord) -> bool:
    """Whether the run delivered anything: then it is not the same failure again."""
    return now.done - now.failed > before.done - before.failed
