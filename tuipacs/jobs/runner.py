"""Carries out durable jobs, oldest first, one at a time; sleeps when there is nothing to do.

A job that a crash or a stop interrupted goes on at the next object. The submitter's rights are
looked up again when it starts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from tuipacs.domain.actor import Actor
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobKind, JobRecord, JobState
from tuipacs.errors import TuipacsError
from tuipacs.index import jobs
from tuipacs.index.database import Index
from tuipacs.services.sessions import Sessions
from tuipacs.services.wakeups import Wakeups

log = logging.getLogger(__name__)

_TELL_EVERY = 0.25  # seconds between progress wake-ups
RETRY_AFTER = 10.0  # seconds until an index that cannot be written is tried again


class Interrupted(Exception):
    """The runner is stopping."""


class Cancelled(Exception):
    """Somebody cancelled the job."""


class Progress:
    """What a kind of job calls between two objects."""

    def __init__(self, check: Callable[[], None], tell: Callable[[], None]) -> None:
        self.check = check  # raises Interrupted or Cancelled
        self.tell = tell  # wakes the screens, now and then


class Kind(Protocol):
    """One kind of job."""

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Do it from ``record.done`` on; return a closing message."""
        ...


class JobRunner:
    """One thread that works off the queue."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        sessions: Sessions,
        wakeups: Wakeups,
        kinds: Mapping[JobKind, Kind],
        *,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._index = index
        self._clock = clock
        self._sessions = sessions
        self._wakeups = wakeups
        self._kinds = kinds
        self._retry_after = retry_after
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._cancelled: set[int] = set()
        self._told_at = 0.0
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left behind."""
        self._work.set()
        self._thread.start()

    def wake(self, key: int) -> None:
        """There is a new job."""
        self._work.set()

    def cancel(self, key: int) -> None:
        """A job is to end after its present object."""
        self._cancelled.add(key)

    def stop(self, seconds: float) -> None:
        """Let the running job stop after its present object; it goes on at the next start."""
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _loop(self) -> None:
        try:
            while not self._stopping.is_set():
                self._work.wait()
                self._work.clear()
                try:
                    while not self._stopping.is_set() and (key := self._next()):
                        self._run(key)
                except TuipacsError as error:  # full, say: the job stays as it is, for a while
                    log.error("jobs wait: %s", error.message)
                    self._stopping.wait(self._retry_after)
                    self._work.set()
        finally:
            self._index.close()

    def _next(self) -> int:
        with self._index.read() as reader:
            waiting = jobs.unfinished(reader)
        return waiting[0] if waiting else 0

    def _run(self, key: int) -> None:
        now = self._clock()
        with self._index.write() as tx:
            record = jobs.get(tx, key, now)
            if record is None:
                raise AssertionError("the job just taken is gone")
            if record.state.ended:  # cancelled since it was picked
                self._cancelled.discard(key)
                return
            jobs.update(
                tx,
                key,
                state=JobState.RUNNING.value,
                started_at=now,
                done_before=record.done,
                message="",
            )
            if jobs.is_cancelled(tx, key):  # before a restart
                self._cancelled.add(key)
            payload = jobs.payload(tx, key)
        self._wakeups.jobs()
        log.info("job %d (%s) runs from object %d", key, record.kind.value, record.done)
        try:
            actor = self._sessions.on_behalf_of(record.submitted_by)
            progress = Progress(lambda: self._check(key), self._tell)
            progress.check()
            message = self._kinds[record.kind].run(actor, record, payload, progress)
            self._end(key, JobState.DONE, message)
        except Interrupted:
            log.info("job %d pauses: the archive stops", key)
        except Cancelled:
            self._end(key, JobState.CANCELLED, "cancelled")
        except TuipacsError as error:
            words = f"{error.message}; {error.remedy}" if error.remedy else error.message
            self._end(key, JobState.FAILED, words)
        except Exception:  # a bug ends its job, and no other
            log.exception("job %d failed by a bug", key)
            self._end(key, JobState.FAILED, "an internal error: see the log")

    def _check(self, key: int) -> None:
        if self._stopping.is_set():
            raise Interrupted
        if key in self._cancelled:
            raise Cancelled

    def _tell(self) -> None:
        now = self._clock()
        if abs(now - self._told_at) >= _TELL_EVERY:
            self._told_at = now
            self._wakeups.jobs()

    def _end(self, key: int, state: JobState, message: str) -> None:
        with self._index.write() as tx:
            jobs.update(
                tx, key, state=state.value, finished_at=self._clock(), message=message[:500]
            )
        self._cancelled.discard(key)
        log.info("job %d ended: %s", key, state.value)
        self._wakeups.jobs()
