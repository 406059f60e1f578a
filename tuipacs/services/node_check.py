"""What somebody wants a node to be, made a record: each field checked, with a remedy."""

from __future__ import annotations

from tuipacs.domain.ae_title import check_ae_title
from tuipacs.domain.character_sets import check_character_set
from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.domain.network import check_node_address
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_rules import check_call, check_max_results
from tuipacs.domain.permissions import GIVEN_SERVICES, NodeService
from tuipacs.errors import UsageError
from tuipacs.schema.node_messages import NodeAddRequest

MAX_DESCRIPTION = 200  # characters


def checked(request: NodeAddRequest, *, at: float) -> NodeRecord:
    """The node, in its canonical form and without a key. Raises `UsageError`."""
    call = check_call(request.call)
    if NodeService.REPORT in request.services:
        raise UsageError(
            "report is nobody's to give: a node may report on what it is asked to commit",
            remedy="ask it for commit instead (--call commit)",
        )
    services = tuple(service for service in GIVEN_SERVICES if service in request.services)
    if not services and not call.host:
        raise UsageError(
            "a node that may do nothing, and is never called, is of no use",
            remedy="allow a service, or give the host it is called at",
        )
    if len(request.description) > MAX_DESCRIPTION:
        raise UsageError(f"the description is longer than {MAX_DESCRIPTION} characters")
    return NodeRecord(
        key=0,
        ae_title=check_ae_title(request.ae_title),
        address=check_node_address(request.address),
        services=services,
        description=request.description,
        created_at=at,
        certificate_sha256=check_fingerprint(request.certificate_sha256),
        require_tls=request.require_tls,
        require_identity=request.require_identity,
        call=call,
        character_set=check_character_set(request.character_set),
        max_results=check_max_results(request.max_results),
    )
