"""Storage SCP (PS3.4 B): every storage class, every transfer syntax, bytes untouched (Level 2)."""

from __future__ import annotations

from typing import Protocol

from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Exchange,
    IsCancelled,
    Outcome,
    Reply,
    Request,
)
from tuipacs.dimse.messages import C_STORE_RQ
from tuipacs.dimse.syntaxes import is_storage_class, is_transfer_syntax
from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import IngestResult, ReceivedObject
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import SUCCESS, refusal
from tuipacs.services.nodes import Nodes

_SUCCESS = {
    IngestResult.STORED: Answer(0x0000, SUCCESS, outcome=Outcome.STORED),
    IngestResult.DUPLICATE: Answer(0x0000, SUCCESS, outcome=Outcome.DUPLICATE),
    IngestResult.CONFLICT: Answer(0x0000, SUCCESS, outcome=Outcome.STORED),
}
_NO_DATASET = Answer(0xC000, "cannot understand", "no data set followed", Outcome.REFUSED)
_NO_INSTANCE = Answer(
    0x0117, "invalid SOP instance", "no Affected SOP Instance UID", Outcome.REFUSED
)


class Store(Protocol):
    """The ingest service as this provider needs it."""

    def store(self, actor: Actor, received: ReceivedObject, /) -> IngestResult:
        """Durable when it returns."""
        ...


class StoreProvider:
    """C-STORE. ``refuse_sop_classes``: UIDs that are never accepted."""

    command_field = C_STORE_RQ
    right = NodeService.STORE

    def __init__(
        self, nodes: Nodes, ingest: Store, refuse_sop_classes: tuple[str, ...] = ()
    ) -> None:
        self._nodes = nodes
        self._ingest = ingest
        self._refused = frozenset(refuse_sop_classes)

    def serves(self, abstract_syntax: str) -> bool:
        """Standard, retired, private and unknown storage classes that no setting refuses."""
        return abstract_syntax not in self._refused and is_storage_class(abstract_syntax)

    def takes(self, transfer_syntax: str) -> bool:
        """Any, also those that this program cannot decode."""
        return is_transfer_syntax(transfer_syntax)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Store. 0x0000 only for what is durable and indexed; else see `scp.status`."""
        if not request.command.dataset_follows:
            return Reply(_NO_DATASET)
        if not request.command.sop_instance_uid:
            return Reply(_NO_INSTANCE)
        return _Storing(self._nodes, self._ingest, association, request)


class _Storing:
    """One object on its way in."""

    def __init__(
        self, nodes: Nodes, ingest: Store, association: AssociationInfo, request: Request
    ) -> None:
        self._nodes = nodes
        self._ingest = ingest
        self._caller = association.caller
        self._request = request
        self._dataset = bytearray()

    def write(self, fragment: memoryview) -> None:
        self._dataset += fragment

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        caller, request = self._caller, self._request
        received = ReceivedObject(
            dataset=memoryview(self._dataset),
            transfer_syntax_uid=request.context.transfer_syntax,
            sop_class_uid=request.command.sop_class_uid,
            sop_instance_uid=request.command.sop_instance_uid,
            calling_ae_title=caller.calling_ae_title,
            called_ae_title=caller.called_ae_title,
        )
        try:
            peer = self._nodes.admit(caller)
            return _SUCCESS[self._ingest.store(peer.actor, received)]
        except TuipacsError as error:
            return refusal(error)

    def discard(self) -> None:
        self._dataset = bytearray()
