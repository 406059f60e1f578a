"""Storage commitment SCP, Push Model (PS3.4 J.3.2): N-ACTION, answered when it is durable."""

from __future__ import annotations

from tuipacs.dicom.commitment import MAX_DATASET
from tuipacs.dimse.contract import Answer, AssociationInfo, Exchange, Outcome, Reply, Request
from tuipacs.dimse.gathering import Gathering
from tuipacs.dimse.messages import ACTION_TYPE, N_ACTION_RQ
from tuipacs.dimse.syntaxes import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    is_identifier_syntax,
)
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import SUCCESS, normalized_refusal
from tuipacs.services.commitment_requests import CommitmentRequest, CommitmentRequests
from tuipacs.services.nodes import Nodes

_REQUEST_COMMITMENT = 1  # Action Type ID
_DONE = Answer(0x0000, SUCCESS)
_NO_SUCH_ACTION = Answer(0x0123, "no such action", "only action type 1", Outcome.REFUSED)
_NO_SUCH_INSTANCE = Answer(
    0x0112, "no such SOP instance", "not the well-known SOP instance", Outcome.REFUSED
)
_NO_DATASET = Answer(0x0115, "invalid argument value", "no list followed", Outcome.REFUSED)
_TOO_LARGE = Answer(0x0213, "resource limitation", "the list is too long", Outcome.REFUSED)


class CommitProvider:
    """N-ACTION: takes requests for commitment on."""

    command_field = N_ACTION_RQ
    right = NodeService.COMMIT

    def __init__(self, nodes: Nodes, requests: CommitmentRequests) -> None:
        self._nodes = nodes
        self._requests = requests

    def serves(self, abstract_syntax: str) -> bool:
        """The Storage Commitment Push Model SOP class."""
        return abstract_syntax == STORAGE_COMMITMENT

    def takes(self, transfer_syntax: str) -> bool:
        """Implicit, explicit, and explicit big endian."""
        return is_identifier_syntax(transfer_syntax)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Statuses: 0x0000, 0x0110, 0x0112, 0x0115, 0x0123, 0x0124, 0x0213 (PS3.7 10.1.4.1.10)."""
        command = request.command
        if command.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            return Reply(_NO_SUCH_INSTANCE)
        if command.elements.get(ACTION_TYPE) != _REQUEST_COMMITMENT.to_bytes(2, "little"):
            return Reply(_NO_SUCH_ACTION)
        if not command.dataset_follows:
            return Reply(_NO_DATASET)

        def finish(dataset: bytearray) -> Answer:
            try:
                admission = self._nodes.admit(association.caller)
                wanted = CommitmentRequest(
                    node=admission.node,
                    dataset=dataset,
                    transfer_syntax_uid=request.context.transfer_syntax,
                )
                self._requests.take(admission.actor, wanted)
            except TuipacsError as error:
                return normalized_refusal(error)
            return _DONE

        return Gathering(MAX_DATASET, _TOO_LARGE, finish)
