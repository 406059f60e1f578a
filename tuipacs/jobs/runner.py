"""Carries out durable jobs, each in a thread of its own while it runs; sleeps when there is none.

One thread sees to it that every lane has as many running as it may (`lanes`). What people ask of a
job or a lane is written in the index; after that a word to this thread is enough. A job that a
crash or a stop interrupted goes on at the next object. The submitter's rights are looked up again
each time it starts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from tuipacs.domain.actor import Actor
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobKind, JobRecord, JobState
from tuipacs.errors import ForbiddenError, TuipacsError, UnavailableError
from tuipacs.index import jobs, nodes
from tuipacs.index.database import Index, Transaction
from tuipacs.jobs.bandwidth import Bandwidth
from tuipacs.jobs.endings import Ending, RetryPolicy, ending, leave
from tuipacs.jobs.lanes import Turn, turns
from tuipacs.jobs.running import Progress, Running
from tuipacs.services.sessions import Sessions
from tuipacs.services.wakeups import Wakeups

log = logging.getLogger(__name__)

_TELL_EVERY = 0.25  # seconds between progress wake-ups
_LOOK_EVERY = 60.0  # seconds; while something waits, for the clock on the wall may be set
_SWEEP_EVERY = 86400.0
_SWEEP = 100  # jobs in one transaction
RETRY_AFTER = 10.0  # seconds until an index that cannot be written is tried again


class Kind(Protocol):
    """One kind of job."""

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Do what is left of it; return a closing message.

        Calls ``progress.check`` between two objects. May raise what is in `jobs.signals`; another
        `TuipacsError` says that the job cannot be done as it stands.
        """
        ...


class JobRunner:
    """Works off the queue. ``on_leave`` is called in the transaction in which a job stops."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        sessions: Sessions,
        wakeups: Wakeups,
        kinds: Mapping[JobKind, Kind],
        *,
        policy: RetryPolicy | None = None,
        on_leave: Callable[[Transaction, JobRecord], None] = lambda tx, record: None,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._index = index
        self._clock = clock
        self._sessions = sessions
        self._wakeups = wakeups
        self._kinds = kinds
        self._policy = policy or RetryPolicy()
        self._on_leave = on_leave
        self._retry_after = retry_after
        self._work = threading.Event()
        self._stopping = False
        self._lock = threading.Lock()  # guards the four below
        self._running: dict[int, Running] = {}
        self._woken: set[int] = set()
        self._later: dict[int, float] = {}  # job -> when its failed bookkeeping is tried again
        self._bandwidths: dict[int, Bandwidth] = {}
        self._told_at = 0.0
        self._swept_at: float | None = None
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left behind."""
        self._thread.start()

    def wake(self, key: int) -> None:
        """There is a new job, or what a waiting job waits for has happened."""
        with self._lock:
            self._woken.add(key)
        self._work.set()

    def look(self) -> None:
        """Something was asked of a job or a lane, or a node was changed; it is in the index."""
        with suppress(UnavailableError):  # the other thread looks again
            self._pass_on()
        self._work.set()

    def interrupt(self) -> None:
        """Begin nothing any more, and let running jobs stop where they are."""
        with self._lock:
            self._stopping = True
            running = list(self._running.values())
        for job in running:
            job.interrupt()
        self._work.set()

    def stop(self, seconds: float) -> None:
        """`interrupt`, and wait for the end; the jobs go on at the next start."""
        self.interrupt()
        self.wait(seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until it has been interrupted and all has stopped; False if that took longer."""
        deadline = time.monotonic() + seconds
        if not _joined(self._thread, deadline):
            return False
        with self._lock:
            threads = [job.thread for job in self._running.values() if job.thread is not None]
        return all(_joined(thread, deadline) for thread in threads)

    # -- the thread that gives turns

    def _loop(self) -> None:
        try:
            is_settled = False
            while not self._stopping:
                self._work.clear()
                try:
                    if not is_settled:
                        self._settle()
                        is_settled = True
                    seconds = self._turn()
                except TuipacsError as error:  # full, say: the jobs stay as they are, for a while
                    log.error("jobs wait: %s", error.message)
                    seconds = self._retry_after
                self._work.wait(seconds)
        finally:
            self._index.close()

    def _settle(self) -> None:
        """What a crash interrupted waits for its turn again, or ends as somebody had asked."""
        with self._index.read() as reader:
            interrupted = jobs.running(reader)
        for key in interrupted:
            with self._index.write() as tx:
                now = self._clock()
                record = jobs.get(tx, key, now)
                if record is not None:
                    left = leave(tx, record, Ending(JobState.QUEUED), self._policy, now)
                    self._on_leave(tx, left)
        if interrupted:
            self._wakeups.jobs()

    def _turn(self) -> float | None:
        """Let begin who may; return the seconds until the next look, None if nothing is due."""
        now = self._clock()
        self._sweep(now)
        self._pass_on()
        self._release(now)
        with self._lock:
            lanes = [job.lane for job in self._running.values()]
            later = dict(self._later)
        with self._index.read() as reader:
            found = turns(reader, now, lanes, later)
            retry_at = jobs.next_due(reader)
        for turn in found.ready:
            self._begin(turn)
        waits = [at - now for at in (found.opens_at, retry_at) if at is not None]
        waits += [at - time.monotonic() for at in later.values()]
        if not waits:
            return _SWEEP_EVERY
        return min(max(0.01, min(waits)), _LOOK_EVERY)

    def _pass_on(self) -> None:
        """Tell those that run what was asked of them."""
        with self._lock:
            running = list(self._running.values())
        if not running:
            return
        for job in running:
            if not self._still_may(job):
                job.is_held = True  # the next run finds out why, and says so
        with self._index.read() as reader:
            for job in running:
                asked = jobs.asked(reader, job.key)
                if asked.cancel:
                    job.cancel()
                job.is_paused = asked.pause
                if job.lane > 0:
                    job.compare(nodes.node(reader, job.lane))

    def _still_may(self, job: Running) -> bool:
        """Whether the submitter has the rights still with which the run began."""
        if job.actor is None:
            return True
        try:
            now = self._sessions.on_behalf_of(job.actor.name)
        except ForbiddenError:
            return False
        return now.permissions == job.actor.permissions

    def _release(self, now: float) -> None:
        """Queue what waited long enough."""
        with self._lock:
            woken = {key for key in self._woken if key not in self._running}
            ended = [key for key, at in self._later.items() if at <= time.monotonic()]
        with self._index.read() as reader:
            due = {*jobs.due_keys(reader, now), *jobs.waiting_among(reader, woken)}
        if due or ended:
            with self._index.write() as tx:
                jobs.release(tx, (*due, *ended))
        with self._lock:
            self._woken -= woken
            for key in ended:
                del self._later[key]

    def _sweep(self, now: float) -> None:
        """Once a day forget jobs that ended long ago."""
        if self._swept_at is not None and abs(now - self._swept_at) < _SWEEP_EVERY:
            return
        before = now - self._policy.history
        with self._index.read() as reader:
            has_old = jobs.has_ended(reader, before)
        while has_old and not self._stopping:
            with self._index.write() as tx:
                has_old = jobs.forget_ended(tx, before, _SWEEP) == _SWEEP
        self._swept_at = now

    def _begin(self, turn: Turn) -> None:
        bandwidth = self._bandwidths.setdefault(turn.lane, Bandwidth(0))
        bandwidth.set_rate(turn.node.call.kib_per_second if turn.node else 0)
        job = Running(turn.key, turn.lane, turn.node, bandwidth, self._clock)
        job.thread = threading.Thread(
            target=self._work_on, args=(job,), name=f"job-{turn.key}", daemon=True
        )
        with self._lock:
            if self._stopping:
                return
            self._running[turn.key] = job
            self._woken.discard(turn.key)
        job.thread.start()

    # -- the thread of one job

    def _work_on(self, job: Running) -> None:
        is_left = False
        try:
            self._run(job)
            is_left = True
        except TuipacsError as error:
            log.error("job %d waits: %s", job.key, error.message)
        finally:
            self._index.close()
            with self._lock:
                del self._running[job.key]
                if not is_left:
                    self._later[job.key] = time.monotonic() + self._retry_after
            self._work.set()

    def _run(self, job: Running) -> None:
        taken = self._take(job)
        if taken is None:
            return
        record, payload = taken
        self._wakeups.jobs()
        log.info("job %d (%s) runs from object %d", job.key, record.kind.value, record.done)
        progress = Progress(job.check, self._tell, job.pace)

        def work() -> str:
            actor = job.actor = self._sessions.on_behalf_of(record.submitted_by)
            return self._kinds[record.kind].run(actor, record, payload, progress)

        end = ending(work, job.key)
        if end.failed:  # it has heard of what happened while it ran, and has to wait all the same
            with self._lock:
                self._woken.discard(job.key)
        with self._index.write() as tx:
            left = leave(tx, record, end, self._policy, self._clock())
            self._on_leave(tx, left)
        log.info("job %d is %s", job.key, left.state.value)
        self._wakeups.jobs()

    def _take(self, job: Running) -> tuple[JobRecord, str] | None:
        """The job as it begins; None if it was cancelled or paused since it was picked."""
        with self._index.write() as tx:
            if not jobs.take(tx, job.key, self._clock()):
                return None
            asked = jobs.asked(tx, job.key)
            job.is_cancelled, job.is_paused = asked.cancel, asked.pause
            record = jobs.get(tx, job.key, self._clock())
            if record is None:
                raise AssertionError("the job just taken is gone")
            return record, jobs.payload(tx, job.key)

    def _tell(self) -> None:
        now = self._clock()
        if abs(now - self._told_at) >= _TELL_EVERY:
            self._told_at = now
            self._wakeups.jobs()


def _joined(thread: threading.Thread, deadline: float) -> bool:
    """Wait for a thread that may never have begun; False if it goes on."""
    if thread.is_alive():
        thread.join(max(0.0, deadline - time.monotonic()))
    return not thread.is_alive()
