"""Sending stored objects to another node: asked for here, done by a durable job."""

from __future__ import annotations

from collections.abc import Callable

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobRecord, and_more, objects_of
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ForbiddenError, NotFoundError, UsageError
from tuipacs.index import job_items, jobs, outgoing
from tuipacs.index.database import Index, Reader
from tuipacs.schema.job_messages import SendRequest
from tuipacs.scu.requestor import Peer
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.transfer_records import has_intent, record_intent
from tuipacs.services.wakeups import Wakeups

MAX_UIDS = 10_000
MAX_INSTANCES = 1_000_000


class Send(Service):
    """The way out to other nodes."""

    def __init__(self, index: Index, clock: Clock, wakeups: Wakeups, calling: Calling) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self._calling = calling
        self.on_submit: Callable[[int], None] = lambda key: None

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING)
    def submit(self, actor: Actor, request: SendRequest) -> JobRecord:
        """Queue the sending of what the UIDs name; the record is one for each study.

        Raises `NotFoundError` for a UID that names nothing or an unknown node, `UsageError` for a
        node that is not to be sent to, or that is this archive itself, and for what would mix
        patients or objects (see `named_instances`).
        """
        about(detail=_title(request.uids, request.ae_title or f"node {request.node}"))
        if not 1 <= len(request.uids) + len(request.rows) <= MAX_UIDS:
            raise UsageError(f"a send job takes 1 to {MAX_UIDS} UIDs or rows")
        node = self._calling.named(request.node, request.ae_title)
        about(detail=_title(request.uids, node.ae_title))
        self._check(actor, node, commit=request.commit)
        with self._index.read() as reader:
            instances = named_instances(reader, request)
            studies = outgoing.study_uids(reader, instances)
        what = objects_of(len(instances), len(studies))
        uids = clean(and_more(request.uids or studies), limit=80)
        now = self._clock()
        with self.transaction() as tx:
            key = job_items.add_send_job(
                tx,
                node=node,
                instances=instances,
                title=f"send {what} to {node.ae_title}: {uids}",
                submitted_by=actor.name,
                at=now,
                priority=request.priority,
                commit=request.commit,
            )
            record = jobs.written(tx, key, now)
            record_intent(tx, record, actor, "send.submit")
            covered()  # by one for each study
        self.on_submit(key)
        self._wakeups.jobs()
        return record

    def _check(self, actor: Actor, node: NodeRecord, *, commit: bool) -> None:
        self._calling.peer(node, CallService.SEND)
        if commit:
            if Permission.COMMIT not in actor.permissions:
                raise ForbiddenError(f"{actor.name} may not ask for commitment")
            self._calling.peer(node, CallService.COMMIT)

    @guarded(
        Permission.SEND,
        AuditEvent.BEGIN_TRANSFERRING,
        only_refusals="writes one record for each study, when the job is queued or first runs",
    )
    def begin(self, actor: Actor, record: JobRecord) -> tuple[NodeRecord, Peer]:
        """Whom a job calls, looked up when it runs: the right to, and the way there, may have gone.

        Raises as `submit` does.
        """
        node = self._calling.node(record.node)
        peer = self._calling.peer(node, CallService.SEND)
        with self._index.read() as reader:
            is_recorded = has_intent(reader, record)
        if not is_recorded:  # a routing rule's
            with self.transaction() as tx:
                record_intent(tx, record, actor, "send.begin")
        return node, peer


def named_instances(reader: Reader, request: SendRequest) -> list[int]:
    """Instances in the order of UIDs and rows, each once.

    Raises `NotFoundError`, and `UsageError` where UIDs name the objects of several patients under
    one Study Instance UID. Rows are exact, but no job holds two objects of one SOP Instance UID,
    rows or not: who gets them cannot keep both, and a commitment would not say to which.
    """
    instances: dict[int, None] = {}
    for uid in dict.fromkeys(uid.strip() for uid in request.uids):
        found = (
            outgoing.named(reader, studies=(uid,))
            or outgoing.named(reader, series=(uid,))
            or outgoing.named(reader, instances=(uid,))
        )
        if not uid or not found:
            raise NotFoundError(f"nothing in the archive has the UID {clean(uid, limit=64)}")
        instances.update(dict.fromkeys(found))
    if shared := outgoing.shared_study_uid(reader, list(instances)):
        raise UsageError(
            f"the Study Instance UID {clean(shared, limit=64)} is of several patients here",
            remedy="choose it on the archive screen, or name series or objects of one patient",
        )
    for row in dict.fromkeys(request.rows):
        found = outgoing.of_row(reader, row.level, row.key)
        if not found:
            raise NotFoundError("what was marked is not in the archive any more")
        instances.update(dict.fromkeys(found))
    if len(instances) > MAX_INSTANCES:
        raise UsageError(f"a send job takes at most {MAX_INSTANCES} objects")
    chosen = list(instances)
    if repeated := outgoing.repeated_uid(reader, chosen):
        raise UsageError(
            f"several of these objects have the SOP Instance UID {clean(repeated, limit=64)}",
            remedy="name one study, or choose one row on the archive screen, a job for each",
        )
    return chosen


def _title(uids: tuple[str, ...], to: str) -> str:
    """ "send 1.2.3 and 4 more to PACS2"."""
    what = and_more((clean(uids[0].strip(), limit=64), *uids[1:])) if uids else "what was marked"
    return f"send {what} to {clean(to, limit=64)}"
