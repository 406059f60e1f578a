"""The association request that we write, and the answers that we read, as bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
from pynetdicom.presentation import PresentationContext

from tests.dimse.raw_peer import APPLICATION_CONTEXT, CT, EXPLICIT, IMPLICIT, item
from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID
from tuipacs.dimse.acceptor.pdus import parse_associate_request
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.pdu import ContextAnswer, ProposedContext, fragments, room_of
from tuipacs.dimse.requestor.negotiation import (
    Accept,
    Proposal,
    UserIdentity,
    encode_associate_request,
    parse_associate_accept,
)

CONTEXTS = [ProposedContext(1, CT, (EXPLICIT,)), ProposedContext(3, CT, (IMPLICIT,))]
PROPOSAL = Proposal(
    called_ae_title="STORE",
    calling_ae_title="TUIPACS",
    contexts=CONTEXTS,
    max_pdu=131072,
    roles={CT: (True, True)},
)
FIXED = b"\0\1\0\0" + bytes(64)


def _context(number: int, result: int, *syntaxes: str) -> bytes:
    items = b"".join(item(0x40, uid.encode("latin-1")) for uid in syntaxes)
    return item(0x21, bytes((number, 0, result, 0)) + items)


GOOD = (
    FIXED
    + item(0x10, APPLICATION_CONTEXT.encode())
    + _context(1, 0, EXPLICIT)
    + _context(3, 4, "")
    + item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2.3") + item(0x55, b"PEER_1"))
)


def _parse(body: bytes) -> Accept:
    return parse_associate_accept(memoryview(body), PROPOSAL)


def test_our_request_is_read_alike_by_our_acceptor_and_by_pynetdicom() -> None:
    pdu = encode_associate_request(PROPOSAL)
    ours = parse_associate_request(memoryview(pdu)[6:])
    assert (ours.called_ae_title, ours.calling_ae_title) == ("STORE", "TUIPACS")
    assert list(ours.contexts) == CONTEXTS
    assert (ours.max_length, ours.roles) == (131072, {CT: (True, True)})
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(pdu)
    primitive = theirs.to_primitive()
    assert primitive.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert [c.context_id for c in primitive.presentation_context_definition_list] == [1, 3]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (UserIdentity("anna"), b"\1\0\0\4anna\0\0"),
        (UserIdentity("änna", "pw", must_be_confirmed=True), b"\2\1\0\5\xc3\xa4nna\0\2pw"),
    ],
)
def test_a_user_identity_is_written_as_the_standard_has_it(
    identity: UserIdentity, expected: bytes
) -> None:
    """PS3.7 D.3.3.7.1: type, response requested, and both fields with their lengths, in UTF-8."""
    proposal = Proposal(
        called_ae_title="A", calling_ae_title="B", contexts=CONTEXTS, max_pdu=0, identity=identity
    )
    assert item(0x58, expected) in encode_associate_request(proposal)


def test_a_password_is_not_in_what_a_log_would_show() -> None:
    assert "secret" not in repr(UserIdentity("anna", "secret"))


def test_an_acceptance_is_read_whole() -> None:
    accept = _parse(GOOD)
    assert accept.contexts == (ContextAnswer(1, 0, EXPLICIT), ContextAnswer(3, 4, ""))
    assert accept.max_length == 16384
    assert accept.roles == {CT: (True, False)}
    assert (accept.version_name, accept.identity_confirmed) == ("PEER_1", False)


def test_an_acceptance_written_by_pynetdicom_is_read() -> None:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "TUIPACS", "STORE"
    context = PresentationContext()
    context.context_id, context.result = 3, 0
    context.transfer_syntax = [IMPLICIT]
    primitive.presentation_context_definition_results_list = [context]
    primitive.result = 0
    length = MaximumLengthNotification()
    length.maximum_length_received = 0
    primitive.user_information = [length]
    accept = _parse(A_ASSOCIATE_AC(primitive).encode()[6:])
    assert accept.contexts == (ContextAnswer(3, 0, IMPLICIT),)
    assert accept.max_length == 0


def test_items_of_unknown_kinds_are_skipped() -> None:
    """PS3.8 9.3.1: they come with later editions of the standard."""
    user = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x5F, b"new"))
    assert _parse(FIXED + item(0x99, b"new") + _context(1, 0, EXPLICIT) + user).max_length == 16384


def test_a_peer_that_names_no_maximum_length_gets_short_pdus() -> None:
    assert _parse(FIXED + _context(1, 0, EXPLICIT)).max_length == 16384


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FIXED[:-1], "shorter than its fixed fields"),
        (b"\0\2" + GOOD[2:], "another version"),
        (GOOD + _context(1, 0, EXPLICIT), "twice"),
        (FIXED + _context(5, 0, EXPLICIT), "not proposed"),
        (FIXED + _context(1, 0, IMPLICIT), "transfer syntax that was not proposed"),
        (FIXED + _context(1, 0), "without exactly one transfer syntax"),
        (FIXED + _context(1, 0, EXPLICIT, EXPLICIT), "without exactly one transfer syntax"),
        (FIXED + item(0x21, b"\1\0\0"), "without its result"),
        (GOOD[:-3], "longer than what holds it"),
        (GOOD + b"\x50\0\0", "cut off in its header"),
        (FIXED + item(0x50, item(0x51, b"\0\0")), "leaves no room"),
        (FIXED + item(0x50, item(0x51, b"\0\0\0\1")), "leaves no room"),
        (FIXED + item(0x50, item(0x54, b"\xff\xff1.2")), "role selection of the wrong length"),
    ],
)
def test_a_malformed_acceptance_is_told(body: bytes, words: str) -> None:
    with pytest.raises(PduError, match=words):
        _parse(body)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_acceptance_is_read_or_refused_and_gives_nothing_unasked(
    damage: list[tuple[int, int]],
) -> None:
    body = bytearray(GOOD)
    for at, value in damage:
        body[at] = value
    try:
        accept = _parse(bytes(body))
    except PduError:
        return
    for answer in accept.contexts:
        assert answer.context_id in (1, 3)
        assert answer.transfer_syntax in ("", EXPLICIT, IMPLICIT)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_acceptance_or_a_pdu_error(body: bytes) -> None:
    with contextlib.suppress(PduError):
        _parse(FIXED + body)


@given(
    st.binary(min_size=1, max_size=2000), st.integers(16, 700) | st.just(0), st.integers(1, 2000)
)
def test_fragments_of_blocks_make_the_dataset_and_only_the_last_says_so(
    data: bytes, max_length: int, block: int
) -> None:
    room = room_of(max_length)
    block = max(block // room * room, room)
    stream = b""
    for at in range(0, len(data), block):
        part = memoryview(data)[at : at + block]
        stream += b"".join(fragments(1, part, room, is_last=at + block >= len(data)))
    found, headers = b"", []
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert length <= (max_length or 131072)
        assert int.from_bytes(stream[6:10], "big") == length - 4
        headers.append(stream[11])
        found += stream[12 : 6 + length]
        stream = stream[6 + length :]
    assert found == data
    assert headers == [0] * (len(headers) - 1) + [2]
