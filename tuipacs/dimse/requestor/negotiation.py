"""What a requestor says to open an association, and the answer read with care (PS3.8 9.3).

pynetdicom encodes the request. It does not decode the answer (docs/adr/0009-requestor.md): items
that it does not know raise, and under ``python -O`` a truncated one passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.pdu import (
    FIXED_SIZE,
    ContextAnswer,
    PduType,
    ProposedContext,
    encode_pdu,
    read_items,
    read_max_length,
    read_role,
    read_text,
    read_uid,
)
from tuipacs.dimse.syntaxes import APPLICATION_CONTEXT

MAX_ACCEPT = 1 << 17  # bytes of an A-ASSOCIATE-AC; 128 contexts with roles take 25 kB
ACCEPTED = 0
_RESULTS = {
    1: "refused by the user",
    2: "refused without a reason",
    3: "SOP class not supported",
    4: "transfer syntax not supported",
}


@dataclass(frozen=True)
class UserIdentity:
    """Who asks (PS3.7 D.3.3.7): type 1 without a password, type 2 with one.

    With ``must_be_confirmed`` an acceptor that does not confirm it is left again.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    must_be_confirmed: bool = False


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An A-ASSOCIATE-RQ. ``roles``: SOP class to the (SCU, SCP) roles proposed for us."""

    called_ae_title: str
    calling_ae_title: str
    contexts: Sequence[ProposedContext]
    max_pdu: int
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=lambda: MappingProxyType({}))
    identity: UserIdentity | None = None


@dataclass(frozen=True)
class Accept:
    """What an A-ASSOCIATE-AC says that we use.

    ``max_length``: the longest PDU body that the peer takes, 0 for any. ``roles``: those of the
    proposed that it took. ``version_name``: its implementation, untrusted. ``identity_confirmed``:
    it answered the user identity, as an acceptor does that has checked it.
    """

    contexts: tuple[ContextAnswer, ...]
    max_length: int
    roles: Mapping[str, tuple[bool, bool]]
    version_name: str
    identity_confirmed: bool


def encode_associate_request(proposal: Proposal) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2). AE titles have been checked, UIDs are at most 64 long."""
    request = A_ASSOCIATE()
    request.application_context_name = UID(APPLICATION_CONTEXT)
    request.called_ae_title = proposal.called_ae_title
    request.calling_ae_title = proposal.calling_ae_title
    request.presentation_context_definition_list = [_context(c) for c in proposal.contexts]
    length = MaximumLengthNotification()
    length.maximum_length_received = proposal.max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    request.user_information = [length, implementation, version]
    for sop_class_uid, (scu, scp) in proposal.roles.items():
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = UID(sop_class_uid)
        role.scu_role, role.scp_role = scu, scp
        request.user_information.append(role)
    if proposal.identity is not None:
        request.user_information.append(_identity(proposal.identity))
    return A_ASSOCIATE_RQ(request).encode()


def _context(proposed: ProposedContext) -> PresentationContext:
    context = PresentationContext()
    context.context_id = proposed.context_id
    context.abstract_syntax = UID(proposed.abstract_syntax)
    context.transfer_syntax = [UID(uid) for uid in proposed.transfer_syntaxes]
    return context


def _identity(identity: UserIdentity) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = 1 if identity.password is None else 2
    item.primary_field = identity.user.encode()
    item.secondary_field = b"" if identity.password is None else identity.password.encode()
    item.positive_response_requested = identity.must_be_confirmed
    return item


def encode_release_request() -> bytes:
    """An A-RELEASE-RQ (PS3.8 9.3.6)."""
    return encode_pdu(PduType.RELEASE_RQ, bytes(4))


def parse_associate_accept(body: memoryview, proposal: Proposal) -> Accept:
    """Read the PDU after its header. Raises `PduError`, and nothing else, for malformed input.

    Items of kinds that are not known are skipped, as PS3.8 9.3.1 asks.
    """
    if len(body) < FIXED_SIZE:
        raise PduError("an association acceptance shorter than its fixed fields")
    if not int.from_bytes(body[0:2], "big") & 1:
        raise PduError("another version of the DICOM upper layer protocol")
    contexts: dict[int, ContextAnswer] = {}
    user: dict[int, list[bytes]] = {}
    for kind, data in read_items(body[FIXED_SIZE:]):
        if kind == 0x21:
            answer = _answer(data, proposal)
            if answer.context_id in contexts:
                raise PduError("an answer to a presentation context twice")
            contexts[answer.context_id] = answer
        elif kind == 0x50:
            for sub_kind, sub_data in read_items(data):
                user.setdefault(sub_kind, []).append(bytes(sub_data))
    return Accept(
        contexts=tuple(contexts.values()),
        max_length=read_max_length(user.get(0x51, [])),
        roles=_roles(user.get(0x54, []), proposal),
        version_name=read_text(user.get(0x55, [b""])[0]).strip(" \0"),
        identity_confirmed=0x59 in user,
    )


def _answer(data: memoryview, proposal: Proposal) -> ContextAnswer:
    if len(data) < 4:
        raise PduError("an answer to a presentation context without its result")
    context_id, result = data[0], data[2]
    proposed = next((c for c in proposal.contexts if c.context_id == context_id), None)
    if proposed is None:
        raise PduError("an answer to a presentation context that was not proposed")
    if result != ACCEPTED:  # the transfer syntax means nothing then (PS3.8 9.3.3.2)
        return ContextAnswer(context_id, result, "")
    syntaxes = [read_uid(value) for kind, value in read_items(data[4:]) if kind == 0x40]
    if len(syntaxes) != 1:
        raise PduError("an accepted presentation context without exactly one transfer syntax")
    if syntaxes[0] not in proposed.transfer_syntaxes:
        raise PduError("a transfer syntax that was not proposed")
    return ContextAnswer(context_id, result, syntaxes[0])


def _roles(items: Sequence[bytes], proposal: Proposal) -> dict[str, tuple[bool, bool]]:
    """Without an answer a requestor is the SCU; a role that was not proposed is none."""
    answers = dict(read_role(item) for item in items)
    roles = {}
    for uid, (scu, scp) in proposal.roles.items():
        taken_scu, taken_scp = answers.get(uid, (True, False))
        roles[uid] = (scu and taken_scu, scp and taken_scp)
    return roles


def result_words(result: int) -> str:
    """A presentation context's result in words (PS3.8 9.3.3.2)."""
    return _RESULTS.get(result, f"refused (result {result})")
