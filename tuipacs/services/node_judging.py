"""From the node table to what a caller may do: who it is, and what it has to prove."""

from __future__ import annotations

import msgspec

from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.admission import Admission, UnknownCallers
from tuipacs.domain.ae_title import ae_title_fault
from tuipacs.domain.fingerprint import short_fingerprint
from tuipacs.domain.network import match_length
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import NODE_RIGHTS, NodeService
from tuipacs.domain.safe_text import clean

ANOTHER_CERTIFICATE = "this node is bound to another certificate than the one shown"

STRANGERS = {
    UnknownCallers.ECHO: frozenset({NodeService.ECHO}),
    UnknownCallers.STORE: frozenset({NodeService.ECHO, NodeService.STORE}),
    UnknownCallers.REFUSE: frozenset[NodeService](),
}


def judge(
    known: tuple[NodeRecord, ...],
    strangers: frozenset[NodeService],
    title: str,
    address: str,
    is_tls: bool,
    certificate_sha256: str,
    user: str,
) -> Admission:
    """Who calls under ``title`` from ``address``. Of nodes that fit the closest address counts.

    A node that we ask for storage commitment may report on it (PS3.4 J.3.3), whatever else it may.
    """
    titled = [node for node in known if node.ae_title == title]
    best = max(titled, key=lambda node: match_length(node.address, address), default=None)
    if best is not None and match_length(best.address, address) >= 0:
        fault = _proof_fault(best, is_tls, certificate_sha256)
        if fault:
            return admission(title, address, frozenset(), reason=fault)
        services = frozenset(best.services)
        if CallService.COMMIT in best.call.services:
            services |= {NodeService.REPORT}
        found = admission(title, address, services, known=True, user=user)
        return msgspec.structs.replace(
            found,
            by_certificate=bool(best.certificate_sha256),
            require_identity=best.require_identity,
            character_set=best.character_set,
            max_results=best.max_results,
            node=best.key,
        )
    if ae_title_fault(title):
        return admission(
            title, address, frozenset(), reason=f"the calling AE title {ae_title_fault(title)}"
        )
    if not titled:
        return admission(
            title, address, strangers, reason="the calling AE title is not a known node"
        )
    # Whatever strangers may do: what is stored under a node's name is taken for the node's.
    reason = "the calling AE title is known, but not from this address"
    open_to_it = strangers & {NodeService.ECHO}
    if open_to_it != strangers:
        reason += ": it may echo at most"
    return admission(title, address, open_to_it, reason=reason)


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


def admission(
    title: str,
    address: str,
    services: frozenset[NodeService],
    *,
    known: bool = False,
    reason: str = "",
    user: str = "",
) -> Admission:
    """The caller as an actor, with the rights of these services."""
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
