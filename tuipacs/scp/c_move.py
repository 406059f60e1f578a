"""Retrieve SCP, C-MOVE (PS3.4 C.4.2): objects go to a known node, on an association of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from tuipacs.dimse.contract import Answer, AssociationInfo, Exchange, IsCancelled, Reply, Request
from tuipacs.dimse.messages import C_MOVE_RQ, MOVE_DESTINATION, priority_of
from tuipacs.dimse.syntaxes import (
    PATIENT_ROOT_MOVE,
    PATIENT_STUDY_ONLY_MOVE,
    STUDY_ROOT_MOVE,
    is_identifier_syntax,
)
from tuipacs.domain.find import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, FindModel
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import TuipacsError
from tuipacs.scp.retrieving import (
    ALIVE_EVERY,
    IdentifierTaker,
    Progress,
    broken_answer,
    end_quietly,
    last_answer,
    refusal,
    relational_answer,
    retrieve_request,
)
from tuipacs.scp.status import NO_IDENTIFIER
from tuipacs.services.moving import Move, MoveOrigin
from tuipacs.services.nodes import Nodes
from tuipacs.services.retrieval import Ending
from tuipacs.services.retrieve import Retrieve

MODELS: Mapping[str, FindModel] = MappingProxyType(
    {
        PATIENT_ROOT_MOVE: PATIENT_ROOT,
        STUDY_ROOT_MOVE: STUDY_ROOT,
        PATIENT_STUDY_ONLY_MOVE: PATIENT_STUDY_ONLY,
    }
)
_LOOK_EVERY = 0.02  # seconds between two looks at the requester


class MoveProvider:
    """C-MOVE. ``on_thread_end`` is called at the end of each thread that sends.

    ``grace``: seconds for the object at hand when the rest is not wanted any more. ``alive_every``:
    seconds after which who asked is told the same counts again.
    """

    command_field = C_MOVE_RQ
    right = NodeService.MOVE

    def __init__(
        self,
        nodes: Nodes,
        retrieve: Retrieve,
        on_thread_end: Callable[[], None],
        *,
        grace: float = 2.0,
        alive_every: float = ALIVE_EVERY,
    ) -> None:
        self._nodes = nodes
        self._retrieve = retrieve
        self.on_thread_end = on_thread_end
        self.grace = grace
        self.alive_every = alive_every

    def serves(self, abstract_syntax: str) -> bool:
        """The information models that objects can be moved by."""
        return abstract_syntax in MODELS

    def takes(self, transfer_syntax: str) -> bool:
        """Implicit, explicit, and explicit big endian."""
        return is_identifier_syntax(transfer_syntax)

    def extend(self, abstract_syntax: str, information: bytes) -> bytes:
        """Relational retrieve, to whoever asks for it."""
        return relational_answer(information)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Gather the identifier, which has to follow."""
        if not request.command.dataset_follows:
            return Reply(NO_IDENTIFIER)
        return _Moving(self, association, request)

    def move(self, association: AssociationInfo, request: Request, identifier: bytearray) -> Move:
        """What the service will send for the caller, as it is known at this moment."""
        peer = self._nodes.admit(association.caller)
        model = MODELS[request.context.abstract_syntax]
        destination = request.command.elements.get(MOVE_DESTINATION, b"").decode("latin-1")
        return self._retrieve.move(
            peer.actor,
            retrieve_request(association, request, model, identifier, peer),
            destination,
            MoveOrigin(
                ae_title=association.caller.calling_ae_title,
                message_id=request.command.message_id,
                priority=priority_of(request.command),
            ),
        )


class _Moving(IdentifierTaker):
    """One C-MOVE. Statuses: those of `refusal` and `last_answer`, 0xFF00 before."""

    def __init__(
        self, provider: MoveProvider, association: AssociationInfo, request: Request
    ) -> None:
        super().__init__()
        self._provider = provider
        self._association = association
        self._request = request
        self._move: Move | None = None

    def finish(self, is_cancelled: IsCancelled) -> Answer | Iterator[Answer]:
        """Find out what is named, then send it."""
        if self.fault is not None:
            return self.fault
        try:
            move = self._provider.move(self._association, self._request, self.identifier)
        except TuipacsError as error:
            return refusal(error)
        self._move = move
        return self._answers(move, is_cancelled)

    def _answers(self, move: Move, is_cancelled: IsCancelled) -> Iterator[Answer]:
        progress = Progress(move, self._provider.alive_every)
        cancelled = False
        try:
            if move.total:
                yield progress.now()
                move.start(self._provider.on_thread_end)
                while not move.wait(_LOOK_EVERY):
                    if is_cancelled():
                        cancelled = True
                        move.settle(self._provider.grace)
                    elif progress.is_due():
                        yield progress.now()
            cancelled = cancelled and bool(move.remaining)
            move.end(Ending.STOPPED if cancelled else Ending.COMPLETE)
        except TuipacsError as error:
            end_quietly(move, Ending.FAILED)
            yield broken_answer(move, self._request, error)
            return
        yield last_answer(move, self._request, cancelled=cancelled)

    def discard(self) -> None:
        """Nobody waits for the rest: it is not sent. The audit log says so."""
        self.identifier.clear()
        if self._move is not None:
            self._move.settle(self._provider.grace)
            end_quietly(self._move, Ending.LOST)
