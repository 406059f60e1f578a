"""Retrieve SCP, C-GET (PS3.4 C.4.3): objects go back on the association of the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from tuipacs.dimse.contract import (
    AcceptedContext,
    Answer,
    AssociationInfo,
    Exchange,
    IsCancelled,
    Line,
    Reply,
    Request,
)
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.messages import C_GET_RQ
from tuipacs.dimse.requestor.faults import Failure
from tuipacs.dimse.syntaxes import (
    PATIENT_ROOT_GET,
    PATIENT_STUDY_ONLY_GET,
    STUDY_ROOT_GET,
    is_identifier_syntax,
    is_storage_class,
    name_of,
)
from tuipacs.domain.find import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, FindModel
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.safe_text import clean
from tuipacs.errors import TuipacsError
from tuipacs.scp.retrieving import (
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
from tuipacs.scu.c_store import StoreOutcome, not_sent
from tuipacs.scu.choosing import offer, pick, refusal_words
from tuipacs.scu.sources import SourceObject, opened
from tuipacs.services.nodes import Nodes
from tuipacs.services.retrieval import Ending, Retrieval
from tuipacs.services.retrieve import Retrieve

MODELS: Mapping[str, FindModel] = MappingProxyType(
    {
        PATIENT_ROOT_GET: PATIENT_ROOT,
        STUDY_ROOT_GET: STUDY_ROOT,
        PATIENT_STUDY_ONLY_GET: PATIENT_STUDY_ONLY,
    }
)


class GetProvider:
    """C-GET."""

    command_field = C_GET_RQ
    right = NodeService.GET

    def __init__(self, nodes: Nodes, retrieve: Retrieve) -> None:
        self._nodes = nodes
        self._retrieve = retrieve

    def serves(self, abstract_syntax: str) -> bool:
        """The information models that objects can be got by."""
        return abstract_syntax in MODELS

    def takes(self, transfer_syntax: str) -> bool:
        """Implicit, explicit, and explicit big endian."""
        return is_identifier_syntax(transfer_syntax)

    def gives(self, abstract_syntax: str) -> bool:
        """Everything that can have been stored."""
        return is_storage_class(abstract_syntax)

    def choose(self, abstract_syntax: str, proposed: Sequence[str]) -> str:
        """What most of the objects that are here can be given in, by a context that has one only.

        Which objects will be asked for is not known yet.
        """
        if len(proposed) == 1:
            return offer((), proposed)
        return offer(self._retrieve.held_syntaxes(abstract_syntax), proposed)

    def extend(self, abstract_syntax: str, information: bytes) -> bytes:
        """Relational retrieve, to whoever asks for it."""
        return relational_answer(information)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """Gather the identifier, which has to follow."""
        if not request.command.dataset_follows:
            return Reply(NO_IDENTIFIER)
        return _Getting(self, association, request)

    def get(
        self, association: AssociationInfo, request: Request, identifier: bytearray
    ) -> Retrieval:
        """What the service will give the caller, as it is known at this moment."""
        peer = self._nodes.admit(association.caller)
        model = MODELS[request.context.abstract_syntax]
        return self._retrieve.get(
            peer.actor, retrieve_request(association, request, model, identifier, peer)
        )


class _Getting(IdentifierTaker):
    """One C-GET. Statuses: those of `refusal` and `last_answer`, 0xFF00 before."""

    def __init__(
        self, provider: GetProvider, association: AssociationInfo, request: Request
    ) -> None:
        super().__init__()
        if request.line is None:
            raise AssertionError("a C-GET has a line")
        self._provider = provider
        self._association = association
        self._request = request
        self._line = request.line
        self._retrieval: Retrieval | None = None

    def finish(self, is_cancelled: IsCancelled) -> Answer | Iterator[Answer]:
        """Find out what is named, then send it."""
        if self.fault is not None:
            return self.fault
        try:
            retrieval = self._provider.get(self._association, self._request, self.identifier)
        except TuipacsError as error:
            return refusal(error)
        self._retrieval = retrieval
        return self._answers(retrieval)

    def _answers(self, retrieval: Retrieval) -> Iterator[Answer]:
        progress = Progress(retrieval)
        giving = _Giving(self._line, self._association.contexts)
        cancelled = False
        try:
            if retrieval.total:
                yield progress.now()
            for source in retrieval.objects(self._check):
                if cancelled := self._line.is_cancelled():
                    break
                retrieval.note(giving.give(source))
                if progress.is_due():
                    yield progress.now()
            retrieval.end(Ending.STOPPED if cancelled else Ending.COMPLETE)
        except TuipacsError as error:
            end_quietly(retrieval, Ending.FAILED)
            yield broken_answer(retrieval, self._request, error)
            return
        yield last_answer(retrieval, self._request, cancelled=cancelled)

    def _check(self) -> None:
        """While an object is transcoded, whose bytes nobody waits for any more."""
        if self._line.is_cancelled():
            raise SourceFailedError("it was cancelled")

    def discard(self) -> None:
        """If it did not come to its end, say so in the audit log."""
        self.identifier.clear()
        if self._retrieval is not None:
            end_quietly(self._retrieval, Ending.LOST)


class _Giving:
    """Sends objects on those contexts for which the peer has the role of an SCP."""

    def __init__(self, line: Line, contexts: Mapping[int, AcceptedContext]) -> None:
        self._line = line
        self._contexts: dict[str, dict[str, AcceptedContext]] = {}  # by SOP class and syntax
        for context in contexts.values():
            if context.peer_is_scp:
                ways = self._contexts.setdefault(context.abstract_syntax, {})
                ways.setdefault(context.transfer_syntax, context)

    def give(self, source: SourceObject) -> StoreOutcome:
        """Send one object. What `Line.store` raises of the connection passes."""
        ways = self._contexts.get(source.sop_class_uid, {})
        syntax = pick(source, ways)
        if source.fault:
            return not_sent(source, source.fault, Failure.SOURCE)
        if not ways:
            words = f"no SCP role was agreed on for {name_of(source.sop_class_uid)}"
            return not_sent(source, words, Failure.NO_CONTEXT)
        if not syntax:
            return not_sent(source, refusal_words(source), Failure.NO_CONTEXT)
        try:
            file, dataset = opened(source, syntax)
            with file:
                size = dataset.left
                reply = self._line.store(ways[syntax], source.sop_instance_uid, dataset)
        except SourceFailedError as error:
            return not_sent(source, error.words, Failure.SOURCE)
        return StoreOutcome(
            source.sop_instance_uid,
            reply.status,
            clean(reply.comment, limit=64),
            key=source.key,
            transfer_syntax_uid=syntax,
            transcoded=source.is_changed_in(syntax),
            size=size,
        )
