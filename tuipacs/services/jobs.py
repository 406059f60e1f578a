"""Durable jobs: what waits, runs and has ended. The runner in ``tuipacs.jobs`` does the work."""

from __future__ import annotations

from collections.abc import Callable

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.permissions import Permission
from tuipacs.errors import ConflictError, NotFoundError
from tuipacs.index import jobs
from tuipacs.index.database import Index, Reader
from tuipacs.schema.messages import Empty, JobList, JobRequest, Refusals
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.wakeups import Wakeups

_EVENT = AuditEvent.APPLICATION_ACTIVITY


class Jobs(Service):
    """Looking at jobs and ending them."""

    def __init__(self, index: Index, clock: Clock, wakeups: Wakeups) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self.on_cancel: Callable[[int], None] = lambda key: None

    def _get(self, reader: Reader, key: int) -> JobRecord:
        record = jobs.get(reader, key, self._clock())
        if record is None:
            raise NotFoundError("there is no such job")
        return record

    @guarded(Permission.VIEW_JOBS, _EVENT, only_refusals="progress figures, no patient data")
    def list(self, actor: Actor, request: Empty) -> JobList:
        """The newest jobs."""
        with self._index.read() as reader:
            return JobList(jobs=jobs.newest(reader, self._clock()))

    @guarded(Permission.VIEW_JOBS, _EVENT, only_refusals="progress figures, no patient data")
    def show(self, actor: Actor, request: JobRequest) -> JobRecord:
        """One job."""
        with self._index.read() as reader:
            return self._get(reader, request.key)

    @guarded(Permission.VIEW_JOBS, _EVENT)
    def refusals(self, actor: Actor, request: JobRequest) -> Refusals:
        """What an import refused, and why."""
        about(detail=f"refusals of job {request.key}")
        with self._index.read() as reader:
            self._get(reader, request.key)
            return Refusals(refusals=jobs.refusals(reader, request.key))

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def cancel(self, actor: Actor, request: JobRequest) -> JobRecord:
        """End a job after the object it is at. Raises `ConflictError` if it has ended."""
        about(detail=f"cancel job {request.key}")
        with self.transaction() as tx:
            record = self._get(tx, request.key)
            if record.state.ended:
                raise ConflictError("the job has ended already")
            jobs.update(tx, request.key, cancel_requested=True)
            if record.state is JobState.QUEUED:
                jobs.update(
                    tx, request.key, state=JobState.CANCELLED.value, finished_at=self._clock()
                )
            record = self._get(tx, request.key)
        self.on_cancel(request.key)
        self._wakeups.jobs()
        return record
