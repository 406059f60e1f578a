"""The audit log's word on what a job has sent: one record for each study, never one twice.

PS3.15 A.5.3.3 and A.5.3.7: "Begin Transferring DICOM Instances" says what was meant to be sent,
"DICOM Instances Transferred" what was, and one record is about one patient. Not "Export": that is
for what leaves the security domain, and a node that an administrator entered is within it.
"""

from __future__ import annotations

import msgspec

from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.job import ROUTING_SUBMITTER, JobKind, JobRecord
from tuipacs.index import audit, job_items, jobs
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.job_items import StudyCount

_Told = dict[int, tuple[int, int]]  # study -> (sent, failed) as the log has it


def has_intent(reader: Reader, job: JobRecord) -> bool:
    """Whether it was written what a job is to send."""
    return bool(jobs.checkpoint(reader, job.key))


def record_intent(tx: Transaction, job: JobRecord, actor: Actor, operation: str) -> None:
    """Write what a new job is to send, and that this was written."""
    jobs.update(tx, job.key, checkpoint=msgspec.json.encode({}))
    for study in job_items.by_study(tx, job.key):
        record = new_record(
            AuditEvent.BEGIN_TRANSFERRING,
            operation,
            job.created_at,
            actor=actor.name,
            kind=actor.kind,
            role=actor.role.value if actor.role else "",
            origin=actor.origin,
            detail=f"{_objects(study.total)} to {job.node_title} (job {job.key})",
            about=_about(study),
        )
        audit.append(tx, record)


def record_transfers(tx: Transaction, job: JobRecord, at: float) -> None:
    """Write what a job that stops running, or ends, has sent since it was last told."""
    if job.kind is not JobKind.SEND:
        return
    kept = jobs.checkpoint(tx, job.key)
    told = msgspec.json.decode(kept, type=_Told) if kept else {}
    now: _Told = {}
    for study in job_items.by_study(tx, job.key):
        sent, failed = now[study.study] = (study.sent, study.failed)
        before = told.get(study.study, (0, 0))
        if sent == before[0] and not (job.state.ended and failed != before[1]):
            now[study.study] = before
            continue
        words = f"{sent} of {_objects(study.total)} sent to {job.node_title} (job {job.key})"
        if failed:
            words += f", {failed} failed"
        is_routed = job.submitted_by == ROUTING_SUBMITTER
        record = new_record(
            AuditEvent.INSTANCES_TRANSFERRED,
            "send.run",
            at,
            actor=job.submitted_by,
            kind=ActorKind.SYSTEM if is_routed else ActorKind.USER,
            outcome=AuditOutcome.FAILURE if failed else AuditOutcome.SUCCESS,
            detail=words,
            about=_about(study),
        )
        audit.append(tx, record)
    if now != told:
        jobs.update(tx, job.key, checkpoint=msgspec.json.encode(now))


def _about(study: StudyCount) -> tuple[str, str, str]:
    return study.patient_id[:64], study.study_instance_uid, ""


def _objects(count: int) -> str:
    return f"{count} object" + ("" if count == 1 else "s")
