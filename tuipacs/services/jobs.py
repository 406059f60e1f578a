"""Durable jobs: what waits, runs and has ended. The runner in ``tuipacs.jobs`` does the work.

What is asked of a job is written in the index, and the runner is told to look. A job that runs
takes notice between two objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import msgspec

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobRecord, JobState, LaneRecord
from tuipacs.domain.job_words import paused_lane_words, state_sentence
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.domain.time_window import opens_at
from tuipacs.errors import ConflictError, NotFoundError
from tuipacs.index import job_items, jobs, nodes
from tuipacs.index.database import Index, Reader, Transaction
from tuipacs.schema.job_messages import (
    ITEM_LIMIT,
    JOB_LIMIT,
    JobItems,
    JobItemsRequest,
    JobList,
    JobPriorityRequest,
    JobsRequest,
    LaneRequest,
)
from tuipacs.schema.messages import JobRequest, Refusals
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.transfer_records import record_transfers
from tuipacs.services.wakeups import Wakeups

_EVENT = AuditEvent.APPLICATION_ACTIVITY


class Jobs(Service):
    """Looking at jobs and lanes, and steering them."""

    def __init__(
        self, index: Index, clock: Clock, wakeups: Wakeups, calling: Calling, retries: int
    ) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self._calling = calling
        self._retries = retries
        self.on_change: Callable[[], None] = lambda: None  # the runner is to look

    def _changed(self) -> None:
        self.on_change()
        self._wakeups.jobs()

    def _get(self, reader: Reader, key: int) -> JobRecord:
        record = jobs.get(reader, key, self._clock())
        if record is None:
            raise NotFoundError("there is no such job")
        return record

    def _shown(self, reader: Reader, record: JobRecord) -> JobRecord:
        """The job as people see it: a queued one in a held lane says what it waits for."""
        if record.attempts and not record.state.ended:
            left = max(self._retries + 1 - record.attempts, 0)
            record = msgspec.structs.replace(record, tries_left=left)
        if record.state is not JobState.QUEUED or record.node <= 0:
            return record
        node = nodes.node(reader, record.node)
        if node is None:
            return record
        if node.paused:
            return msgspec.structs.replace(record, message=paused_lane_words(node.ae_title))
        opens = opens_at(node.call.window, self._clock())
        if opens is None:
            return record
        words = f"{node.ae_title} is called from {node.call.window.replace('-', ' to ')} only"
        return msgspec.structs.replace(
            record, state=JobState.WAITING, retry_at=opens, message=words
        )

    @guarded(Permission.VIEW_JOBS, _EVENT, only_refusals="progress figures, no patient data")
    def list(self, actor: Actor, request: JobsRequest) -> JobList:
        """The newest jobs, and the lanes."""
        limit = min(max(request.limit, 0), JOB_LIMIT)
        with self._index.read() as reader:
            found = jobs.newest(
                reader,
                self._clock(),
                limit=limit,
                open_only=request.open_only,
                node=request.node,
            )
            return JobList(
                jobs=tuple(self._shown(reader, record) for record in found),
                lanes=self._lanes(reader),
            )

    def _lanes(self, reader: Reader) -> tuple[LaneRecord, ...]:
        """Each lane with open jobs, and each that is paused; by title."""
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        titles: dict[int, str] = {}
        for lane, title, state, count in jobs.lane_counts(reader):
            counts[lane][state] = count
            titles[lane] = title
        known = {node.key: node for node in nodes.all_nodes(reader)}
        for node in known.values():
            if node.paused:
                counts.setdefault(node.key, {})
        lanes = (
            self._lane(lane, titles.get(lane, ""), known.get(lane), counts[lane]) for lane in counts
        )
        return tuple(sorted(lanes, key=lambda lane: (lane.node_title, lane.node)))

    def _lane(
        self, key: int, title: str, node: NodeRecord | None, count: dict[str, int]
    ) -> LaneRecord:
        return LaneRecord(
            node=key,
            node_title=node.ae_title if node else title,
            paused=node.paused if node else False,
            opens_at=opens_at(node.call.window, self._clock()) if node else None,
            window=node.call.window if node else "",
            running=count.get(JobState.RUNNING, 0),
            queued=count.get(JobState.QUEUED, 0),
            waiting=count.get(JobState.WAITING, 0),
            held=count.get(JobState.PAUSED, 0),
        )

    @guarded(Permission.VIEW_JOBS, _EVENT, only_refusals="progress figures, no patient data")
    def show(self, actor: Actor, request: JobRequest) -> JobRecord:
        """One job."""
        with self._index.read() as reader:
            return self._shown(reader, self._get(reader, request.key))

    @guarded(Permission.VIEW_JOBS, _EVENT)
    def refusals(self, actor: Actor, request: JobRequest) -> Refusals:
        """What an import refused, and why."""
        about(detail=f"refusals of job {request.key}")
        with self._index.read() as reader:
            self._get(reader, request.key)
            return Refusals(refusals=jobs.refusals(reader, request.key))

    @guarded(Permission.VIEW_JOBS, _EVENT, only_refusals="UIDs and statuses, no patient data")
    def items(self, actor: Actor, request: JobItemsRequest) -> JobItems:
        """A page of the instances of a job, each with what became of it."""
        limit = min(max(request.limit, 0), ITEM_LIMIT)
        with self._index.read() as reader:
            self._get(reader, request.key)
            items, matched, total = job_items.page(
                reader, request.key, request.states, max(request.offset, 0), limit
            )
        return JobItems(items=items, matched=matched, total=total)

    # -- one job

    def _steer(
        self, key: int, what: str, change: Callable[[Transaction, JobRecord], None]
    ) -> JobRecord:
        """Change a job in a transaction of its own, and tell the runner."""
        about(detail=f"{what} job {key}")
        with self.transaction() as tx:
            before = self._get(tx, key)
            if before.node_title:
                about(detail=f"{what} job {key}, {before.kind.value} of {before.node_title}")
            change(tx, before)
            record = self._shown(tx, self._get(tx, key))
        self._changed()
        return record

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def cancel(self, actor: Actor, request: JobRequest) -> JobRecord:
        """End a job after the object it is at. Raises `ConflictError` if it has ended."""

        def change(tx: Transaction, record: JobRecord) -> None:
            _check_open(record)
            if record.state is JobState.RUNNING:
                jobs.update(tx, record.key, cancel_requested=True)
                return
            jobs.update(
                tx,
                record.key,
                state=JobState.CANCELLED.value,
                finished_at=self._clock(),
                retry_at=None,
                message="cancelled",
            )
            record_transfers(tx, self._get(tx, record.key), self._clock())

        return self._steer(request.key, "cancel", change)

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def pause(self, actor: Actor, request: JobRequest) -> JobRecord:
        """Hold a job after the object it is at. Raises `ConflictError` if it has ended."""

        def change(tx: Transaction, record: JobRecord) -> None:
            _check_open(record)
            if record.state is JobState.RUNNING:
                jobs.update(tx, record.key, pause_requested=True)
            else:
                jobs.update(tx, record.key, state=JobState.PAUSED.value, retry_at=None)

        return self._steer(request.key, "pause", change)

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def resume(self, actor: Actor, request: JobRequest) -> JobRecord:
        """Let a paused job go on; one that waits for a retry tries at once.

        Raises `ConflictError` for one that has ended.
        """

        def change(tx: Transaction, record: JobRecord) -> None:
            _check_open(record)
            jobs.update(tx, record.key, pause_requested=False)
            if record.state in (JobState.PAUSED, JobState.WAITING):
                jobs.update(tx, record.key, state=JobState.QUEUED.value, retry_at=None, message="")

        return self._steer(request.key, "resume", change)

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def retry(self, actor: Actor, request: JobRequest) -> JobRecord:
        """Queue a job that failed, was cancelled or given up again; what was done stays done.

        Raises `ConflictError` for another one, or if its node is not known any more.
        """

        def change(tx: Transaction, record: JobRecord) -> None:
            if not record.state.can_be_retried:
                raise ConflictError(f"{state_sentence(record.state)}: there is nothing to retry")
            if record.node < 0:
                raise ConflictError(
                    f"the node {record.node_title} was removed",
                    remedy="add it again, then submit a new job",
                )
            jobs.update(
                tx,
                record.key,
                state=JobState.QUEUED.value,
                attempts=0,
                retry_at=None,
                finished_at=None,
                cancel_requested=False,
                pause_requested=False,
                message="",
            )
            job_items.try_again(tx, record.key)

        return self._steer(request.key, "retry", change)

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def set_priority(self, actor: Actor, request: JobPriorityRequest) -> JobRecord:
        """Let a job go before or after others of its lane; one that runs is not interrupted."""

        def change(tx: Transaction, record: JobRecord) -> None:
            _check_open(record)
            jobs.update(tx, record.key, priority=int(request.priority))

        return self._steer(request.key, f"priority {request.priority.name.lower()} for", change)

    # -- a lane

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def pause_lane(self, actor: Actor, request: LaneRequest) -> LaneRecord:
        """Let no job call a node; those that run stop after the object they are at."""
        return self._steer_lane(request, "pause", paused=True)

    @guarded(Permission.CONTROL_JOBS, _EVENT)
    def resume_lane(self, actor: Actor, request: LaneRequest) -> LaneRecord:
        """Let the jobs of a node go on."""
        return self._steer_lane(request, "resume", paused=False)

    def _steer_lane(self, request: LaneRequest, what: str, *, paused: bool) -> LaneRecord:
        node = self._calling.named(request.node, request.ae_title)
        about(detail=f"{what} all jobs of {node.ae_title}")
        with self.transaction() as tx:
            current = nodes.node(tx, node.key)
            if current is None:
                raise NotFoundError("there is no such node any more")
            nodes.change_node(tx, msgspec.structs.replace(current, paused=paused))
            found = {lane.node: lane for lane in self._lanes(tx)}
        self._changed()
        return found.get(node.key) or LaneRecord(node=node.key, node_title=node.ae_title)


def _check_open(record: JobRecord) -> None:
    if record.state.ended:
        raise ConflictError(state_sentence(record.state))
