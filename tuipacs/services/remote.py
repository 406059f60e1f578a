"""Asking other archives, many at once, and holding what they have against what is here.

`start` and `compare` begin; `poll` gives what has come since. The threads that ask end by
themselves; whoever stops looking is taken to have cancelled.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable

import msgspec

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Permission
from tuipacs.domain.remote import HERE, MAX_NODES, NodeState, RemoteQuery
from tuipacs.domain.remote_keys import Key, questions_of
from tuipacs.domain.safe_text import clean
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import TuipacsError, UsageError
from tuipacs.index import holdings, nodes
from tuipacs.index.database import Index
from tuipacs.schema.messages import PAGE_LIMIT, Empty
from tuipacs.schema.remote_messages import (
    CompareStart,
    Holdings,
    HoldingsRequest,
    RemoteAnswers,
    RemoteNode,
    RemoteNodes,
    RemotePoll,
    RemoteStart,
    RemoteTask,
)
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.node_checks import Checks
from tuipacs.services.remote_asking import NODE_SECONDS, ask
from tuipacs.services.remote_compare import compare_study
from tuipacs.services.remote_here import ask_here
from tuipacs.services.remote_tasks import Part, Task, Tasks

log = logging.getLogger(__name__)

MAX_THREADS = 32
MAX_UIDS = 1000
_LOCAL = "here"
_LOOKS = "what it gives is of a query that is recorded"


class Remote(Service):
    """Queries across nodes (C-FIND as the asker, PS3.4 C.4.1)."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        calling: Calling,
        tasks: Tasks,
        checks: Checks,
        *,
        node_seconds: float = NODE_SECONDS,
    ) -> None:
        super().__init__(index, clock)
        self._calling = calling
        self._node_seconds = node_seconds
        self._tasks = tasks
        self._checks = checks
        self._turns = threading.BoundedSemaphore(MAX_THREADS)

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY, only_refusals="no patient data")
    def nodes(self, actor: Actor, request: Empty) -> RemoteNodes:
        """The nodes that can be called, and for what."""
        with self._index.read() as reader:
            found = nodes.all_nodes(reader)
        answers = {
            health.key: health.reached
            for health in self._checks.health(found, {})
            if health.checked_at
        }
        return RemoteNodes(
            nodes=tuple(
                RemoteNode(
                    key=node.key,
                    ae_title=node.ae_title,
                    description=node.description,
                    services=node.call.services,
                    answers=answers.get(node.key),
                )
                for node in found
                if node.call.host
            )
        )

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY)
    def start(self, actor: Actor, request: RemoteStart) -> RemoteTask:
        """Begin to ask. What keeps one node from answering is told of that node alone.

        Raises `UsageError` for a form that asks for nothing, `NotFoundError` for no such node.
        """
        keys = tuple(dict.fromkeys(request.nodes))
        if not 1 <= len(keys) <= MAX_NODES:
            raise UsageError(f"a query asks 1 to {MAX_NODES} nodes")
        today = dt.datetime.fromtimestamp(self._clock()).astimezone().date()
        questions = questions_of(request.query, today)
        asked = {key: self._calling.node(key) for key in keys if key != HERE}
        titles = [(key, asked[key].ae_title if key in asked else _LOCAL) for key in keys]
        _about_query(request.query, questions, [title for _, title in titles])
        task = Task(_owner(actor), titles, self._clock())
        task.query = request.query
        self._tasks.add(task)
        for part in task.parts:
            node = asked.get(part.node)
            self._run(part, self._asker(part, node, request.query.level, questions))
        return RemoteTask(token=task.token)

    def _asker(
        self,
        part: Part,
        node: NodeRecord | None,
        level: Level,
        questions: tuple[tuple[Key, ...], ...],
    ) -> Callable[[], None]:
        if node is None:
            return lambda: ask_here(part, self._index, level, questions)

        def run() -> None:
            peer = self._calling.peer(node, CallService.QUERY)
            ask(part, peer, level, questions, node.character_set)

        return run

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY)
    def compare(self, actor: Actor, request: CompareStart) -> RemoteTask:
        """Begin to list a study at a node, series by series, down to its SOP Instance UIDs."""
        uid = request.study_instance_uid.strip()
        if not is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH):
            raise UsageError("that is no study UID")
        node = self._calling.node(request.node)
        about(study_instance_uid=uid, detail=f"every instance at {node.ae_title}, to compare")
        task = Task(_owner(actor), [(node.key, node.ae_title)], self._clock())
        self._tasks.add(task)
        (part,) = task.parts

        def run() -> None:
            peer = self._calling.peer(node, CallService.QUERY)
            compare_study(task, part, self._index, peer, uid, node.character_set)

        self._run(part, run)
        return RemoteTask(token=task.token)

    def _run(self, part: Part, asker: Callable[[], None]) -> None:
        def run() -> None:
            try:
                with self._turns:
                    if not part.ended:
                        part.begins(self._node_seconds)
                        asker()
            except TuipacsError as error:  # what it is set up for, or TLS files
                state = NodeState.REFUSED if isinstance(error, UsageError) else NodeState.FAILED
                remedy = f" ({error.remedy})" if error.remedy else ""
                part.end(state, error.message + remedy)
            except Exception:  # a bug ends one node's part, and nobody waits for it forever
                log.exception("asking a node failed by a bug")
                part.end(NodeState.FAILED, "an internal error: see the log")
            finally:
                self._index.close()

        threading.Thread(target=run, name=f"query {part.node}", daemon=True).start()

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY, only_refusals=_LOOKS)
    def poll(self, actor: Actor, request: RemotePoll) -> RemoteAnswers:
        """What has come since. Raises `NotFoundError` for a query that is forgotten."""
        if request.after < 0:
            raise UsageError("a place in the answers is 0 or more")
        task = self._tasks.of(request.token, _owner(actor))
        rows, series, end, finished = task.since(request.after, PAGE_LIMIT)
        if rows:
            with self._index.read() as reader:
                here = holdings.counts(reader, rows[0].level, {row.uid for row in rows})
            rows = tuple(msgspec.structs.replace(row, here=here.get(row.uid, 0)) for row in rows)
        return RemoteAnswers(
            nodes=tuple(part.answer for part in task.parts),
            rows=rows,
            series=series,
            next=end,
            finished=finished,
        )

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY, only_refusals="ends what is recorded")
    def cancel(self, actor: Actor, request: RemoteTask) -> Empty:
        """Ask every node that still answers to stop; what has come can still be polled."""
        self._tasks.of(request.token, _owner(actor)).stop("cancelled")
        return Empty()

    @guarded(Permission.QUERY_NODES, AuditEvent.QUERY, only_refusals=_LOOKS)
    def here(self, actor: Actor, request: HoldingsRequest) -> Holdings:
        """How much is here by now of what a query has found elsewhere."""
        if len(request.uids) > MAX_UIDS:
            raise UsageError(f"more than {MAX_UIDS} UIDs")
        if request.level is Level.PATIENT:
            raise UsageError("a patient has no UID")
        with self._index.read() as reader:
            found = holdings.counts(reader, request.level, request.uids)
        return Holdings(counts=tuple(found.get(uid, 0) for uid in request.uids))


def _owner(actor: Actor) -> tuple[str, int]:
    return actor.name, actor.session_key


def _about_query(
    query: RemoteQuery, questions: tuple[tuple[Key, ...], ...], titles: list[str]
) -> None:
    words = ", ".join(f"{key.keyword}={clean(key.text, limit=80)}" for key in questions[0])
    uids = query.study_instance_uids
    about(
        patient_id="" if "*" in query.patient_id else query.patient_id.strip().strip('"')[:64],
        study_instance_uid=uids[0].strip()[:64] if len(uids) == 1 else "",
        detail=f"{query.level.value} at {', '.join(titles)}: {words}",
    )
