"""Peers that break off or ask for the odd: what the listener tells and keeps.

Those that break the protocol meet a running daemon: see `tests.e2e.attacks`.
"""

from __future__ import annotations

import pytest

from tests.dimse.archive import Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    element,
    p_data,
    pdu,
    us,
)
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState

ECHO = command(0x0030, VERIFICATION, dataset=False)
STORE = command(0x0001, CT, dataset=True, instance="1.2")


def test_a_peer_that_leaves_inside_an_object_leaves_nothing(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, STORE) + p_data(3, 0, b"half of it"))
    reason = archive.record(AssociationState.ABORTED).reason
    assert reason == "the connection was lost inside an object, without a release"
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


def test_who_was_released_may_come_back_at_once(make_archive: MakeArchive) -> None:
    """The slot is free before the peer hears of it: nobody is rejected for its own past."""
    archive = make_archive(max_associations=1)
    for _ in range(100):
        with RawPeer(archive.port) as peer:
            assert peer.associate().kind == "accept"
            assert peer.release() == 6
