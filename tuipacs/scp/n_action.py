"""Storage commitment SCP, Push Model (PS3.4 J.3.2): N-ACTION, answered when it is durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tuipacs.dicom.commitment import MAX_DATASET, encode_commitment
from tuipacs.dicom.encoding import EXPLICIT_BE, IMPLICIT_LE
from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Exchange,
    Outcome,
    Reply,
    Request,
    SendEvent,
)
from tuipacs.dimse.gathering import Gathering
from tuipacs.dimse.messages import ACTION_TYPE, N_ACTION_RQ
from tuipacs.dimse.syntaxes import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    is_identifier_syntax,
)
from tuipacs.domain.commitment import ALL_COMMITTED, SOME_FAILED
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


class Reports(Protocol):
    """Who carries requests out."""

    def report_here(
        self,
        key: int,
        send: Callable[
            [str, Sequence[tuple[str, str]], Sequence[tuple[str, str, int]], Callable[[int], None]],
            None,
        ],
        /,
    ) -> None:
        """Report on a request with ``send``: transaction UID, committed, failed, on answer."""
        ...


class CommitProvider:
    """N-ACTION: takes requests on. ``ae_title``: where what is committed can be retrieved from."""

    command_field = N_ACTION_RQ
    right = NodeService.COMMIT

    def __init__(
        self, nodes: Nodes, requests: CommitmentRequests, reports: Reports, ae_title: str
    ) -> None:
        self._nodes = nodes
        self._requests = requests
        self._reports = reports
        self._ae_title = ae_title

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

        return _Request(
            self._nodes, self._requests, self._reports, self._ae_title, association, request
        )


class _Request(Gathering):
    """One request. Its report may follow on the same association, if its node is set up so."""

    def __init__(
        self,
        nodes: Nodes,
        requests: CommitmentRequests,
        reports: Reports,
        ae_title: str,
        association: AssociationInfo,
        request: Request,
    ) -> None:
        super().__init__(MAX_DATASET, _TOO_LARGE, self._take)
        self._nodes = nodes
        self._requests = requests
        self._reports = reports
        self._ae_title = ae_title
        self._caller = association.caller
        self._syntax = request.context.transfer_syntax
        self._report_here: int | None = None

    def _take(self, dataset: bytearray) -> Answer:
        try:
            admission = self._nodes.admit(self._caller)
            wanted = CommitmentRequest(
                node=admission.node, dataset=dataset, transfer_syntax_uid=self._syntax
            )
            self._report_here = self._requests.take(admission.actor, wanted)
        except TuipacsError as error:
            return normalized_refusal(error)
        return _DONE

    def sequel(self, send: SendEvent) -> None:
        """Report here, if that is wanted."""
        if self._report_here is None or self._syntax == EXPLICIT_BE:
            return

        def report(
            transaction_uid: str,
            committed: Sequence[tuple[str, str]],
            failed: Sequence[tuple[str, str, int]],
            on_answer: Callable[[int], None],
        ) -> None:
            data = encode_commitment(
                transaction_uid,
                committed,
                failed,
                implicit=self._syntax == IMPLICIT_LE,
                retrieve_ae_title=self._ae_title if committed else "",
            )
            send(SOME_FAILED if failed else ALL_COMMITTED, data, on_answer)

        self._reports.report_here(self._report_here, report)
