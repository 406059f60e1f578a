"""Storage commitment SCU (PS3.4 J.3.3): the report that answers our request, N-EVENT-REPORT.

It comes on an association that the node opens in its role of the SCP.
"""

from __future__ import annotations

from collections.abc import Callable

from tuipacs.dicom.commitment import MAX_DATASET
from tuipacs.dimse.contract import Answer, AssociationInfo, Exchange, Outcome, Reply, Request
from tuipacs.dimse.gathering import Gathering
from tuipacs.dimse.messages import EVENT_TYPE, N_EVENT_REPORT_RQ
from tuipacs.dimse.syntaxes import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    is_identifier_syntax,
)
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.commitment import ALL_COMMITTED, SOME_FAILED
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import NodeService, Permission
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import SUCCESS, normalized_refusal
from tuipacs.services.commitments import CommitmentReport, Commitments
from tuipacs.services.nodes import Nodes

_EVENTS = {kind.to_bytes(2, "little"): kind for kind in (ALL_COMMITTED, SOME_FAILED)}
_DONE = Answer(0x0000, SUCCESS)
_NO_SUCH_EVENT = Answer(0x0113, "no such event type", "only event types 1, 2", Outcome.REFUSED)
_NO_SUCH_INSTANCE = Answer(
    0x0112, "no such SOP instance", "not the well-known SOP instance", Outcome.REFUSED
)
_NO_DATASET = Answer(0x0115, "invalid argument value", "no list followed", Outcome.REFUSED)
_TOO_LARGE = Answer(0x0213, "resource limitation", "the list is too long", Outcome.REFUSED)


class ReportProvider:
    """N-EVENT-REPORT: takes the reports that we wait for."""

    command_field = N_EVENT_REPORT_RQ
    right = NodeService.REPORT
    called_by_scp = True

    def __init__(self, nodes: Nodes, commitments: Commitments) -> None:
        self._nodes = nodes
        self._commitments = commitments

    def serves(self, abstract_syntax: str) -> bool:
        """The Storage Commitment Push Model SOP class."""
        return abstract_syntax == STORAGE_COMMITMENT

    def takes(self, transfer_syntax: str) -> bool:
        """Implicit, explicit, and explicit big endian."""
        return is_identifier_syntax(transfer_syntax)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Statuses: 0x0000, 0x0110, 0x0112, 0x0113, 0x0115, 0x0124, 0x0213."""

        def who() -> tuple[int, Actor]:
            admission = self._nodes.admit(association.caller)
            return admission.node, admission.actor

        return _taking(self._commitments, request, who)


def taking_report(commitments: Commitments, node: NodeRecord, request: Request) -> Exchange:
    """Take a report on the association on which we asked: ``node`` is whom we called."""
    actor = Actor(
        kind=ActorKind.PEER,
        name=node.ae_title,
        permissions=frozenset((Permission.DICOM_REPORT,)),
        origin=Origin(address=node.call.host),
    )
    return _taking(commitments, request, lambda: (node.key, actor))


def _taking(
    commitments: Commitments, request: Request, who: Callable[[], tuple[int, Actor]]
) -> Exchange:
    command = request.command
    if command.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
        return Reply(_NO_SUCH_INSTANCE)
    event_type = _EVENTS.get(command.elements.get(EVENT_TYPE, b""))
    if event_type is None:
        return Reply(_NO_SUCH_EVENT)
    if not command.dataset_follows:
        return Reply(_NO_DATASET)

    def finish(dataset: bytearray) -> Answer:
        try:
            node, actor = who()
            report = CommitmentReport(
                node=node,
                event_type=event_type,
                dataset=dataset,
                transfer_syntax_uid=request.context.transfer_syntax,
            )
            commitments.report(actor, report)
        except TuipacsError as error:
            return normalized_refusal(error)
        return _DONE

    return Gathering(MAX_DATASET, _TOO_LARGE, finish)
