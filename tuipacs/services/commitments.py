"""Storage commitment that we ask of other nodes: asked for here, done by a job, and the outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tuipacs.dicom.commitment import CommitmentDataset, read_commitment
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.commitment import SOME_FAILED
from tuipacs.domain.job import JobKind, JobRecord, and_more, objects_of
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.errors import ForbiddenError, InvalidObjectError, NotFoundError, UsageError
from tuipacs.index import audit, commitments, job_items, jobs, outgoing
from tuipacs.index.commitments import Commitment
from tuipacs.index.database import Index
from tuipacs.schema.commit_messages import (
    CommitRequest,
    StudyCommitments,
    StudyCommitmentsRequest,
)
from tuipacs.schema.job_messages import SendRequest
from tuipacs.scu.requestor import Peer
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.send import MAX_UIDS, named_instances
from tuipacs.services.wakeups import Wakeups

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """An N-EVENT-REPORT as it came. ``node``: the key of the node that reports.

    ``event_type``: ALL_COMMITTED or SOME_FAILED.
    """

    node: int
    event_type: int
    dataset: bytes | bytearray
    transfer_syntax_uid: str


class Commitments(Service):
    """Our requests. ``on_submit``, ``on_report``: a job is new, or has got what it waits for."""

    def __init__(self, index: Index, clock: Clock, wakeups: Wakeups, calling: Calling) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self._calling = calling
        self.on_submit: Callable[[int], None] = lambda key: None
        self.on_report: Callable[[int], None] = lambda key: None

    @guarded(Permission.COMMIT, AuditEvent.APPLICATION_ACTIVITY)
    def submit(self, actor: Actor, request: CommitRequest) -> JobRecord:
        """Queue a job that asks a node to commit to what UIDs and rows name.

        Raises `NotFoundError` for a UID that names nothing or an unknown node, `UsageError` for a
        node that is not asked for commitment, or that is this archive itself, and for what a
        report could not tell apart (see `named_instances`).
        """
        about(detail=f"storage commitment at {request.ae_title or f'node {request.node}'}")
        if not 1 <= len(request.uids) + len(request.rows) <= MAX_UIDS:
            raise UsageError(f"1 to {MAX_UIDS} UIDs or rows can be asked about at once")
        node = self._calling.named(request.node, request.ae_title)
        self._calling.peer(node, CallService.COMMIT)
        with self._index.read() as reader:
            wanted = SendRequest(uids=request.uids, rows=request.rows)
            instances = named_instances(reader, wanted)
            studies = outgoing.study_uids(reader, instances)
        what = objects_of(len(instances), len(studies))
        where = f"at {node.ae_title}: {and_more(studies)}"
        title = f"commit {what} {where}"
        about(study_instance_uid=studies[0], detail=f"storage commitment for {what} {where}")
        now = self._clock()
        with self.transaction() as tx:
            key = jobs.add(
                tx,
                JobKind.COMMIT,
                title,
                "{}",
                actor.name,
                now,
                node=node,
                priority=request.priority,
            )
            job_items.add_instances(tx, key, instances)
            record = jobs.written(tx, key, now)
        self.on_submit(key)
        self._wakeups.jobs()
        return record

    @guarded(
        Permission.BROWSE,
        AuditEvent.APPLICATION_ACTIVITY,
        only_refusals="numbers and titles of nodes, no patient data",
    )
    def of_study(self, actor: Actor, request: StudyCommitmentsRequest) -> StudyCommitments:
        """Which nodes have committed to how much of a study."""
        with self._index.read() as reader:
            return StudyCommitments(nodes=commitments.of_study(reader, request.study))

    @guarded(
        Permission.COMMIT,
        AuditEvent.APPLICATION_ACTIVITY,
        only_refusals="the job's submission has its record, and so has each report",
    )
    def begin(self, actor: Actor, record: JobRecord) -> tuple[NodeRecord, Peer]:
        """Whom a job asks, looked up when it runs. Raises as `submit`."""
        node = self._calling.node(record.node)
        return node, self._calling.peer(node, CallService.COMMIT)

    @guarded(Permission.DICOM_REPORT, AuditEvent.APPLICATION_ACTIVITY)
    def report(self, actor: Actor, report: CommitmentReport) -> None:
        """Take a node's report; what it says is durable when this returns.

        Raises `InvalidObjectError` for one that cannot be read or, with a security alert, says two
        things at once; `NotFoundError` for a transaction that nobody asked for, and
        `ForbiddenError`, with a security alert, for another node's.
        """
        found = read_commitment(report.dataset, report.transfer_syntax_uid)
        uid = found.transaction_uid
        about(detail=f"report on storage commitment, transaction {uid}")
        with self._index.read() as reader:
            asked = commitments.asked(reader, report.node, uid)
            is_foreign = asked is None and commitments.asked_of_others(reader, report.node, uid)
        if is_foreign:
            self._alert(actor, f"reports on transaction {uid}, which another node was asked for")
            raise ForbiddenError("another node was asked for this commitment")
        if asked is None:
            raise NotFoundError("nothing was asked under this transaction UID")
        if (report.event_type == SOME_FAILED) is not bool(found.failed):
            words = f"event type {report.event_type} with {len(found.failed)} failed objects"
            self._alert(actor, f"reports on transaction {uid} with a contradiction: {words}")
            raise InvalidObjectError(f"the report contradicts itself: {words}")
        self._take(asked, found)
        if asked.job:
            self.on_report(asked.job)
        self._wakeups.jobs()

    def _take(self, asked: Commitment, found: CommitmentDataset) -> None:
        now = self._clock()
        with self.transaction() as tx:
            good, bad, strange = commitments.take_report(
                tx, asked.key, found.referenced, found.failed, now
            )
            words = f"{good} committed, {bad} not"
            if strange:
                words += f", {strange} that were not asked about"
            about(
                detail=f"{asked.node_title} reports on storage commitment,"
                f" transaction {asked.transaction_uid}: {words}"
            )
            if asked.job:
                jobs.due(tx, asked.job, now)

    def _alert(self, actor: Actor, words: str) -> None:
        record = new_record(
            AuditEvent.SECURITY_ALERT,
            "commitments.report",
            self._clock(),
            actor=actor.name,
            kind=actor.kind,
            origin=actor.origin,
            outcome=AuditOutcome.REFUSED,
            detail=words,
        )
        with self._index.write() as tx:
            audit.append(tx, record)
        log.warning("a report on a storage commitment is refused: see the audit records")
