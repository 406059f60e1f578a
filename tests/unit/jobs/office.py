"""Jobs, their runner and the services around them, as the daemon wires them; a still clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tests.builders import make_dataset
from tests.unit.services.parts import NOW, PASSWORD, Parts, actor
from tuipacs.domain.actor import Actor
from tuipacs.domain.job import JobItem, JobKind, JobPriority, JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import Role
from tuipacs.index import job_items, jobs, nodes
from tuipacs.jobs.endings import RetryPolicy
from tuipacs.jobs.runner import JobRunner, Kind
from tuipacs.jobs.running import Progress
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.services.calling import Calling
from tuipacs.services.jobs import Jobs
from tuipacs.services.send import Send
from tuipacs.services.transfer_records import record_transfers

TINA = actor(Role.TECHNOLOGIST, name="tina")
ADMIN = actor(Role.ADMIN)
PATIENCE = 20.0  # seconds


class Scripted:
    """A kind of job that does what the test says; ``play(record, progress)`` gives the words."""

    def __init__(self, play: Callable[[JobRecord, Progress], str]) -> None:
        self._play = play

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        return self._play(record, progress)


class Office:
    """One archive's jobs."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.index, self.clock = parts.index, parts.clock
        parts.users.create_first_admin("root", PASSWORD)
        parts.users.add(
            ADMIN, m.UserAddRequest(name="tina", role=Role.TECHNOLOGIST, password=PASSWORD)
        )
        self.calling = Calling(parts.index, "TUIPACS", None)
        self.jobs = Jobs(parts.index, parts.clock, parts.wakeups, self.calling, retries=10)
        self.send = Send(parts.index, parts.clock, parts.wakeups, self.calling)
        self.runner: JobRunner | None = None

    def start(
        self, kinds: Mapping[JobKind, Kind] | Kind, policy: RetryPolicy | None = None
    ) -> JobRunner:
        """Run jobs; one kind alone is that of sending."""
        self.runner = JobRunner(
            self.index,
            self.clock,
            self.parts.sessions,
            self.parts.wakeups,
            kinds if isinstance(kinds, Mapping) else {JobKind.SEND: kinds},
            policy=policy,
            on_leave=lambda tx, record: record_transfers(tx, record, self.clock()),
            retry_after=0.02,
        )
        self.jobs.on_change = self.runner.look
        self.send.on_submit = self.runner.wake
        self.runner.start()
        return self.runner

    def stop(self) -> None:
        if self.runner is not None:
            self.runner.interrupt()
            assert self.runner.wait(PATIENCE)
            self.runner = None

    def node(self, ae_title: str = "PACS2", **call: Any) -> NodeRecord:
        """A known node that may be sent to."""
        call = {"host": "127.0.0.1", "services": tuple(CallService), **call}
        record = NodeRecord(
            key=0,
            ae_title=ae_title,
            address="",
            services=(),
            description="",
            created_at=NOW,
            call=NodeCall(**call),
        )
        with self.index.write() as tx:
            return msgspec.structs.replace(record, key=nodes.add_node(tx, record))

    def change(self, node: NodeRecord, **call: Any) -> NodeRecord:
        """Edit how a node is called, as the nodes' service does."""
        changed = msgspec.structs.replace(node, call=msgspec.structs.replace(node.call, **call))
        with self.index.write() as tx:
            nodes.change_node(tx, changed)
        if self.runner is not None:
            self.runner.look()
        return changed

    def remove(self, node: NodeRecord) -> None:
        with self.index.write() as tx:
            nodes.remove_node(tx, node.key)
        if self.runner is not None:
            self.runner.look()

    def store(self, count: int = 1, **attributes: object) -> list[int]:
        """Keys of so many new objects of one series."""
        dataset = make_dataset()
        series = {
            "StudyInstanceUID": dataset.StudyInstanceUID,
            "SeriesInstanceUID": dataset.SeriesInstanceUID,
            **attributes,
        }
        for number in range(count):
            self.parts.send(InstanceNumber=number + 1, **series)
        rows = self.parts.rows("SELECT id FROM instance ORDER BY id DESC LIMIT ?", count)
        return [row[0] for row in reversed(rows)]

    def add(
        self,
        node: NodeRecord,
        instances: Sequence[int] = (),
        *,
        priority: JobPriority = JobPriority.NORMAL,
        submitted_by: str = "tina",
        commit: bool = False,
    ) -> int:
        """Queue a send job as routing does, and tell the runner."""
        with self.index.write() as tx:
            key = job_items.add_send_job(
                tx,
                node=node,
                instances=instances,
                title="send something",
                submitted_by=submitted_by,
                at=self.clock(),
                priority=priority,
                commit=commit,
            )
        if self.runner is not None:
            self.runner.wake(key)
        return key

    def show(self, key: int) -> JobRecord:
        return self.jobs.show(TINA, m.JobRequest(key=key))

    def items(self, key: int) -> tuple[JobItem, ...]:
        return self.jobs.items(TINA, j.JobItemsRequest(key=key, limit=1000)).items

    def until(self, key: int, holds: Callable[[JobRecord], bool]) -> JobRecord:
        """The job as soon as something is true of it."""
        changed = threading.Event()
        leave = self.parts.wakeups.listen(changed.set)
        try:
            while not holds(record := self.show(key)):
                assert changed.wait(PATIENCE), record
                changed.clear()
            return record
        finally:
            leave()

    def ended(self, key: int) -> JobRecord:
        return self.until(key, lambda record: record.state.ended)

    def reaches(self, key: int, state: JobState) -> JobRecord:
        return self.until(key, lambda record: record.state is state)

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds
        if self.runner is not None:
            self.runner.look()

    def put(self, key: int, **fields: object) -> None:
        """The job's row as a crash has left it."""
        with self.index.write() as tx:
            jobs.update(tx, key, **fields)
