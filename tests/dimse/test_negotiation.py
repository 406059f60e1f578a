"""What is accepted, what is refused, and with which code: seen from the wire."""

from __future__ import annotations

import pytest

from tests.dimse.archive import Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import (
    BIG,
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    JPEG2000,
    VERIFICATION,
    RawPeer,
    Reply,
    associate_rq,
    item,
    role_item,
)
from tests.waiting import eventually
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService

ECHO, STORE = NodeService.ECHO, NodeService.STORE
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"  # not offered here
BOTH = (ECHO_CONTEXT, CT_CONTEXT)


def ask(archive: Archive, *args: object, **kwargs: object) -> Reply:
    with RawPeer(archive.port) as peer:
        return peer.associate(*args, **kwargs)


@pytest.mark.parametrize(
    ("rule", "contexts", "expected"),
    [
        ("echo", BOTH, {1: 0, 3: 1}),
        ("echo", (ECHO_CONTEXT,), {1: 0}),
        ("echo", (CT_CONTEXT,), (1, 1, 3)),
        ("store", BOTH, {1: 0, 3: 0}),
        ("refuse", BOTH, (1, 1, 3)),
        ("refuse", (ECHO_CONTEXT,), (1, 1, 3)),
    ],
)
def test_unknown_callers_get_what_the_setting_says(
    make_archive: MakeArchive, rule: str, contexts: object, expected: object
) -> None:
    archive = make_archive(unknown=UnknownCallers(rule))
    reply = ask(archive, contexts)
    if isinstance(expected, tuple):
        assert (reply.kind, reply.detail) == ("reject", expected)
        record = archive.record(AssociationState.REJECTED)
        assert record.reason == "the calling AE title is not a known node"
        assert eventually(lambda: archive.audited("known node"))
    else:
        assert {key: result for key, (result, _) in reply.contexts.items()} == expected


@pytest.mark.parametrize(
    ("services", "expected"),
    [((ECHO, STORE), {1: 0, 3: 0}), ((STORE,), {1: 1, 3: 0}), ((ECHO,), {1: 0, 3: 1})],
)
def test_a_known_node_gets_its_own_services(
    make_archive: MakeArchive, services: tuple[NodeService, ...], expected: dict[int, int]
) -> None:
    archive = make_archive(unknown=UnknownCallers.REFUSE)
    archive.know("PEER", *services, address="127.0.0.0/8")
    reply = ask(archive, BOTH)
    assert {key: result for key, (result, _) in reply.contexts.items()} == expected


def test_a_known_title_from_a_wrong_address_is_a_stranger_and_the_event_says_so(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(unknown=UnknownCallers.REFUSE)
    archive.know("PEER", address="192.0.2.1")
    assert ask(archive).detail == (1, 1, 3)
    record = archive.record(AssociationState.REJECTED)
    assert record.reason == "the calling AE title is known, but not from this address"


def test_a_new_node_may_call_at_once(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.REFUSE)
    assert ask(archive).kind == "reject"
    key = archive.know("PEER")
    assert ask(archive).kind == "accept"
    assert key


@pytest.mark.parametrize("called", [b"OTHER", b"tuipacs", b"", b"TUIPACS\x1b[2J"])
def test_another_called_title_is_rejected_and_shown(archive: Archive, called: bytes) -> None:
    assert ask(archive, called=called).detail == (1, 1, 7)
    assert "called AE title" in archive.record(AssociationState.REJECTED).reason


@pytest.mark.parametrize("called", [b"TUIPACS", b" TUIPACS ", b"TUIPACS\0\0"])
def test_padding_of_the_called_title_does_not_count(archive: Archive, called: bytes) -> None:
    assert ask(archive, called=called).kind == "accept"


def test_the_called_title_may_be_left_unchecked(make_archive: MakeArchive) -> None:
    assert ask(make_archive(check_called_ae=False), called=b"ANY-SCP").kind == "accept"


@pytest.mark.parametrize(
    "calling", [b"", b"\x1b]52;c;eA==\x07", b"A\\B", b"\xc3\xa9\xff", b"..\0/../x\n"]
)
def test_a_calling_title_that_is_none_is_rejected(archive: Archive, calling: bytes) -> None:
    """Even where unknown callers may store: it could be neither named nor configured."""
    assert ask(archive, calling=calling).detail == (1, 1, 3)
    assert archive.record(AssociationState.REJECTED).reason.startswith("the calling AE title")


@pytest.mark.parametrize(("version", "kind"), [(1, "accept"), (3, "accept"), (2, "reject")])
def test_only_bit_zero_of_the_protocol_version_counts(
    archive: Archive, version: int, kind: str
) -> None:
    reply = ask(archive, version=version)
    assert reply.kind == kind
    assert reply.detail in ((), (1, 2, 2))


def test_another_application_context_is_rejected(archive: Archive) -> None:
    assert ask(archive, application_context="1.2.3").detail == (1, 1, 2)


@pytest.mark.parametrize(
    "order", [[EXPLICIT, IMPLICIT, BIG], [BIG, EXPLICIT], [JPEG2000, EXPLICIT], [IMPLICIT]]
)
def test_the_requestors_first_transfer_syntax_wins(archive: Archive, order: list[str]) -> None:
    assert ask(archive, [(1, CT, order)]).contexts == {1: (0, order[0])}


def test_a_syntax_that_is_none_is_passed_over(archive: Archive) -> None:
    """The CT class where a transfer syntax belongs."""
    assert ask(archive, [(1, CT, [CT, EXPLICIT])]).contexts == {1: (0, EXPLICIT)}


@pytest.mark.parametrize("last", ["6.1", "6.2", "7.1", "7.3"])
def test_a_syntax_that_carries_no_dataset_over_dimse_is_passed_over(
    archive: Archive, last: str
) -> None:
    """Retired MIME and XML encodings (PS3.6 A), and SMPTE ST 2110 of PS3.22."""
    proposed = [f"1.2.840.10008.1.2.{last}", EXPLICIT]
    assert ask(archive, [(1, CT, proposed)]).contexts == {1: (0, EXPLICIT)}
    assert ask(archive, [(1, CT, proposed[:1])]).contexts[1][0] == 4  # not: who are you?


@pytest.mark.parametrize(
    ("context", "result"),
    [
        ((5, MOVE, [IMPLICIT]), 3),
        ((5, "1.2.840.10008.1.20.1", [IMPLICIT]), 3),
        ((5, "1.2.840.10008.1.3.10", [IMPLICIT]), 3),
        ((5, "1.2.840.10008.5.1.4.1.1.200.4", [IMPLICIT]), 3),
        ((5, "../../etc", [IMPLICIT]), 3),
        ((5, CT, []), 4),
        ((5, CT, [CT]), 4),
        ((5, CT, ["1.2\x1b"]), 4),
        ((5, VERIFICATION, [JPEG2000]), 4),
        ((5, CT, [JPEG2000]), 0),
        ((5, CT, ["1.2.840.113619.5.2"]), 0),
        ((5, CT, ["1.2.840.10008.1.2.4.999"]), 0),
        ((5, "1.3.12.2.1107.5.9.1", [EXPLICIT]), 0),
        ((5, "1.2.840.10008.5.1.4.1.1.12.77", [EXPLICIT]), 0),
        ((5, "1.2.840.10008.5.1.4.1.1.9999", [EXPLICIT]), 0),
        ((5, "1.2.840.10008.5.1.1.29", [EXPLICIT]), 0),
    ],
)
def test_each_context_gets_its_own_result(
    archive: Archive, context: tuple[int, str, list[str]], result: int
) -> None:
    """3: no such SOP class here; 4: none of its transfer syntaxes."""
    reply = ask(archive, [ECHO_CONTEXT, context])
    assert reply.contexts[1][0] == 0
    assert reply.contexts[5][0] == result


def test_a_class_that_the_settings_refuse_is_not_supported(make_archive: MakeArchive) -> None:
    reply = ask(make_archive(refuse=(CT,)), BOTH)
    assert reply.contexts[3][0] == 3


def test_a_known_node_without_any_common_context_learns_why(make_archive: MakeArchive) -> None:
    """An acceptance with reasons tells its engineer more than a rejection could."""
    archive = make_archive(unknown=UnknownCallers.REFUSE)
    archive.know("PEER")
    assert ask(archive, [(1, MOVE, [IMPLICIT])]).contexts[1][0] == 3


def test_128_contexts_are_answered_one_by_one(archive: Archive) -> None:
    proposals = [(i, CT if i % 4 == 1 else MOVE, [EXPLICIT]) for i in range(1, 256, 2)]
    reply = ask(archive, proposals)
    assert len(reply.contexts) == 128
    assert all(result == (0 if i % 4 == 1 else 3) for i, (result, _) in reply.contexts.items())


@pytest.mark.parametrize("proposed", [(1, 0), (1, 1)])
def test_the_scp_role_is_never_taken(archive: Archive, proposed: tuple[int, int]) -> None:
    reply = ask(archive, [CT_CONTEXT], user=role_item(CT, *proposed))
    assert reply.roles == {CT: (1, 0)}
    assert reply.contexts[3][0] == 0


def test_a_context_whose_caller_would_be_no_scu_is_refused(archive: Archive) -> None:
    reply = ask(archive, BOTH, user=role_item(CT, 0, 1))
    assert reply.contexts[3][0] == 1
    assert reply.roles == {}


def test_a_user_identity_neither_opens_nor_closes_anything(make_archive: MakeArchive) -> None:
    """A password in clear is worth nothing; asking for an answer gets none (PS3.7 D.3.3.7)."""
    identity = item(0x58, b"\x02\x01\x00\x04root\x00\x06secret")
    archive = make_archive(unknown=UnknownCallers.ECHO)
    reply = ask(archive, BOTH, user=identity)
    assert {key: result for key, (result, _) in reply.contexts.items()} == {1: 0, 3: 1}
    assert not any("secret" in str(record) for record in archive.records())


def test_the_offered_maximum_length_is_the_settings(make_archive: MakeArchive) -> None:
    assert ask(make_archive(max_pdu=65536)).max_length == 65536


def test_titles_and_reserved_bytes_come_back_as_they_were_sent(archive: Archive) -> None:
    """PS3.8 table 9-17: bytes 11 to 74 have the values of the request."""
    request = bytearray(associate_rq())
    request[42:74] = bytes(range(32))
    with RawPeer(archive.port) as peer:
        peer.send(bytes(request))
        kind, body = peer.read()
    assert kind == 2
    assert body[4:68] == request[10:74]


def test_unknown_items_are_skipped(archive: Archive) -> None:
    """PS3.8 9.3.1: an acceptor ignores what it does not know."""
    reply = ask(archive, items=item(0x99, b"x" * 300), user=item(0x77, b"y"))
    assert reply.kind == "accept"


def test_contexts_are_shown_with_names_and_reasons(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO)
    ask(archive, [*BOTH, (5, MOVE, [IMPLICIT])])
    record = archive.record(AssociationState.ABORTED)
    assert [(c.abstract_syntax_name, c.accepted, c.reason) for c in record.contexts] == [
        ("Verification SOP Class", True, ""),
        ("CT Image Storage", False, "store is not open to unknown callers"),
        (
            "Study Root Query/Retrieve Information Model - MOVE",
            False,
            "this archive does not offer this SOP class",
        ),
    ]
