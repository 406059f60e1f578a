"""Known nodes: who may call, from where, and for which services. An empty list means nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tuipacs.dimse.contract import Caller
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.admission import Admission, UnknownCallers
from tuipacs.domain.ae_title import ae_title_fault, check_ae_title, strip_ae_title
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.fingerprint import check_fingerprint, short_fingerprint
from tuipacs.domain.network import check_node_address, match_length
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NODE_RIGHTS, NodeService, Permission
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, NotFoundError, TuipacsError, UsageError
from tuipacs.index import nodes, users
from tuipacs.index.database import Index
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import NodeAddRequest, NodeList, NodeRemoveRequest
from tuipacs.services.guard import Service, about, before_login, guarded

log = logging.getLogger(__name__)

MAX_DESCRIPTION = 200  # characters
_REMEMBERED = 1000  # callers; asked for each request, and seldom another one
ANOTHER_CERTIFICATE = "this node is bound to another certificate than the one shown"

_STRANGERS = {
    UnknownCallers.ECHO: frozenset({NodeService.ECHO}),
    UnknownCallers.STORE: frozenset({NodeService.ECHO, NodeService.STORE}),
    UnknownCallers.REFUSE: frozenset[NodeService](),
}


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
    ) -> None:
        super().__init__(index, clock)
        self._strangers = _STRANGERS[unknown_callers]
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
        """All known nodes by AE title."""
        return NodeList(nodes=self._read_table().nodes)

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)  # 110128, Network Configuration
    def add(self, actor: Actor, request: NodeAddRequest) -> NodeRecord:
        """Make a node known.

        Raises `UsageError` for a malformed title, address or certificate hash or an empty list of
        services, and `ConflictError` if this title is known from this address already.
        """
        about(detail=f"node {clean(request.ae_title, limit=40)} {clean(request.address, limit=60)}")
        ae_title = check_ae_title(request.ae_title)
        address = check_node_address(request.address)
        services = tuple(service for service in NodeService if service in request.services)
        if not services:
            raise UsageError("a node that may do nothing is of no use", remedy="allow a service")
        if len(request.description) > MAX_DESCRIPTION:
            raise UsageError(f"the description is longer than {MAX_DESCRIPTION} characters")
        wanted = NodeRecord(
            key=0,
            ae_title=ae_title,
            address=address,
            services=services,
            description=request.description,
            created_at=self._clock(),
            certificate_sha256=check_fingerprint(request.certificate_sha256),
            require_tls=request.require_tls,
            require_identity=request.require_identity,
        )
        about(detail=f"node {_words(wanted)}: {', '.join(services)}")
        with self.transaction() as tx:
            if nodes.node_exists(tx, ae_title, address):
                raise ConflictError(
                    f"{ae_title} is known from {address or 'any address'} already",
                    remedy=f"remove it first: tuipacs node remove {ae_title}",
                )
            record = nodes.node(tx, nodes.add_node(tx, wanted))
        self._changed()
        if record is None:
            raise AssertionError("a node vanished inside its own transaction")
        return record

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def remove(self, actor: Actor, request: NodeRemoveRequest) -> Empty:
        """Forget a node; the listener ends its associations. Raises `NotFoundError`."""
        with self.transaction() as tx:
            record = nodes.node(tx, request.key)
            if record is None:
                raise NotFoundError("there is no such node")
            about(detail=f"node {_words(record)}")
            nodes.remove_node(tx, request.key)
        self._changed()
        return Empty()

    @before_login("it is what tells who a DICOM peer is; no right is used")
    def admit(self, caller: Caller) -> Admission:
        """Who calls, and what is open to them; asked again for each request.

        With a user, that account has to be there and enabled still.
        """
        if caller.user and not self._is_enabled(caller.user):
            reason = "the account of its user identity may not act any more"
            return _admission(
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
            admission = table.admissions[who] = self._judge(table.nodes, *who)
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

    def _judge(
        self,
        known: tuple[NodeRecord, ...],
        title: str,
        address: str,
        is_tls: bool,
        certificate_sha256: str,
        user: str,
    ) -> Admission:
        titled = [node for node in known if node.ae_title == title]
        best = max(titled, key=lambda node: match_length(node.address, address), default=None)
        if best is not None and match_length(best.address, address) >= 0:
            fault = _proof_fault(best, is_tls, certificate_sha256)
            if fault:
                return _admission(title, address, frozenset(), reason=fault)
            found = _admission(title, address, frozenset(best.services), known=True, user=user)
            return msgspec.structs.replace(
                found,
                by_certificate=bool(best.certificate_sha256),
                require_identity=best.require_identity,
            )
        if ae_title_fault(title):
            return _admission(
                title, address, frozenset(), reason=f"the calling AE title {ae_title_fault(title)}"
            )
        if not titled:
            return _admission(
                title, address, self._strangers, reason="the calling AE title is not a known node"
            )
        # Whatever strangers may do: what is stored under a node's name is taken for the node's.
        reason = "the calling AE title is known, but not from this address"
        open_to_it = self._strangers & {NodeService.ECHO}
        if open_to_it != self._strangers:
            reason += ": it may echo at most"
        return _admission(title, address, open_to_it, reason=reason)

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


def _words(node: NodeRecord) -> str:
    parts = [f"{node.ae_title} {node.address or 'any address'}"]
    if node.certificate_sha256:
        parts.append(f"certificate {node.certificate_sha256}")
    if node.require_tls:
        parts.append("TLS required")
    if node.require_identity:
        parts.append("user identity required")
    return ", ".join(parts)


def _proof_fault(node: NodeRecord, is_tls: bool, certificate_sha256: str) -> str:
    """Why a caller with the node's title and address is not the node; empty if it is."""
    if not node.needs_tls or (is_tls and not node.certificate_sha256):
        return ""
    if not is_tls:
        what = "is bound to a certificate" if node.certificate_sha256 else "has to use TLS"
        return f"this node {what}, and the connection has no TLS"
    if not certificate_sha256:
        return "this node is bound to a certificate, and the caller showed none"
    if certificate_sha256 != node.certificate_sha256:
        shown = short_fingerprint(certificate_sha256)
        return f"{ANOTHER_CERTIFICATE} (SHA-256 {shown})"
    return ""


def _admission(
    title: str,
    address: str,
    services: frozenset[NodeService],
    *,
    known: bool = False,
    reason: str = "",
    user: str = "",
) -> Admission:
    name = clean(title, limit=40)
    return Admission(
        actor=Actor(
            kind=ActorKind.PEER,
            # No AE title holds a backslash (PS3.5 6.2): the audit log can be taken apart again.
            name=f"{name}\\{user}" if user else name,
            permissions=frozenset(NODE_RIGHTS[service] for service in services),
            origin=Origin(address=address),
        ),
        known=known,
        services=services,
        reason=reason,
    )
