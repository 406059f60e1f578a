"""Known nodes: who may call, from where, and for which services. An empty list means nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.admission import Admission, UnknownCallers
from tuipacs.domain.ae_title import ae_title_fault, check_ae_title, strip_ae_title
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.network import check_node_address, match_length
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NODE_RIGHTS, NodeService, Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, NotFoundError, UsageError
from tuipacs.index import nodes
from tuipacs.index.database import Index
from tuipacs.schema.messages import Empty, NodeAddRequest, NodeList, NodeRemoveRequest
from tuipacs.services.guard import Service, about, before_login, guarded

MAX_DESCRIPTION = 200  # characters

_STRANGERS = {
    UnknownCallers.ECHO: frozenset({NodeService.ECHO}),
    UnknownCallers.STORE: frozenset({NodeService.ECHO, NodeService.STORE}),
    UnknownCallers.REFUSE: frozenset[NodeService](),
}


class Nodes(Service):
    """The node table. A change counts at once; `on_change` makes the listener obey it."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        *,
        unknown_callers: UnknownCallers = UnknownCallers.ECHO,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(index, clock)
        self._strangers = _STRANGERS[unknown_callers]
        self.on_change = on_change  # called after each commit, without arguments
        self._lock = threading.Lock()
        self._known: tuple[NodeRecord, ...] | None = None  # what the table holds; read on demand

    @guarded(
        Permission.VIEW_NODES,
        AuditEvent.SECURITY_ALERT,
        only_refusals="reading the configuration reveals no patient data",
    )
    def list(self, actor: Actor, request: Empty) -> NodeList:
        """All known nodes by AE title."""
        return NodeList(nodes=self._nodes())

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)  # 110128, Network Configuration
    def add(self, actor: Actor, request: NodeAddRequest) -> NodeRecord:
        """Make a node known.

        Raises `UsageError` for a malformed title, address or an empty list of services, and
        `ConflictError` if this title is known from this address already.
        """
        about(detail=f"node {clean(request.ae_title, limit=40)} {clean(request.address, limit=60)}")
        ae_title = check_ae_title(request.ae_title)
        address = check_node_address(request.address)
        services = tuple(service for service in NodeService if service in request.services)
        if not services:
            raise UsageError("a node that may do nothing is of no use", remedy="allow a service")
        if len(request.description) > MAX_DESCRIPTION:
            raise UsageError(f"the description is longer than {MAX_DESCRIPTION} characters")
        about(detail=f"node {ae_title} {address or 'any address'}: {', '.join(services)}")
        with self._lock:
            with self.transaction() as tx:
                if nodes.node_exists(tx, ae_title, address):
                    raise ConflictError(
                        f"{ae_title} is known from {address or 'any address'} already"
                    )
                key = nodes.add_node(
                    tx, ae_title, address, services, request.description, self._clock()
                )
                record = nodes.node(tx, key)
            self._known = None
        self.on_change()
        if record is None:
            raise AssertionError("a node vanished inside its own transaction")
        return record

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def remove(self, actor: Actor, request: NodeRemoveRequest) -> Empty:
        """Forget a node; the listener ends its associations. Raises `NotFoundError`."""
        with self._lock:
            with self.transaction() as tx:
                record = nodes.node(tx, request.key)
                if record is None:
                    raise NotFoundError("there is no such node")
                about(detail=f"node {record.ae_title} {record.address or 'any address'}")
                nodes.remove_node(tx, request.key)
            self._known = None
        self.on_change()
        return Empty()

    @before_login("it is what tells who a DICOM peer is; no right is used")
    def peer(self, calling_ae_title: str, address: str) -> Admission:
        """Who calls, and what is open to them. ``address`` as of `caller_address`.

        A known AE title from another address is not known. Of several nodes that fit, the one with
        the closest address counts.
        """
        title = strip_ae_title(calling_ae_title)
        titled = [node for node in self._nodes() if node.ae_title == title]
        best = max(titled, key=lambda node: match_length(node.address, address), default=None)
        if best is not None and match_length(best.address, address) >= 0:
            return self._admission(title, address, frozenset(best.services), known=True)
        if ae_title_fault(title):
            return self._admission(
                title, address, frozenset(), reason=f"the calling AE title {ae_title_fault(title)}"
            )
        reason = (
            "the calling AE title is known, but not from this address"
            if titled
            else "the calling AE title is not a known node"
        )
        return self._admission(title, address, self._strangers, reason=reason)

    def _nodes(self) -> tuple[NodeRecord, ...]:
        with self._lock:
            if self._known is None:
                with self._index.read() as reader:
                    self._known = nodes.all_nodes(reader)
            return self._known

    @staticmethod
    def _admission(
        title: str,
        address: str,
        services: frozenset[NodeService],
        *,
        known: bool = False,
        reason: str = "",
    ) -> Admission:
        return Admission(
            actor=Actor(
                kind=ActorKind.PEER,
                name=clean(title, limit=40),
                permissions=frozenset(NODE_RIGHTS[service] for service in services),
                origin=Origin(address=address),
            ),
            known=known,
            services=services,
            reason=reason,
        )
