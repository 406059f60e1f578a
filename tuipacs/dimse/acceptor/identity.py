"""User identity (PS3.7 D.3.3.7): what counts of it, and when an association fails on it.

It counts over TLS alone: a password that crossed the network in clear proves nothing, and checking
it would teach whoever listened whether it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tuipacs.dimse.contract import PASSCODE, USERNAME, Caller, Identify, IdentityClaim
from tuipacs.dimse.faults import PduError
from tuipacs.domain.admission import Admission
from tuipacs.errors import ThrottledError, TuipacsError, UnavailableError

_KINDS = {3: "Kerberos", 4: "SAML", 5: "JWT"}
_HEADER = 4  # type, whether an answer is wanted, length of the primary field


def parse_identity(data: bytes) -> IdentityClaim:
    """Read a 0x58 sub-item after its header (PS3.7 Table D.3-14). Raises `PduError`."""
    if len(data) < _HEADER:
        raise PduError("a user identity cut off in its header")
    kind, response = data[0], data[1]
    if kind not in (USERNAME, PASSCODE, *_KINDS):
        raise PduError(f"a user identity of the unknown type {kind}")
    middle = _HEADER + int.from_bytes(data[2:4], "big")
    end = middle + 2 + int.from_bytes(data[middle : middle + 2], "big")
    if middle + 2 > len(data) or end != len(data):
        raise PduError("a user identity whose lengths do not fit")
    primary, secondary = data[_HEADER:middle], data[middle + 2 :]
    if not primary:
        raise PduError("a user identity without a user")
    if secondary and kind != PASSCODE:
        raise PduError("a user identity with a passcode that its type has no room for")
    return IdentityClaim(kind, primary, secondary, wants_response=response == 1)


@dataclass(frozen=True)
class Identified:
    """The caller with what its identity came to; ``confirm``: answer with a 0x59 sub-item."""

    caller: Caller
    confirm: bool = False


class IdentityRefusedError(Exception):
    """The association is rejected; ``is_transient`` when the same may do later."""

    def __init__(self, words: str, *, is_transient: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_transient = is_transient


def judge_identity(
    claim: IdentityClaim | None, caller: Caller, admission: Admission, identify: Identify | None
) -> Identified:
    """Who stands behind a caller. Raises `IdentityRefusedError`.

    What a node that need not name a user sends in vain is left unused and remarked, as PS3.7
    D.3.3.7 allows; a wrong name or passcode is refused from anyone who is asked for it.
    """
    if claim is None:
        if admission.require_identity:
            raise IdentityRefusedError("named no user, and this node has to (user identity)")
        return Identified(caller)
    unused = _why_unused(claim, caller, admission, identify)
    if unused or identify is None:
        if admission.require_identity:
            raise IdentityRefusedError(f"named its user in vain: {unused}")
        return Identified(replace(caller, remark=f"user identity not looked at: {unused}"))
    user = _proven(lambda: identify(claim, caller, admission))
    return Identified(replace(caller, user=user), confirm=claim.wants_response)


def _proven(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except (ThrottledError, UnavailableError) as error:
        raise IdentityRefusedError(f"user identity: {error.message}", is_transient=True) from None
    except TuipacsError as error:
        raise IdentityRefusedError(f"user identity: {error.message}") from None


def _why_unused(
    claim: IdentityClaim, caller: Caller, admission: Admission, identify: Identify | None
) -> str:
    if not caller.is_tls:
        return "it came without TLS"
    if not admission.known:
        return "the caller is no known node"
    if claim.kind in _KINDS:
        return f"{_KINDS[claim.kind]} (type {claim.kind}) is not supported"
    if claim.kind == USERNAME and not admission.by_certificate:
        return "a name without a passcode counts from a node with its own certificate only"
    return "" if identify is not None else "this archive checks none"
