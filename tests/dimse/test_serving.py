"""Requests with many answers, cancels, bugs in services, and peers that hold a slot."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.raw_peer import IMPLICIT, RawPeer, command, element, p_data, pdu, us
from tests.waiting import eventually
from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Exchange,
    IsCancelled,
    Reply,
    Request,
)
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.node_messages import NodeRemoveRequest

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
CONTEXT = (1, FIND, [IMPLICIT])
FOUND = b"\x08\x00\x05\x00\x02\x00\x00\x00UR"


class Counting:
    """A service that gives ``count`` answers, or does what a test tells it to."""

    command_field = 0x0020
    right = NodeService.ECHO

    def __init__(self, count: int) -> None:
        self.count = count
        self.given = 0
        self.ended = 0
        self.step: Callable[[int], None] = lambda number: None
        self.fails_in = ""

    def serves(self, abstract_syntax: str) -> bool:
        return abstract_syntax == FIND

    def takes(self, transfer_syntax: str) -> bool:
        return True

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        if self.fails_in == "begin":
            raise RuntimeError("a bug")
        return _Find(self)


class _Find:
    def __init__(self, service: Counting) -> None:
        self._service = service

    def write(self, fragment: memoryview) -> None:
        if self._service.fails_in == "write":
            raise RuntimeError("a bug")

    def finish(self, is_cancelled: IsCancelled) -> Iterator[Answer]:
        if self._service.fails_in == "finish":
            raise RuntimeError("a bug")
        return self._answers(is_cancelled)

    def _answers(self, is_cancelled: IsCancelled) -> Iterator[Answer]:
        for number in range(self._service.count):
            if is_cancelled():
                yield Answer(0xFE00, "cancel")
                return
            self._service.step(number)
            self._service.given += 1
            yield Answer(0xFF00, "pending", dataset=FOUND)
        if self._service.fails_in == "end":
            raise RuntimeError("a bug")
        yield Answer(0x0000, "Success")

    def discard(self) -> None:
        self._service.ended += 1


@pytest.fixture
def service() -> Counting:
    return Counting(3)


@pytest.fixture
def archive(tmp_path: Path, service: Counting) -> Iterator[Archive]:
    archive = Archive(tmp_path, more=[service], dimse_timeout=2.0, idle_timeout=1.0)
    yield archive
    archive.close()


def ask(peer: RawPeer, message_id: int = 7) -> None:
    body = element(0x0002, FIND.encode()) + element(0x0100, us(0x0020))
    body += element(0x0110, us(message_id)) + element(0x0700, us(0)) + element(0x0800, us(1))
    peer.request(1, element(0, len(body).to_bytes(4, "little")) + body, b"")


def cancel(message_id: int) -> bytes:
    return p_data(1, 3, _cancel(message_id))


def _cancel(message_id: int) -> bytes:
    body = element(0x0100, us(0x0FFF)) + element(0x0120, us(message_id))
    body += element(0x0800, us(0x0101))
    return element(0, len(body).to_bytes(4, "little")) + body


def value(header: int, fragment: bytes) -> bytes:
    """A presentation data value on context 1."""
    return (len(fragment) + 2).to_bytes(4, "big") + bytes((1, header)) + fragment


def answers(peer: RawPeer) -> tuple[int, int]:
    """(Pending answers, final status)."""
    pending = 0
    while True:
        answer = peer.answer()
        status = int.from_bytes(answer[0x0900], "little")
        if status != 0xFF00:
            assert answer[0x0800] == us(0x0101), "a final answer carries no identifier"
            return pending, status
        assert answer[0x0800] != us(0x0101)
        kind, body = peer.read()
        assert (kind, body[4:6], body[6:]) == (4, b"\x01\x02", FOUND)
        pending += 1


def test_all_answers_come_in_order_and_the_final_one_last(
    archive: Archive, service: Counting
) -> None:
    with RawPeer(archive.port) as peer:
        assert peer.associate([CONTEXT]).kind == "accept"
        for count in (0, 1, 5000):
            service.count = count
            ask(peer)
            assert answers(peer) == (count, 0x0000)
        assert peer.release() == 6
    assert service.ended == 3


def test_a_cancel_ends_the_answers(archive: Archive, service: Counting) -> None:
    service.count = 10**9
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.send(cancel(7))
        pending, status = answers(peer)
        assert status == 0xFE00
        assert pending == service.given
        service.count = 1
        ask(peer)
        assert answers(peer) == (1, 0x0000)


IN_PARTS = {
    "two PDUs": p_data(1, 1, _cancel(7)[:5]) + p_data(1, 3, _cancel(7)[5:]),
    "two values of a PDU": pdu(4, value(1, _cancel(7)[:20]) + value(3, _cancel(7)[20:])),
    "a byte a PDU": b"".join(p_data(1, 1, bytes((b,))) for b in _cancel(7)) + p_data(1, 3, b""),
    "behind one for another message": cancel(8) + cancel(7),
    "with one for another message in its PDU": pdu(4, value(3, _cancel(8)) + value(3, _cancel(7))),
    "behind half of one": p_data(1, 1, _cancel(8)[:9]) + p_data(1, 3, _cancel(8)[9:]) + cancel(7),
}


@pytest.mark.parametrize("data", IN_PARTS.values(), ids=IN_PARTS)
def test_a_cancel_is_seen_in_whatever_pieces_it_comes(
    archive: Archive, service: Counting, data: bytes
) -> None:
    service.count = 10**9
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.send(data)
        assert answers(peer)[1] == 0xFE00
        service.count = 1
        ask(peer)
        assert answers(peer) == (1, 0x0000)
        assert peer.release() == 6


def test_a_cancel_that_comes_slowly_is_seen_when_it_is_whole(
    archive: Archive, service: Counting
) -> None:
    service.count = 10**9
    first_half = threading.Event()
    service.step = lambda number: first_half.set() if number == 500 else None
    data = IN_PARTS["behind half of one"]
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.send(data[:30])
        while not first_half.is_set():
            peer.read()
        peer.send(data[30:])
        while b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\xfe" not in peer.read()[1]:
            pass
        assert peer.release() == 6


def test_after_the_peers_abort_nothing_more_is_sent(archive: Archive, service: Counting) -> None:
    """PS3.8 AA-3. The abort came before the connection closed, and the board says so."""
    service.count = 10**9
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.read()
        peer.send(cancel(8) + pdu(7, bytes(4)))
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while part := peer.socket.recv(1 << 20):
                data = data[-100:] + part
    assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\xfe" not in data
    reason = archive.record(AssociationState.ABORTED).reason
    assert reason == "the peer aborted (source 0, reason 0)"
    assert service.ended == 1


def test_a_removed_node_gets_no_more_answers(archive: Archive, service: Counting) -> None:
    service.count = 10**9
    key = archive.know("PEER")
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.read()
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        kind, body = peer.read()
        while kind == 4:
            assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\xfe" not in body
            kind, body = peer.read()
        assert (kind, body) == (7, bytes(4))
    assert archive.record(AssociationState.ABORTED).reason == "the node was removed or changed"


def test_a_cancel_of_another_message_changes_nothing(archive: Archive, service: Counting) -> None:
    service.count = 300
    service.step = lambda number: time.sleep(0.001)
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.send(cancel(8))
        assert answers(peer) == (300, 0x0000)


def test_a_request_that_comes_early_is_served_after_the_one_before(
    archive: Archive, service: Counting
) -> None:
    service.count = 300
    service.step = lambda number: time.sleep(0.001)
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer, 7)
        ask(peer, 8)
        assert answers(peer) == (300, 0x0000)
        assert answers(peer) == (300, 0x0000)


@pytest.mark.parametrize("last_word", [pdu(7, bytes(4)), b""], ids=["abort", "close"])
def test_a_peer_that_goes_ends_the_answers(
    archive: Archive, service: Counting, last_word: bytes
) -> None:
    service.count = 10**9
    service.step = lambda number: time.sleep(0.0002)
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        peer.read()
        peer.send(last_word)
    eventually(lambda: service.ended)
    assert archive.record(AssociationState.ABORTED).reason


def test_a_peer_that_takes_no_answers_is_cut_off(archive: Archive, service: Counting) -> None:
    service.count = 10**9
    with RawPeer(archive.port) as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.associate([CONTEXT])
        ask(peer)
        assert archive.record(AssociationState.ABORTED).reason == "took no answer"
    assert service.ended == 1


@pytest.mark.parametrize("where", ["begin", "write", "finish", "end"])
def test_a_bug_in_a_service_costs_the_peer_one_request(
    archive: Archive, service: Counting, where: str
) -> None:
    service.fails_in = where
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        ask(peer)
        assert answers(peer) == (3 if where == "end" else 0, 0x0110)
        service.fails_in = ""
        ask(peer)
        assert answers(peer) == (3, 0x0000)


def test_a_ready_answer_needs_no_dataset() -> None:
    reply = Reply(Answer(0x0122, "SOP class not supported"))
    reply.write(memoryview(b"dropped"))
    assert reply.finish(lambda: False).status == 0x0122


def test_empty_fragments_do_not_keep_an_association(archive: Archive) -> None:
    """Each is a whole PDU in time; together they are no progress."""
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        peer.send(p_data(1, 3, command(0x0020, FIND, dataset=True)))
        reason = _drip(archive, peer, p_data(1, 0, b""))
    assert reason == "sent too little of a message in 2 s"


def test_cancels_for_nothing_do_not_keep_an_association(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        reason = _drip(archive, peer, cancel(1))
    assert reason == "sent no request for 1 s"


def test_a_large_message_is_told_of_while_it_comes(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CONTEXT])
        peer.send(p_data(1, 3, command(0x0020, FIND, dataset=True)))
        for _ in range(80):
            peer.send(p_data(1, 0, bytes(60_000)))
        row = eventually(lambda: [row for row in archive.records() if row.bytes_receiving])[0]
        assert 4 << 20 <= row.bytes_receiving <= 80 * 60_000 + 1000
        assert row.state is AssociationState.OPEN


def _drip(archive: Archive, peer: RawPeer, data: bytes) -> str:
    def ended() -> str:
        with contextlib.suppress(OSError):
            peer.send(data)
        rows = [row for row in archive.records() if row.state is AssociationState.ABORTED]
        return rows[0].reason if rows else ""

    return eventually(ended)
