"""The jobs of a `FakeArchive`: a list, lanes, and the instances of one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tuipacs.domain.job import (
    ItemState,
    JobItem,
    JobKind,
    JobRecord,
    JobState,
    LaneRecord,
    Refusal,
)
from tuipacs.domain.node import NodeRecord
from tuipacs.errors import NotFoundError
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m

NOW = 1795800000.0  # 2026-11-27


def running_job(key: int, *, title: str = "import /media/cd") -> JobRecord:
    """A job at 41 percent."""
    return JobRecord(
        key=key,
        kind=JobKind.IMPORT,
        state=JobState.RUNNING,
        title=title,
        submitted_by="rt_anna",
        created_at=NOW - 30,
        started_at=NOW - 29,
        finished_at=None,
        total=1000,
        done=410,
        stored=400,
        duplicate=8,
        refused=2,
        bytes_done=210_000_000,
        rate=14.1,
        eta=41.8,
    )


def send_job(key: int, **changes: Any) -> JobRecord:
    """A job that sends 312 objects to PACS2."""
    uid = "1.2.826.0.1.3680043.10.1.7"
    record = running_job(key, title=f"send 312 objects of 1 study to PACS2: {uid}")
    about = {"kind": JobKind.SEND, "node": 2, "node_title": "PACS2", "refused": 0}
    return msgspec.structs.replace(record, **(about | changes))


class FakeJobs:
    """One part of `FakeArchive`."""

    nodes: list[NodeRecord]

    def start_jobs(self) -> None:
        """No jobs yet."""
        self.jobs: list[JobRecord] = []
        self.lanes: list[LaneRecord] = []
        self.items: list[JobItem] = []  # of every job
        self.jobs_version = 1

    def do_jobs_list(self, _: j.JobsRequest) -> j.JobList:
        return j.JobList(jobs=tuple(self.jobs), lanes=tuple(self.lanes))

    def do_jobs_refusals(self, request: m.JobRequest) -> m.Refusals:
        return m.Refusals(
            refusals=(
                Refusal(path="/data/notes.txt", reason="not a DICOM file: no dataset found"),
                Refusal(path="/data/cut.dcm", reason="the file ends inside (7FE0,0010)"),
            )
        )

    def do_jobs_items(self, request: j.JobItemsRequest) -> j.JobItems:
        found = [i for i in self.items if not request.states or i.state in request.states]
        return j.JobItems(
            items=tuple(found[request.offset : request.offset + request.limit]),
            matched=len(found),
            total=len(self.items),
        )

    def change_job(self, key: int, **changes: Any) -> JobRecord:
        """Another state of a job."""
        for index, job in enumerate(self.jobs):
            if job.key == key:
                self.jobs[index] = msgspec.structs.replace(job, **changes)
                self.jobs_version += 1
                return self.jobs[index]
        raise NotFoundError("no such job")

    def do_jobs_cancel(self, request: m.JobRequest) -> JobRecord:
        return self.change_job(request.key, state=JobState.CANCELLED)

    def do_jobs_pause(self, request: m.JobRequest) -> JobRecord:
        return self.change_job(request.key, state=JobState.PAUSED)

    def do_jobs_resume(self, request: m.JobRequest) -> JobRecord:
        return self.change_job(request.key, state=JobState.QUEUED)

    def do_jobs_retry(self, request: m.JobRequest) -> JobRecord:
        return self.change_job(request.key, state=JobState.QUEUED, message="")

    def do_jobs_set_priority(self, request: j.JobPriorityRequest) -> JobRecord:
        return self.change_job(request.key, priority=request.priority)

    def do_jobs_pause_lane(self, request: j.LaneRequest) -> LaneRecord:
        return self._change_lane(request.node, paused=True)

    def do_jobs_resume_lane(self, request: j.LaneRequest) -> LaneRecord:
        return self._change_lane(request.node, paused=False)

    def _change_lane(self, node: int, **changes: Any) -> LaneRecord:
        for index, lane in enumerate(self.lanes):
            if lane.node == node:
                self.lanes[index] = msgspec.structs.replace(lane, **changes)
                self.jobs_version += 1
                return self.lanes[index]
        raise NotFoundError("no such lane")

    def do_send_submit(self, request: j.SendRequest) -> JobRecord:
        node = next(node for node in self.nodes if node.key == request.node)
        what = f"{len(request.rows)} rows" if request.rows else request.uids[0]
        job = send_job(
            len(self.jobs) + 1,
            state=JobState.QUEUED,
            title=f"send {what} to {node.ae_title}",
            node=node.key,
            node_title=node.ae_title,
            priority=request.priority,
            done=0,
        )
        self.jobs.insert(0, job)
        self.jobs_version += 1
        return job


def items(count: int, failed: Callable[[int], bool] = lambda n: False) -> list[JobItem]:
    """Instances 1 to ``count`` of a job, done but for those that ``failed``."""
    return [
        JobItem(
            position=n,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"1.2.826.0.1.3680043.10.1.7.{n}",
            state=ItemState.FAILED if failed(n) else ItemState.DONE,
            status=0xA700 if failed(n) else 0x0000,
            words="0xA700 out of resources: disk full" if failed(n) else "0x0000 Success",
        )
        for n in range(1, count + 1)
    ]
