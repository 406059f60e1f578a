"""Retrieving from other nodes: asked for here, done by a durable job in the lane of the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobKind, JobPriority, JobRecord, and_more, counted
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import NodeService, Permission
from tuipacs.domain.remote import HERE
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import jobs
from tuipacs.index.database import Index
from tuipacs.schema.remote_messages import RetrieveRequest, RetrieveTarget
from tuipacs.scu.requestor import Peer
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.wakeups import Wakeups

MAX_TARGETS = 10_000


class RetrievePayload(Struct, frozen=True, kw_only=True):
    """What a retrieve job is to do. ``destination``: HERE, or the key of another node."""

    targets: tuple[RetrieveTarget, ...]
    destination: int = HERE
    destination_since: float = 0.0  # of that very node: a key may come to mean another
    only_missing: bool = True


@dataclass(frozen=True)
class Ends:
    """Between whom a job moves objects; ``to`` is None for here. ``ways``: how, best first."""

    source: NodeRecord
    to: NodeRecord | None
    ways: tuple[CallService, ...]


class Retrievals(Service):
    """The way in from other nodes, when we ask for it."""

    def __init__(self, index: Index, clock: Clock, wakeups: Wakeups, calling: Calling) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self._calling = calling
        self.on_submit: Callable[[int], None] = lambda key: None

    @guarded(Permission.RETRIEVE, AuditEvent.BEGIN_TRANSFERRING)
    def submit(self, actor: Actor, request: RetrieveRequest) -> JobRecord:
        """Queue a retrieval. What the source does not have is told by the job.

        Raises `NotFoundError` for no such node, `UsageError` for one that is not set up for it:
        a source has to be queried, for counts are not believed, and to be asked to move or get.
        """
        if not 1 <= len(request.targets) <= MAX_TARGETS:
            raise UsageError(f"a retrieval takes 1 to {MAX_TARGETS} targets")
        targets = tuple(_checked(target) for target in request.targets)
        if request.destination == request.node:
            raise UsageError("the source and the destination are the same node")
        ends = self._ends(request.node, request.destination)
        source, to = ends.source, ends.to
        studies = tuple(dict.fromkeys(target.study_instance_uid for target in targets))
        where = to.ae_title if to else "here"
        title = f"retrieve {_what(targets)} from {source.ae_title} to {where}: {and_more(studies)}"
        about(study_instance_uid=studies[0] if len(studies) == 1 else "", detail=title)
        payload = RetrievePayload(
            targets=tuple(dict.fromkeys(targets)),
            destination=request.destination,
            destination_since=to.created_at if to else 0.0,
            only_missing=request.only_missing,
        )
        now = self._clock()
        with self.transaction() as tx:
            key = jobs.add(
                tx,
                JobKind.RETRIEVE,
                title,
                msgspec.json.encode(payload).decode(),
                actor.name,
                now,
                node=source,
                priority=JobPriority(request.priority),
            )
            record = jobs.written(tx, key, now)
        self.on_submit(key)
        self._wakeups.jobs()
        return record

    @guarded(
        Permission.RETRIEVE,
        AuditEvent.BEGIN_TRANSFERRING,
        only_refusals="recorded when it was submitted",
    )
    def ends(self, actor: Actor, source: int, payload: RetrievePayload) -> Ends:
        """Source and destination, looked up when the job runs. Raises as `submit` does."""
        if payload.destination != HERE:
            to = self._calling.find(payload.destination)
            if to is None or to.created_at != payload.destination_since:
                raise NotFoundError("the node that it was to go to is not there any more")
        return self._ends(source, payload.destination)

    def _ends(self, key: int, destination: int) -> Ends:
        source = self._calling.node(key)
        self._calling.peer(source, CallService.QUERY)
        if destination != HERE:
            to = self._calling.node(destination)
            self._calling.peer(source, CallService.MOVE)
            return Ends(source, to, (CallService.MOVE,))
        asked = source.call.services
        ways = []
        if CallService.MOVE in asked and NodeService.STORE in source.services:
            ways.append(CallService.MOVE)
        if CallService.GET in asked:
            ways.append(CallService.GET)
        if not ways:
            what = "may not store here" if CallService.MOVE in asked else "is not asked to move"
            raise UsageError(
                f"{source.ae_title} {what}, and is not asked for get",
                remedy=f"tuipacs node edit {source.ae_title} --help",
            )
        return Ends(source, None, tuple(ways))

    @guarded(
        Permission.RETRIEVE,
        AuditEvent.BEGIN_TRANSFERRING,
        only_refusals="recorded when it was submitted",
    )
    def peer(self, actor: Actor, node: NodeRecord, service: CallService) -> Peer:
        """Whom to call. Raises as `Calling.peer` does."""
        return self._calling.peer(node, service)


def _checked(target: RetrieveTarget) -> RetrieveTarget:
    uids = (target.study_instance_uid, target.series_instance_uid, target.sop_instance_uid)
    if target.sop_instance_uid and not target.series_instance_uid:
        raise UsageError("an instance is named with its study and its series")
    longest = MAX_KEPT_UID_LENGTH
    if not uids[0] or not all(is_usable_uid(uid, longest=longest) for uid in uids if uid):
        raise UsageError("a target has a UID that is none")
    return target


def _what(targets: tuple[RetrieveTarget, ...]) -> str:
    """ "2 studies", "1 series", "1 study and 3 objects"."""
    objects = sum(bool(target.sop_instance_uid) for target in targets)
    series = sum(bool(target.series_instance_uid) for target in targets) - objects
    studies = len(targets) - series - objects
    counts = (
        counted(studies, "study", "studies") if studies else "",
        counted(series, "series", "series") if series else "",
        counted(objects, "object") if objects else "",
    )
    return " and ".join(count for count in counts if count)
