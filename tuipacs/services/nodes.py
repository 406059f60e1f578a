"""Known nodes: who may call, from where, and for which services. An empty list means nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tuipacs.dimse.contract import Caller
from tuipacs.domain.actor import Actor
from tuipacs.domain.admission import Admission, UnknownCallers
from tuipacs.domain.ae_title import strip_ae_title
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.network import match_length
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import RungResult
from tuipacs.domain.node_words import added_words, change_words, endpoint, id_words
from tuipacs.domain.permissions import Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, NotFoundError, TuipacsError, UsageError
from tuipacs.index import nodes, users
from tuipacs.index.database import Index
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import (
    MAX_NODES,
    NodeAddAllRequest,
    NodeAdded,
    NodeAddRequest,
    NodeEditRequest,
    NodeList,
    NodeRemoveRequest,
    NodeTestProgressRequest,
    NodeTestReport,
    NodeTestRequest,
)
from tuipacs.services.calling import Calling
from tuipacs.services.guard import Service, about, before_login, guarded, note
from tuipacs.services.node_changes import add_one, as_seen, check_free, naming, who
from tuipacs.services.node_check import checked
from tuipacs.services.node_checks import Checks
from tuipacs.services.node_judging import STRANGERS, admission, judge
from tuipacs.services.node_test import climb, echo

log = logging.getLogger(__name__)

_REMEMBERED = 1000  # callers; asked for each request, and seldom another one


@dataclass(frozen=True)
class _Table:
    """What the table holds, and what was concluded from it. Goes as a whole at each change."""

    nodes: tuple[NodeRecord, ...]
    admissions: dict[tuple[str, str, bool, str, str], Admission] = field(default_factory=dict)
    expected: dict[str, bool] = field(default_factory=dict)  # by address


class Nodes(Service):
    """The node table. A change counts at once; `on_change` makes the listener obey it."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        *,
        unknown_callers: UnknownCallers = UnknownCallers.ECHO,
        calling: Calling | None = None,
        checks: Checks | None = None,
    ) -> None:
        super().__init__(index, clock)
        self._calling = calling or Calling(index, "TUIPACS", None)
        self._checks = checks or Checks()
        self._strangers = STRANGERS[unknown_callers]
        self.on_change: Callable[[], None] = lambda: None  # called after each commit
        self._lock = threading.Lock()  # held for moments only, never over a transaction
        self._changes = 0
        self._table: _Table | None = None  # read on demand

    @guarded(
        Permission.VIEW_NODES,
        AuditEvent.SECURITY_ALERT,
        only_refusals="reading the configuration reveals no patient data",
    )
    def list(self, actor: Actor, request: Empty) -> NodeList:
        """All known nodes by AE title, and what is known of how they are."""
        known = self._read_table().nodes
        with self._index.read() as reader:
            jobs = nodes.open_jobs(reader)
        return NodeList(nodes=known, health=self._checks.health(known, jobs))

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)  # 110128, Network Configuration
    def add(self, actor: Actor, request: NodeAddRequest) -> NodeRecord:
        """Make a node known.

        Raises `UsageError` for a malformed title, address or certificate hash or an empty list of
        services, and `ConflictError` if this title is known from this address already.
        """
        about(detail=who(request))
        wanted = self._wanted(request)
        about(detail=added_words(wanted))
        with self.transaction() as tx:
            record = add_one(tx, wanted)
        self._changed()
        return record

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def add_all(self, actor: Actor, request: NodeAddAllRequest) -> NodeAdded:
        """Make many nodes known, each with an audit record of its own; or none of them.

        Raises as `add`, naming the node, and `UsageError` for no or too many of them.
        """
        source = clean(request.source, limit=80) or "a list"
        about(detail=f"{len(request.nodes)} nodes from {source}")
        if not 1 <= len(request.nodes) <= MAX_NODES:
            raise UsageError(f"1 to {MAX_NODES} nodes can be added at once")
        wanted = []
        for one in request.nodes:
            with naming(one):
                wanted.append(self._wanted(one))
        records = []
        with self.transaction() as tx:
            for one, record in zip(request.nodes, wanted, strict=True):
                with naming(one):
                    records.append(add_one(tx, record))
                note(tx, f"{added_words(record)} (from {source})")
        self._changed()
        return NodeAdded(nodes=tuple(records))

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def edit(self, actor: Actor, request: NodeEditRequest) -> NodeRecord:
        """Change a node; the listener obeys at once, jobs with their next association.

        Raises as `add`, `NotFoundError`, and `ConflictError` if somebody else has changed the node
        since it was seen.
        """
        key = request.seen.key
        about(detail=f"{who(request.node)}, key {key}")
        wanted = self._wanted(request.node)
        with self.transaction() as tx:
            before = nodes.node(tx, key)
            if before is None:
                raise NotFoundError("there is no such node any more")
            if as_seen(before) != as_seen(request.seen):
                raise ConflictError(
                    f"{before.ae_title} was changed by somebody else meanwhile",
                    remedy="look at it again, then change it",
                )
            after = msgspec.structs.replace(
                wanted, key=key, created_at=before.created_at, paused=before.paused
            )
            if (before.ae_title, before.address) != (after.ae_title, after.address):
                check_free(tx, after)
            words = change_words(before, after) or "nothing changed"
            about(detail=f"node {before.ae_title} {before.address or 'any address'}: {words}")
            nodes.change_node(tx, after)
        self._changed()
        return after

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def remove(self, actor: Actor, request: NodeRemoveRequest) -> Empty:
        """Forget a node; the listener ends its associations. Raises `NotFoundError`."""
        with self.transaction() as tx:
            record = nodes.node(tx, request.key)
            if record is None:
                raise NotFoundError("there is no such node")
            about(detail=f"node {id_words(record)}")
            nodes.remove_node(tx, request.key)
        self._changed()
        return Empty()

    @guarded(Permission.QUERY_NODES, AuditEvent.NETWORK_ENTRY)
    def echo(self, actor: Actor, request: NodeTestRequest) -> NodeTestReport:
        """Ask a node for one C-ECHO. Raises `NotFoundError`, and `UsageError` if it is never asked.

        One rung: that of the echo, or a lower one that broke; that is a result, not an error.
        """
        node = self._calling.named(request.key, request.ae_title)
        where = f"C-ECHO to {node.ae_title} at {endpoint(node.call)}"
        about(detail=where)
        result = echo(node, self._calling)
        self._checks.seen(node.key, self._clock(), (result,))
        about(detail=f"{where}: {result.words}")
        return _report(node, (result,))

    @guarded(Permission.QUERY_NODES, AuditEvent.NETWORK_ENTRY)
    def test(self, actor: Actor, request: NodeTestRequest) -> NodeTestReport:
        """Climb the ladder of `node_test.climb`. Raises as `echo`.

        What is known already can be asked for meanwhile, by the same person with its ticket.
        """
        node = self._calling.named(request.key, request.ae_title)
        where = f"test of {node.ae_title} at {endpoint(node.call)}"
        about(detail=where)
        with self._checks.running(actor.name, request.ticket) as told:
            rungs = climb(node, self._calling, told)
        self._checks.seen(node.key, self._clock(), rungs)
        about(detail=f"{where}: {', '.join(f'{r.rung} {r.verdict}' for r in rungs)}")
        return _report(node, rungs)

    @guarded(
        Permission.QUERY_NODES,
        AuditEvent.NETWORK_ENTRY,
        only_refusals="the test that it looks at has a record of its own",
    )
    def test_progress(self, actor: Actor, request: NodeTestProgressRequest) -> NodeTestReport:
        """The rungs that are done of one's own running test; none if there is no such test."""
        return NodeTestReport(rungs=self._checks.done(actor.name, request.ticket))

    @before_login("it is what tells who a DICOM peer is; no right is used")
    def admit(self, caller: Caller) -> Admission:
        """Who calls, and what is open to them; asked again for each request.

        With a user, that account has to be there and enabled still.
        """
        if caller.user and not self._is_enabled(caller.user):
            reason = "the account of its user identity may not act any more"
            return admission(
                strip_ae_title(caller.calling_ae_title), caller.address, frozenset(), reason=reason
            )
        return self.peer(
            caller.calling_ae_title,
            caller.address,
            is_tls=caller.is_tls,
            certificate_sha256=caller.certificate_sha256,
            user=caller.user,
        )

    @before_login("it is what tells who a DICOM peer is; no right is used")
    def peer(
        self,
        calling_ae_title: str,
        address: str,
        *,
        is_tls: bool = False,
        certificate_sha256: str = "",
        user: str = "",
    ) -> Admission:
        """Who calls, and what is open to them. ``address`` as of `caller_address`.

        ``certificate_sha256`` of the certificate that the peer has proven to hold, ``user`` whom
        the user identity has proven. A known AE title from another address is not known; one
        without the proof that its node demands may do nothing at all. Of several nodes that fit,
        the one with the closest address counts.
        """
        table = self._read_table()
        who = (strip_ae_title(calling_ae_title), address, is_tls, certificate_sha256, user)
        admission = table.admissions.get(who)
        if admission is None:
            if len(table.admissions) >= _REMEMBERED:
                table.admissions.clear()
            admission = table.admissions[who] = judge(table.nodes, self._strangers, *who)
        return admission

    @before_login("it is what tells who a DICOM peer is; no right is used")
    def expects(self, address: str) -> bool:
        """Whether a node that names its address or network may call from ``address``."""
        try:
            table = self._read_table()
        except TuipacsError as error:
            log.error("the nodes' addresses cannot be read: %s", error.code)
            return False
        expected = table.expected.get(address)
        if expected is None:
            if len(table.expected) >= _REMEMBERED:
                table.expected.clear()
            expected = any(match_length(node.address, address) > 0 for node in table.nodes)
            table.expected[address] = expected
        return expected

    def _wanted(self, request: NodeAddRequest) -> NodeRecord:
        record = checked(request, at=self._clock())
        self._calling.refuse_ourselves(record.call)
        return record

    def _is_enabled(self, user: str) -> bool:
        with self._index.read() as reader:
            account = users.account(reader, user)
        return account is not None and not account.disabled

    def _changed(self) -> None:
        with self._lock:
            self._changes += 1
            self._table = None
        self.on_change()

    def _read_table(self) -> _Table:
        table = self._table
        if table is None:
            before = self._changes
            with self._index.read() as reader:
                table = _Table(nodes.all_nodes(reader))
            with self._lock:
                if self._changes == before:  # else it may be older than the change
                    self._table = table
        return table


def _report(node: NodeRecord, rungs: tuple[RungResult, ...]) -> NodeTestReport:
    return NodeTestReport(ae_title=node.ae_title, endpoint=endpoint(node.call), rungs=rungs)
