"""An association that we open, for the services in this package; the engine is in `dimse`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.messages import C_ECHO_RQ, C_STORE_RQ, COMMENT, MEDIUM
from tuipacs.dimse.pdu import ProposedContext
from tuipacs.dimse.requestor.answers import Received, Sent
from tuipacs.dimse.requestor.connection import PeerTls
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.requestor.loop import Requestor, RequestorSettings
from tuipacs.dimse.requestor.negotiation import Proposal, UserIdentity, result_words
from tuipacs.dimse.requestor.opening import OnConnect, associate
from tuipacs.dimse.requestor.serving import Begin
from tuipacs.dimse.requests import encode_cancel, encode_request
from tuipacs.dimse.sending import DatasetSource
from tuipacs.dimse.syntaxes import VERIFICATION, name_of
from tuipacs.domain.ae_title import check_ae_title
from tuipacs.domain.node import ContextOutcome
from tuipacs.domain.safe_text import clean
from tuipacs.domain.uid import is_usable_uid
from tuipacs.errors import UsageError

__all__ = ["PeerTls", "UserIdentity"]  # parts of a Peer

MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255
MAX_IDENTITY = 65535 - 6  # bytes of user and password together


@dataclass(frozen=True)
class Peer:
    """Whom to call, and as whom.

    ``tls``: speak TLS. ``identity``: whom the call is for (PS3.7 D.3.3.7), with TLS only.
    """

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    tls: PeerTls | None = None
    identity: UserIdentity | None = None
    settings: RequestorSettings = field(default_factory=RequestorSettings)

    def __str__(self) -> str:
        """ "STORE at 10.1.2.3:104", clean."""
        return clean(f"{self.called_ae_title} at {self.host}:{self.port}", limit=120)


@dataclass(frozen=True, order=True)
class Context:
    """A presentation context to propose: one abstract syntax with one transfer syntax."""

    abstract_syntax: str
    transfer_syntax: str

    def __str__(self) -> str:
        """ "CT Image Storage in JPEG 2000 Image Compression"."""
        return f"{name_of(self.abstract_syntax)} in {name_of(self.transfer_syntax)}"


@dataclass(frozen=True)
class Response:
    """A DIMSE status with its error comment; ``status`` is None when no answer came.

    ``comment`` is clean for any terminal: the peer's own, or why there is no answer.
    """

    status: int | None
    comment: str = ""


class Association:
    """An established association. Use it from one thread."""

    def __init__(self, peer: Peer, engine: Requestor, proposed: Sequence[Context]) -> None:
        self.peer = peer
        self._engine = engine
        self._accepted = {
            Context(context.abstract_syntax, context.transfer_syntax): context
            for context in engine.contexts.values()
        }
        results = {answer.context_id: answer.result for answer in engine.accept.contexts}
        self._refused = {
            context: result_words(results[context_id]) if context_id in results else "no answer"
            for context_id, context in _numbered(proposed)
            if context not in self._accepted
        }

    def accepts(self, context: Context) -> bool:
        """Whether the peer took this very pair of syntaxes."""
        return context in self._accepted

    @property
    def accepted(self) -> Sequence[Context]:
        """All that the peer took."""
        return tuple(self._accepted)

    def refusal(self, context: Context) -> str:
        """Why the peer did not take it: "X does not take CT ... in JPEG ...: SOP class not ..."."""
        reason = self._refused.get(context, "it was not proposed")
        return f"{self.peer} does not take {context}: {reason}"

    @property
    def outcomes(self) -> tuple[ContextOutcome, ...]:
        """What became of each context proposed, as inspectors show it."""
        return tuple(
            ContextOutcome(
                abstract_syntax=context.abstract_syntax,
                abstract_syntax_name=name_of(context.abstract_syntax),
                transfer_syntax=name_of(context.transfer_syntax),
                accepted=context in self._accepted,
                reason=self._refused.get(context, ""),
            )
            for context in (*self._accepted, *self._refused)
        )

    @property
    def roles(self) -> Mapping[str, tuple[bool, bool]]:
        """SOP class to our (SCU, SCP) roles, of those that were proposed."""
        return MappingProxyType(dict(self._engine.accept.roles))

    @property
    def version_name(self) -> str:
        """The peer's implementation version name, clean."""
        return clean(self._engine.accept.version_name, limit=16)

    @property
    def is_open(self) -> bool:
        """False once either side released or aborted it, or an answer did not come."""
        return self._engine.is_open

    @property
    def end(self) -> str:
        """Why it is open no more, in words."""
        ended = self._engine.ended
        return "" if ended is None else f"{self.peer} {ended.message}"

    @property
    def failure(self) -> Failure | None:
        """Why it is open no more, for whoever decides whether to try again."""
        ended = self._engine.ended
        return None if ended is None else ended.failure

    def abort(self) -> None:
        """End it at once; what is not answered stays unknown."""
        self._engine.abort()

    def cut(self) -> None:
        """Take the connection away, from any thread; whatever waits for it fails at once."""
        self._engine.cut()

    def echo(self) -> Response:
        """C-ECHO (PS3.7 9.1.5), on whichever context it was accepted."""
        return self._exchange(self.context_of(VERIFICATION), C_ECHO_RQ)

    def has(self, abstract_syntax: str) -> bool:
        """Whether the peer took the abstract syntax with any transfer syntax."""
        return any(context.abstract_syntax == abstract_syntax for context in self._accepted)

    def context_of(self, abstract_syntax: str) -> AcceptedContext:
        """The first accepted context of an abstract syntax. Raises `UsageError` without one."""
        for context in self._accepted.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise UsageError(f"{self.peer} did not accept {name_of(abstract_syntax)}")

    def store(
        self,
        context: Context,
        sop_instance_uid: str,
        source: DatasetSource,
        *,
        move_originator: tuple[str, int] | None = None,
        priority: int = MEDIUM,
    ) -> Response:
        """C-STORE (PS3.7 9.1.1) of a dataset, on a context that was accepted.

        ``move_originator``: AE title and message ID of the C-MOVE that this is a part of. Raises
        `SourceFailedError` if the dataset cannot be read and nothing was sent of it.
        """
        return self._exchange(
            self._accepted[context],
            C_STORE_RQ,
            sop_instance_uid,
            source,
            move_originator,
            priority,
        )

    def _exchange(
        self,
        context: AcceptedContext,
        command_field: int,
        sop_instance_uid: str = "",
        source: DatasetSource | None = None,
        move_originator: tuple[str, int] | None = None,
        priority: int = MEDIUM,
    ) -> Response:
        try:
            self.send(
                context,
                command_field,
                sop_instance_uid,
                source,
                move_originator,
                priority=priority,
            )
            return response_of(self.receive())
        except AssociationFailedError:
            return Response(None, self.end)

    def send(
        self,
        context: AcceptedContext,
        command_field: int,
        sop_instance_uid: str = "",
        source: DatasetSource | None = None,
        move_originator: tuple[str, int] | None = None,
        move_destination: str = "",
        priority: int = MEDIUM,
    ) -> Sent:
        """Send a request whose answers `receive` will give. Raises `AssociationFailedError`."""
        request = Sent(context, command_field, self._engine.next_message_id(), sop_instance_uid)
        command = encode_request(
            command_field,
            request.message_id,
            context.abstract_syntax,
            has_dataset=source is not None,
            sop_instance_uid=sop_instance_uid,
            move_originator=move_originator,
            move_destination=move_destination,
            priority=priority,
        )
        self._engine.send(request, command, source)
        return request

    def act(
        self,
        field: int,
        encode: Callable[[int], bytes],
        context: AcceptedContext,
        sop_instance_uid: str,
        source: DatasetSource,
    ) -> Response:
        """A request of a normalized service (N-...); ``encode`` makes it of its message ID."""
        request = Sent(context, field, self._engine.next_message_id(), sop_instance_uid)
        try:
            self._engine.send(request, encode(request.message_id), source)
            return response_of(self.receive())
        except AssociationFailedError:
            return Response(None, self.end)

    def receive(self, *, is_final: bool = True, patience: int = 1) -> Received:
        """The next answer to what was sent; ``is_final``: expect only one.

        ``patience``: DIMSE timeouts that it may take. Raises `AssociationFailedError`.
        """
        return self._engine.receive(is_final=is_final, patience=patience)

    def serve(self, field: int, sop_classes: frozenset[str], begin: Begin) -> None:
        """Take this request of the peer (C-STORE, N-EVENT-REPORT), for SOP classes accepted so."""
        self._engine.serve(field, sop_classes, begin)

    @property
    def served(self) -> int:
        """Requests of the peer that have their answer."""
        return self._engine.served

    def attend(self, seconds: float) -> bool:
        """Wait for a request of the peer, and serve it. False if none began in time.

        Raises `AssociationFailedError`.
        """
        return self._engine.attend(seconds)

    def cancel(self, request: Sent) -> None:
        """Ask the peer to stop answering (C-CANCEL); its last answer still comes."""
        self._engine.send_cancel(encode_cancel(request.message_id))


@contextmanager
def open_association(
    peer: Peer,
    contexts: Sequence[Context],
    *,
    roles: Mapping[str, tuple[bool, bool]] | None = None,
    on_connect: OnConnect | None = None,
) -> Iterator[Association]:
    """An association that is released at the end, or aborted if the block raises.

    ``roles``: SOP class to the (SCU, SCP) roles to propose for us; without one we are the SCU.
    ``on_connect`` is given what cuts the connection, before the association is asked for.

    Raises `AssociationFailedError`, an `UnavailableError`, when there is no connection, the peer
    rejects or aborts it, or accepts none of the contexts; `UsageError` for what cannot be asked:
    more than 128 contexts, a user identity without TLS, no AE title, port or UID.
    """
    proposal = _proposal(peer, contexts, roles or {})
    try:
        engine = associate(peer.host, peer.port, proposal, peer.settings, peer.tls, on_connect)
    except AssociationFailedError as error:
        raise AssociationFailedError(f"{peer} {error.message}", error.failure) from error
    association = Association(peer, engine, [context for _, context in _numbered(contexts)])
    try:
        if not engine.contexts:
            raise _no_context(association)
        yield association
    except BaseException:
        engine.abort()
        raise
    with suppress(AssociationFailedError):  # all was answered; the peer may go as it likes
        engine.release()


def _proposal(
    peer: Peer, contexts: Sequence[Context], roles: Mapping[str, tuple[bool, bool]]
) -> Proposal:
    numbered = _numbered(contexts)
    if not 1 <= len(numbered) <= MAX_CONTEXTS:
        raise UsageError(f"1 to {MAX_CONTEXTS} presentation contexts fit into one association")
    if not 1 <= peer.port <= 65535:
        raise UsageError(f"{peer.port} is no TCP port")
    uids = {uid for c in contexts for uid in (c.abstract_syntax, c.transfer_syntax)} | set(roles)
    if unusable := [uid for uid in uids if not is_usable_uid(uid)]:
        raise UsageError(f"{clean(unusable[0], limit=70)!r} is no UID that can be proposed")
    if (identity := peer.identity) is not None:
        _check_identity(identity, peer.tls)
    return Proposal(
        called_ae_title=check_ae_title(peer.called_ae_title),
        calling_ae_title=check_ae_title(peer.calling_ae_title),
        contexts=[
            ProposedContext(number, context.abstract_syntax, (context.transfer_syntax,))
            for number, context in numbered
        ],
        max_pdu=peer.settings.max_pdu,
        roles=roles,
        identity=identity,
    )


def _numbered(contexts: Sequence[Context]) -> list[tuple[int, Context]]:
    """Each different context with its odd ID, in the order given."""
    return [(2 * i + 1, context) for i, context in enumerate(dict.fromkeys(contexts))]


def _check_identity(identity: UserIdentity, tls: PeerTls | None) -> None:
    if tls is None:
        raise UsageError(
            "a user identity is sent with TLS only: else everybody on the way can read it",
            remedy="set up TLS for this node, or leave out the user",
        )
    size = len(identity.user.encode()) + len((identity.password or "").encode())
    if not identity.user or size > MAX_IDENTITY:
        raise UsageError("a user identity without a user, or too long")


def _no_context(association: Association) -> AssociationFailedError:
    refused = [f"{o.abstract_syntax_name}: {o.reason}" for o in association.outcomes]
    words = "; ".join(dict.fromkeys(refused[:3])) + ("; ..." if len(refused) > 3 else "")
    message = f"{association.peer} accepted none of the presentation contexts ({words})"
    return AssociationFailedError(message, Failure.NO_CONTEXT)


def response_of(received: Received) -> Response:
    """The status of an answer, and its Error Comment, clean."""
    comment = received.command.elements.get(COMMENT, b"").decode("latin-1").strip(" \0")
    return Response(received.status, clean(comment, limit=64))
