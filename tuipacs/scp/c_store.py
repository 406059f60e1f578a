"""Storage SCP (PS3.4 B): every storage class, every transfer syntax, bytes untouched (Level 2)."""

from __future__ import annotations

from typing import Protocol

from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Caller,
    Exchange,
    IsCancelled,
    Outcome,
    Reply,
    Request,
)
from tuipacs.dimse.messages import C_STORE_RQ
from tuipacs.dimse.syntaxes import is_storage_class, is_transfer_syntax
from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import AnnouncedObject, IngestResult
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.status import SUCCESS, refusal
from tuipacs.services.nodes import Nodes
from tuipacs.services.reception import Reception

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

    def receive(self, actor: Actor, announced: AnnouncedObject, /) -> Reception:
        """Where the dataset goes while it comes."""
        ...

    def store(self, actor: Actor, reception: Reception, /) -> IngestResult:
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
        command, caller = request.command, association.caller
        if not command.dataset_follows:
            return Reply(_NO_DATASET)
        if not command.sop_instance_uid:
            return Reply(_NO_INSTANCE)
        announced = AnnouncedObject(
            transfer_syntax_uid=request.context.transfer_syntax,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            calling_ae_title=caller.calling_ae_title,
            called_ae_title=caller.called_ae_title,
        )
        try:
            # Asked anew for each request: a node that was removed a moment ago is a stranger now.
            actor = self._nodes.admit(caller).actor
            reception = self._ingest.receive(actor, announced)
        except TuipacsError as error:
            return Reply(refusal(error))
        return _Storing(self._nodes, self._ingest, caller, reception)


class _Storing:
    """One object on its way in."""

    __slots__ = ("_caller", "_ingest", "_nodes", "_reception")

    def __init__(self, nodes: Nodes, ingest: Store, caller: Caller, reception: Reception) -> None:
        self._nodes = nodes
        self._ingest = ingest
        self._caller = caller
        self._reception = reception

    def write(self, fragment: memoryview) -> None:
        self._reception.write(fragment)

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        try:
            # And asked again: the object may have been an hour on its way.
            actor = self._nodes.admit(self._caller).actor
            return _SUCCESS[self._ingest.store(actor, self._reception)]
        except TuipacsError as error:
            return refusal(error)
        finally:
            self._reception.discard()  # whoever may not store any more did not get to it

    def discard(self) -> None:
        self._reception.discard()
