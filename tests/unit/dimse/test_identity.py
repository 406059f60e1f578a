"""User identity: the sub-item's bytes, and what counts of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu_items import UserIdentitySubItemRQ
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from tuipacs.dimse.acceptor.identity import IdentityRefusedError, judge_identity, parse_identity
from tuipacs.dimse.contract import Caller, IdentityClaim
from tuipacs.dimse.faults import PduError
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import Admission
from tuipacs.errors import AuthenticationError, ThrottledError, TuipacsError, UnavailableError

FIELDS = st.binary(min_size=1, max_size=300)


def pynetdicom_bytes(kind: int, primary: bytes, secondary: bytes, wants: bool) -> bytes:
    negotiation = UserIdentityNegotiation()
    negotiation.user_identity_type = kind
    negotiation.primary_field = primary
    negotiation.secondary_field = secondary
    negotiation.positive_response_requested = wants
    item = UserIdentitySubItemRQ()
    item.from_primitive(negotiation)
    return item.encode()[4:]


@given(st.integers(1, 5), FIELDS, FIELDS, st.booleans())
def test_what_pynetdicom_writes_is_read_as_it_was_meant(
    kind: int, primary: bytes, secondary: bytes, wants: bool
) -> None:
    secondary = secondary if kind == 2 else b""
    claim = parse_identity(pynetdicom_bytes(kind, primary, secondary, wants))
    assert claim == IdentityClaim(kind, primary, secondary, wants_response=wants)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_claim_or_a_broken_pdu(data: bytes) -> None:
    try:
        claim = parse_identity(data)
    except PduError:
        return
    assert len(data) == 6 + len(claim.primary) + len(claim.secondary)


def test_64_kib_are_read_and_the_passcode_is_never_shown() -> None:
    claim = parse_identity(b"\2\0\0\3ada" + (65500).to_bytes(2, "big") + b"p" * 65500)
    assert claim.secondary == b"p" * 65500
    assert "ada" not in repr(claim)
    assert "pp" not in repr(claim)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"\1\0\0", "cut off"),
        (b"\0\0\0\1a\0\0", "unknown type 0"),
        (b"\6\0\0\1a\0\0", "unknown type 6"),
        (b"\1\0\0\1a", "lengths"),
        (b"\1\0\0\1a\0", "lengths"),
        (b"\1\0\0\5a\0\0", "lengths"),
        (b"\1\0\xff\xffa\0\0", "lengths"),
        (b"\2\0\0\1a\0\2b", "lengths"),
        (b"\2\0\0\1a\0\0b", "lengths"),
        (b"\1\0\0\0\0\0", "without a user"),
        (b"\1\0\0\1a\0\1b", "no room"),
    ],
)
def test_a_broken_sub_item_breaks_the_protocol(data: bytes, words: str) -> None:
    with pytest.raises(PduError, match=words):
        parse_identity(data)


def admission(*, require: bool, by_certificate: bool = False, known: bool = True) -> Admission:
    return Admission(
        actor=Actor(kind=ActorKind.PEER, name="CT1", permissions=frozenset()),
        known=known,
        services=frozenset(),
        by_certificate=by_certificate,
        require_identity=require,
    )


SECURE = Caller("CT1", "TUIPACS", "192.0.2.1", is_tls=True)
PLAIN = Caller("CT1", "TUIPACS", "192.0.2.1")
NAME, PASSCODE = IdentityClaim(1, b"ada"), IdentityClaim(2, b"ada", b"x", wants_response=True)


def never(claim: IdentityClaim, caller: Caller, admission: Admission) -> str:
    raise AssertionError("it must not be looked at")


@pytest.mark.parametrize(
    ("claim", "caller", "who", "words"),
    [
        (PASSCODE, PLAIN, {}, "it came without TLS"),
        (PASSCODE, SECURE, {"known": False}, "the caller is no known node"),
        (IdentityClaim(3, b"x"), SECURE, {}, "Kerberos (type 3) is not supported"),
        (IdentityClaim(4, b"x"), SECURE, {}, "SAML (type 4) is not supported"),
        (IdentityClaim(5, b"x"), SECURE, {}, "JWT (type 5) is not supported"),
        (NAME, SECURE, {}, "a name without a passcode counts from a node with its own"),
    ],
)
def test_what_does_not_count_is_left_unused_or_refused_where_it_is_needed(
    claim: IdentityClaim, caller: Caller, who: dict[str, bool], words: str
) -> None:
    found = judge_identity(claim, caller, admission(require=False, **who), never)
    assert (found.caller.user, found.confirm) == ("", False)
    assert words in found.caller.remark
    with pytest.raises(IdentityRefusedError) as refused:
        judge_identity(claim, caller, admission(require=True, **who), never)
    assert words in refused.value.words


def test_who_has_to_name_a_user_and_does_not_is_refused() -> None:
    assert judge_identity(None, SECURE, admission(require=False), never).caller == SECURE
    with pytest.raises(IdentityRefusedError, match="named no user"):
        judge_identity(None, SECURE, admission(require=True), never)


@pytest.mark.parametrize(("claim", "bound"), [(NAME, True), (PASSCODE, False), (PASSCODE, True)])
def test_what_counts_is_asked_once_and_confirmed_if_wanted(
    claim: IdentityClaim, bound: bool
) -> None:
    asked: list[IdentityClaim] = []

    def identify(claim: IdentityClaim, caller: Caller, admission: Admission) -> str:
        asked.append(claim)
        return "Ada"

    found = judge_identity(claim, SECURE, admission(require=True, by_certificate=bound), identify)
    assert (found.caller.user, found.confirm) == ("Ada", claim.wants_response)
    assert asked == [claim]


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (AuthenticationError("wrong"), False),
        (ThrottledError("wait", retry_after=1.0), True),
        (UnavailableError("full"), True),
    ],
)
@pytest.mark.parametrize("require", [True, False])
def test_a_wrong_one_is_refused_also_from_who_need_not_name_any(
    error: TuipacsError, is_transient: bool, require: bool
) -> None:
    def identify(claim: IdentityClaim, caller: Caller, admission: Admission) -> str:
        raise error

    with pytest.raises(IdentityRefusedError, match=error.message) as refused:
        judge_identity(PASSCODE, SECURE, admission(require=require), identify)
    assert refused.value.is_transient is is_transient
