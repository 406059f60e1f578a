"""Peers that break the protocol: a legal abort, an event in words, and a listener that goes on."""

from __future__ import annotations

import pytest

from tests.dimse.archive import Archive, eventually
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    EXPLICIT,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    context_item,
    element,
    item,
    p_data,
    pdu,
    role_item,
    us,
)
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState

ECHO = command(0x0030, VERIFICATION, dataset=False)
STORE = command(0x0001, CT, dataset=True, instance="1.2")


def _raw(field: int | None, *more: bytes) -> bytes:
    body = element(0x0002, CT.encode()) + b"".join(more)
    return body if field is None else body + element(0x0100, us(field))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (b"\xff" * 64, "no DICOM"),
        (p_data(1, 3, ECHO), "another PDU"),
        (pdu(5, bytes(4)), "another PDU"),
        (pdu(1, b""), "shorter than its fixed fields"),
        (pdu(1, bytes(67)), "shorter than its fixed fields"),
        (b"\x01\0\xff\xff\xff\xff", "of 4294967295 bytes"),
        (associate_rq(items=b"\x20\0\xff\xff"), "longer than what holds it"),
        (associate_rq(user=b"\x51"), "cut off in its header"),
        (associate_rq(items=item(0x20, b"\1")), "without an ID"),
        (associate_rq([(2, CT, [EXPLICIT])]), "even presentation context ID"),
        (associate_rq([ECHO_CONTEXT, ECHO_CONTEXT]), "twice"),
        (associate_rq([(1, CT, [EXPLICIT])] * 600), "twice"),
        (associate_rq(items=item(0x20, bytes((9, 0, 0, 0)))), "exactly one abstract syntax"),
        (associate_rq(max_length=1), "maximum length"),
        (associate_rq(user=role_item(CT, 1, 0)[:-1] + b""), "longer than what holds it"),
        (associate_rq(user=item(0x54, b"\0\x99")), "role selection"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_before_the_association(archive: Archive, data: bytes, words: str) -> None:
    with RawPeer(archive.port) as peer:
        peer.send(data)
        assert peer.reply().kind == "abort"
    assert words in archive.record(AssociationState.REJECTED).reason
    _still_echoes(archive)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\0\0\0\0\4abcd", "unknown type 0xFF"),
        (associate_rq(), "ASSOCIATE_RQ in the middle"),
        (pdu(6, bytes(4)), "RELEASE_RP in the middle"),
        (b"\x04\0\xff\xff\xff\xff", "more than was agreed"),
        (b"\x05\0\0\1\0\0", "more than was agreed"),
        (pdu(4, b"\0\0"), "cut off"),
        (pdu(4, b"\0\0\0\0\1\3"), "impossible length"),
        (pdu(4, b"\0\0\0\1\1\3"), "impossible length"),
        (pdu(4, b"\0\0\0\x99\1\3"), "impossible length"),
        (p_data(99, 3, ECHO), "not accepted"),
        (p_data(0, 3, ECHO), "not accepted"),
        (p_data(3, 2, b"data"), "no command announced"),
        (p_data(3, 1, STORE[:20]) + p_data(1, 3, STORE[20:]), "changes its presentation context"),
        (p_data(3, 3, STORE) + p_data(3, 3, STORE), "where a dataset was announced"),
        (p_data(1, 1, bytes(60_000)) + p_data(1, 1, bytes(60_000)), "without end"),
        (p_data(1, 3, ECHO[:-1]), "longer than the command set"),
        (p_data(1, 3, ECHO[:12] + b"\0\0"), "cut off inside"),
        (p_data(1, 3, b"\x08\0\x05\0\0\0\0\0"), "outside group 0000"),
        (p_data(1, 3, _raw(None)), "without command field"),
        (p_data(1, 3, _raw(0x30)), "without message ID"),
        (p_data(1, 3, _raw(0x30, element(0x0110, us(1)))), "without data set type"),
        (p_data(1, 3, _raw(None, element(0x0100, b"\1\0\0\0"))), "not of two bytes"),
        (p_data(1, 3, b""), "without command field"),
        (
            p_data(1, 3, _raw(0x8001, element(0x0120, us(1)), element(0x0800, us(0x0101)))),
            "an answer to nothing",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_inside_the_association(archive: Archive, data: bytes, words: str) -> None:
    with RawPeer(archive.port) as peer:
        assert peer.associate([ECHO_CONTEXT, CT_CONTEXT]).kind == "accept"
        peer.send(data)
        reply = peer.reply()
        assert (reply.kind, reply.detail[0]) == ("abort", 2)
    assert words in archive.record(AssociationState.ABORTED).reason
    assert eventually(lambda: archive.audited(words.lower()))
    assert archive.keeper.received == []
    _still_echoes(archive)


def test_a_cancel_for_nothing_is_ignored(archive: Archive) -> None:
    body = element(0x0100, us(0x0FFF)) + element(0x0120, us(9)) + element(0x0800, us(0x0101))
    with RawPeer(archive.port) as peer:
        peer.associate()
        peer.request(1, body)
        assert peer.echo() == 0


def test_a_peer_that_leaves_inside_an_object_leaves_nothing(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, STORE) + p_data(3, 0, b"half of it"))
    reason = archive.record(AssociationState.ABORTED).reason
    assert reason == "the connection was lost inside an object, without a release"
    assert archive.keeper.received == []


def test_a_release_inside_an_object_is_confirmed_and_said(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, STORE) + p_data(3, 0, b"half of it"))
        assert peer.release() == 6
    assert archive.record(AssociationState.RELEASED).reason == "inside an object"
    assert archive.keeper.received == []


def test_the_peers_abort_is_told_with_its_codes(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate()
        peer.send(pdu(7, bytes((0, 0, 0, 0))))
    record = archive.record(AssociationState.ABORTED)
    assert record.reason == "the peer aborted (source 0, reason 0)"
    assert archive.audited("the peer aborted") == []


@pytest.mark.parametrize("part", [b"\x01", associate_rq()[:6], associate_rq()[:-1]])
def test_a_request_that_breaks_off_is_told(archive: Archive, part: bytes) -> None:
    with RawPeer(archive.port) as peer:
        peer.send(part)
    record = archive.record(AssociationState.REJECTED)
    assert record.reason == "went away inside its association request"


def test_a_port_probe_leaves_no_trace(archive: Archive) -> None:
    with RawPeer(archive.port):
        pass
    _still_echoes(archive)
    assert [record.state for record in archive.records()] == [AssociationState.RELEASED]


def test_a_request_one_byte_at_a_time_is_a_request(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        for byte in associate_rq():
            peer.send(bytes((byte,)))
        assert peer.reply().kind == "accept"


def test_a_thousand_syntaxes_are_read(archive: Archive) -> None:
    syntaxes = [f"1.2.3.{i}" for i in range(1000)]
    assert len(context_item(1, CT, syntaxes)) < 65536
    with RawPeer(archive.port) as peer:
        assert peer.associate([(1, CT, syntaxes)]).contexts == {1: (0, "1.2.3.0")}


def test_no_contexts_and_a_huge_identity_are_survived(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        reply = peer.associate([], user=item(0x58, b"\x02\0" + b"\xfd\xe8" + b"x" * 65000))
        assert reply.detail == (1, 1, 3)
    _still_echoes(archive)


@pytest.mark.parametrize("size", [16, 18, 31])
def test_answers_keep_to_a_tiny_maximum_length(archive: Archive, size: int) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate(max_length=size)
        peer.request(1, ECHO)
        data, last = b"", False
        while not last:
            kind, body = peer.read()
            assert kind == 4
            assert len(body) <= size
            data, last = data + body[6:], body[5] == 3
    assert data.endswith(element(0x0900, us(0)))


@pytest.mark.parametrize(
    ("request_field", "sop_class", "status"),
    [(0x0030, VERIFICATION, 0x0000), (0x0001, CT, 0x0122), (0x7777, VERIFICATION, 0x0211)],
    ids=["C-ECHO", "C-STORE", "an unknown command"],
)
def test_a_dataset_that_no_service_asked_for_is_dropped(
    make_archive: MakeArchive, request_field: int, sop_class: str, status: int
) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO)
    with RawPeer(archive.port) as peer:
        assert peer.associate([ECHO_CONTEXT, CT_CONTEXT]).kind == "accept"
        header = command(request_field, sop_class, dataset=True, instance="1.2")
        peer.request(1, header, bytes(50_000))
        assert peer.status() == status
        assert peer.echo() == 0
    assert archive.keeper.received == []


def _still_echoes(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        assert peer.associate().kind == "accept"
        assert peer.echo() == 0
        assert peer.release() == 6
    archive.record(AssociationState.RELEASED)
