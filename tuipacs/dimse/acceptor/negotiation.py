"""The answer to an association request: rejected with a reason, or accepted context by context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tuipacs.dimse.acceptor.identity import Identified, IdentityRefusedError, judge_identity
from tuipacs.dimse.acceptor.pdus import AssociateRequest
from tuipacs.dimse.contract import (
    AcceptedContext,
    Admit,
    Caller,
    ExtendsNegotiation,
    Giver,
    Identify,
    ListenerSettings,
    ServiceProvider,
    called_by_scp,
)
from tuipacs.dimse.pdu import ContextAnswer, ProposedContext
from tuipacs.dimse.syntaxes import APPLICATION_CONTEXT, name_of
from tuipacs.domain.admission import Admission
from tuipacs.domain.ae_title import strip_ae_title
from tuipacs.domain.node import ContextOutcome
from tuipacs.domain.safe_text import clean
from tuipacs.errors import TuipacsError

# PS3.8 9.3.3.2. A service that is there, but not for this caller, is a user rejection: 3 would tell
# the modality's engineer that the archive lacks the SOP class, and send him to the wrong place.
ACCEPTED, USER_REJECTION, ABSTRACT_SYNTAX, TRANSFER_SYNTAX = 0, 1, 3, 4

_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"  # stands where a refusal's syntax means nothing


@dataclass(frozen=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4) and its reason in words for people here."""

    result: int  # 1 permanent, 2 transient
    source: int  # 1 service user, 2 provider (ACSE), 3 provider (presentation)
    reason: int
    words: str
    known: bool = False
    outcomes: tuple[ContextOutcome, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """What an A-ASSOCIATE-AC says, and what the association may then carry.

    ``caller`` with what its user identity came to; ``confirm_identity``: say that it is proven.
    """

    caller: Caller
    admission: Admission
    answers: tuple[ContextAnswer, ...]
    accepted: tuple[AcceptedContext, ...]
    outcomes: tuple[ContextOutcome, ...]
    roles: dict[str, tuple[bool, bool]]
    extended: dict[str, bytes]
    confirm_identity: bool = False


def local_limit(words: str, admission: Admission) -> Rejection:
    """Too many associations: try again later."""
    return Rejection(2, 3, 2, words, admission.known)


def negotiate(
    request: AssociateRequest,
    caller: Caller,
    settings: ListenerSettings,
    admit: Admit,
    providers: Sequence[ServiceProvider],
    identify: Identify | None = None,
) -> Rejection | Acceptance:
    """Judge an association request. Never raises for what the peer sent."""
    if not request.protocol_version & 1:
        return Rejection(1, 2, 2, "another version of the DICOM upper layer protocol")
    if request.application_context != APPLICATION_CONTEXT:
        return Rejection(1, 1, 2, "another application context than DICOM's")
    if settings.check_called_ae and request.called_ae_title != strip_ae_title(settings.ae_title):
        called = clean(request.called_ae_title, limit=40)
        return Rejection(1, 1, 7, f"called AE title {called!r}, this is {settings.ae_title!r}")
    try:
        admission = admit(caller)
        if not admission.services:
            return Rejection(1, 1, 3, admission.reason or "no service is open to this node")
        identified = judge_identity(request.identity, caller, admission, identify)
        if identified.caller.user:
            admission = admit(identified.caller)  # whose actor names the user as well
            if not admission.services:
                return Rejection(1, 1, 3, admission.reason)
    except IdentityRefusedError as refused:
        return Rejection(2 if refused.is_transient else 1, 1, 1, refused.words, admission.known)
    except TuipacsError as error:
        return Rejection(2, 3, 1, f"the node table cannot be read: {error.message}")
    return _contexts(request, identified, admission, providers)


def _contexts(
    request: AssociateRequest,
    identified: Identified,
    admission: Admission,
    providers: Sequence[ServiceProvider],
) -> Rejection | Acceptance:
    judged = [
        (context, _judge(context, request, admission, providers)) for context in request.contexts
    ]
    outcomes = tuple(
        ContextOutcome(
            abstract_syntax=context.abstract_syntax[:64],
            abstract_syntax_name=name_of(context.abstract_syntax)[:64],
            transfer_syntax=_syntax_words(context, verdict.syntax),
            accepted=not verdict.words,
            reason=verdict.words,
        )
        for context, verdict in judged
    )
    accepted = tuple(
        AcceptedContext(
            context.context_id,
            context.abstract_syntax,
            verdict.syntax,
            peer_is_scu=verdict.peer_is_scu,
            peer_is_scp=verdict.peer_is_scp,
        )
        for context, verdict in judged
        if verdict.result == ACCEPTED
    )
    about_syntax = any(verdict.result == TRANSFER_SYNTAX for _, verdict in judged)
    if not accepted and not admission.known and not about_syntax:
        # A stranger to whom the service is open has to learn that only its syntax does not fit.
        return Rejection(1, 1, 3, admission.reason, outcomes=outcomes)
    taken = {
        context.abstract_syntax: (context.peer_is_scu, context.peer_is_scp) for context in accepted
    }
    return Acceptance(
        caller=identified.caller,
        confirm_identity=identified.confirm,
        admission=admission,
        answers=tuple(
            ContextAnswer(
                context.context_id, verdict.result, verdict.syntax or _IMPLICIT_LITTLE_ENDIAN
            )
            for context, verdict in judged
        ),
        accepted=accepted,
        outcomes=outcomes,
        # We are an SCU on an association that a peer opened for what a C-GET gives, and no more.
        roles={uid: taken[uid] for uid in request.roles if uid in taken},
        extended={
            uid: provider.extend(uid, information)
            for uid, information in request.extended.items()
            if uid in taken
            for provider in [one for one in providers if one.serves(uid)][:1]
            if isinstance(provider, ExtendsNegotiation)
        },
    )


class _Verdict(NamedTuple):
    """About one proposed context; ``syntax`` if it is accepted, ``words`` if not."""

    result: int
    syntax: str
    words: str
    peer_is_scu: bool = True
    peer_is_scp: bool = False


def _judge(
    context: ProposedContext,
    request: AssociateRequest,
    admission: Admission,
    providers: Sequence[ServiceProvider],
) -> _Verdict:
    uid = context.abstract_syntax
    # PS3.7 D.3.3.4: without a role item the requestor is the SCU.
    wants_scu, wants_scp = request.roles.get(uid, (True, False))
    if wants_scp:
        verdict = _judge_as_scp(context, admission, providers)
        if verdict is not None:
            as_scu = wants_scu and _judge_as_scu(context, admission, providers).result == ACCEPTED
            return verdict._replace(peer_is_scu=as_scu)
    if not wants_scu:
        return _Verdict(USER_REJECTION, "", "the caller wants to be no SCU of this SOP class")
    verdict = _judge_as_scu(context, admission, providers)
    if uid not in request.roles:  # some report on a commitment without naming their role
        reports = _judge_as_reporter(context, admission, providers)
        if reports is not None:
            return reports._replace(peer_is_scu=verdict.result == ACCEPTED)
    return verdict


def _judge_as_scu(
    context: ProposedContext, admission: Admission, providers: Sequence[ServiceProvider]
) -> _Verdict:
    """Whether the peer may send us requests on this context."""
    serving = [
        provider
        for provider in providers
        if provider.serves(context.abstract_syntax) and not called_by_scp(provider)
    ]
    if not serving:
        return _Verdict(ABSTRACT_SYNTAX, "", "this archive does not offer this SOP class")
    provider = serving[0]
    if provider.right not in admission.services:
        who = "this node" if admission.known else "unknown callers"
        return _Verdict(USER_REJECTION, "", f"{provider.right.value} is not open to {who}")
    # The requestor's own order decides: it knows what it holds, and its first choice costs it no
    # conversion.
    for syntax in context.transfer_syntaxes:
        if provider.takes(syntax):
            return _Verdict(ACCEPTED, syntax, "")
    return _Verdict(TRANSFER_SYNTAX, "", "none of the proposed transfer syntaxes is one")


def _judge_as_scp(
    context: ProposedContext, admission: Admission, providers: Sequence[ServiceProvider]
) -> _Verdict | None:
    """Whether objects may be sent to the peer on this context, or it may report; None if not."""
    for provider in providers:
        if (
            provider.right in admission.services
            and isinstance(provider, Giver)
            and provider.gives(context.abstract_syntax)
            and (syntax := provider.choose(context.abstract_syntax, context.transfer_syntaxes))
        ):
            return _Verdict(ACCEPTED, syntax, "", peer_is_scp=True)
    return _judge_as_reporter(context, admission, providers)


def _judge_as_reporter(
    context: ProposedContext, admission: Admission, providers: Sequence[ServiceProvider]
) -> _Verdict | None:
    """Whether the peer may send what an SCP sends of itself on this context; None if not."""
    for provider in providers:
        if (
            called_by_scp(provider)
            and provider.right in admission.services
            and provider.serves(context.abstract_syntax)
        ):
            for syntax in context.transfer_syntaxes:
                if provider.takes(syntax):
                    return _Verdict(ACCEPTED, syntax, "", peer_is_scp=True)
    return None


def _syntax_words(context: ProposedContext, accepted: str) -> str:
    if accepted:
        return name_of(accepted)[:64]
    names = ", ".join(name_of(syntax) for syntax in context.transfer_syntaxes[:4])
    return names[:200] + (", ..." if len(context.transfer_syntaxes) > 4 else "")
