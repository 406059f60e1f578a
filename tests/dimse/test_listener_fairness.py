"""What the listener keeps for known nodes, whatever strangers do."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    VERIFICATION,
    RawPeer,
    command,
    p_data,
)
from tests.waiting import eventually
from tuipacs.dimse.acceptor.slots import AssociationSlots
from tuipacs.dimse.acceptor.waiting import too_many_waiting
from tuipacs.dimse.contract import Caller, ListenerSettings
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import Admission, UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.node_messages import NodeRemoveRequest

MODALITY = "127.0.0.7"


def admission(*, known: bool, stores: bool = False) -> Admission:
    services = {NodeService.ECHO, NodeService.STORE} if stores else {NodeService.ECHO}
    actor = Actor(kind=ActorKind.PEER, name="X", permissions=frozenset())
    return Admission(actor=actor, known=known, services=frozenset(services))


def test_strangers_under_a_nodes_title_do_not_take_its_places(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO, max_associations_per_ae=2)
    archive.know("CT1", address=MODALITY)
    with ExitStack() as stack:
        for _ in range(2):
            stranger = stack.enter_context(RawPeer(archive.port))
            assert stranger.associate(calling=b"CT1").kind == "accept"
        modality = stack.enter_context(RawPeer(archive.port, MODALITY))
        assert modality.associate(calling=b"CT1").kind == "accept"


def test_a_quarter_of_the_slots_is_the_nodes_though_strangers_may_store(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(unknown=UnknownCallers.STORE, max_associations=8)
    archive.know("CT1", address=MODALITY)
    with ExitStack() as stack:
        strangers = [stack.enter_context(RawPeer(archive.port)) for _ in range(7)]
        kinds = [s.associate(calling=b"S%d" % n).kind for n, s in enumerate(strangers)]
        assert kinds == ["accept"] * 6 + ["reject"]
        assert (
            "6 associations of unknown callers" in archive.record(AssociationState.REJECTED).reason
        )
        for _ in range(2):
            modality = stack.enter_context(RawPeer(archive.port, MODALITY))
            assert modality.associate(calling=b"CT1").kind == "accept"


def test_who_was_released_and_does_not_close_waits_like_one_who_has_not_associated(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(max_waiting_per_address=3)
    with ExitStack() as stack:
        for _ in range(3):
            peer = stack.enter_context(RawPeer(archive.port))
            assert peer.associate().kind == "accept"
            assert peer.release() == 6
        more = stack.enter_context(RawPeer(archive.port))
        assert more.read() == (0, b"")
        assert "of this address wait" in archive.record(AssociationState.REJECTED).reason


def test_a_quarter_of_the_waiting_places_is_kept_for_the_nodes_addresses(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(max_waiting=4)
    archive.know("CT1", address=MODALITY)
    archive.know("ANYWHERE")  # names no address: it cannot make a stranger's one expected
    with ExitStack() as stack:
        crowd = [stack.enter_context(RawPeer(archive.port)) for _ in range(4)]
        assert crowd[3].read() == (0, b"")
        modality = stack.enter_context(RawPeer(archive.port, MODALITY))
        assert modality.associate(calling=b"CT1").kind == "accept"


@pytest.mark.parametrize(
    ("waiting", "address", "expected", "words"),
    [
        (["10.0.0.1"] * 2, "10.0.0.1", True, "2 connections of this address"),
        (["2001:db8::1", "2001:db8::2"], "2001:db8::3", False, "2 connections of this address"),
        (["2001:db8:0:1::1", "2001:db8:0:2::1"], "2001:db8::3", False, ""),
        ([f"10.0.0.{n}" for n in range(6)], "10.0.1.1", False, "6 connections wait"),
        ([f"10.0.0.{n}" for n in range(6)], "10.0.1.1", True, ""),
        ([f"10.0.0.{n}" for n in range(8)], "10.0.1.1", True, "8 connections wait"),
    ],
)
def test_waiting_places(waiting: list[str], address: str, expected: bool, words: str) -> None:
    settings = ListenerSettings(max_waiting=8, max_waiting_per_address=2)
    said = too_many_waiting(waiting, address, settings, lambda asked: expected and asked == address)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_the_addresses_of_one_ipv6_network_are_counted_as_one() -> None:
    slots = AssociationSlots(ListenerSettings(max_associations_per_address=2))
    known = admission(known=True)
    for host in (1, 2):
        assert slots.claim(Caller("A", "", f"2001:db8::{host}"), known) == ""
    assert "of this address" in slots.claim(Caller("A", "", "2001:db8::ffff"), known)
    assert slots.claim(Caller("A", "", "2001:db8:0:1::1"), known) == ""
    slots.give_back(Caller("A", "", "2001:db8::1"), known)
    assert slots.claim(Caller("A", "", "2001:db8::ffff"), known) == ""


def test_strangers_who_may_only_echo_are_few_though_others_may_store() -> None:
    slots = AssociationSlots(ListenerSettings(max_associations=8))
    echoing, storing = admission(known=False), admission(known=False, stores=True)
    for number in range(2):
        assert slots.claim(Caller(f"S{number}", "", "10.0.0.1"), echoing) == ""
    assert "2 associations of unknown callers" in slots.claim(Caller("S", "", "10.0.0.1"), echoing)
    assert slots.claim(Caller("S", "", "10.0.0.1"), storing) == ""


def test_slots_come_back_when_their_associations_end(archive: Archive) -> None:
    archive.know("CT1", address=MODALITY)
    for address in (MODALITY, "127.0.0.1"):
        with RawPeer(archive.port, address) as peer:
            assert peer.associate(calling=b"CT1").kind == "accept"
    eventually(lambda: not archive.listener.associations_open)


def test_a_stranger_has_to_wait_after_each_answer_and_a_node_has_not(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO, stranger_pause=60.0)
    archive.know("CT1", address=MODALITY)
    with RawPeer(archive.port) as stranger, RawPeer(archive.port, MODALITY) as modality:
        assert stranger.associate(calling=b"CT1").kind == "accept"
        assert modality.associate([ECHO_CONTEXT, CT_CONTEXT], calling=b"CT1").kind == "accept"
        assert stranger.echo() == 0
        stranger.request(1, command(0x0030, VERIFICATION, dataset=False))
        assert [modality.echo() for _ in range(50)] == [0] * 50
        assert modality.store(b"x") == 0
        stranger.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            stranger.read()
        stranger.socket.settimeout(5)
        assert archive.listener.drain(5) == 0
        assert stranger.read() == (7, bytes(4))


def test_what_a_stranger_may_store_is_taken_without_a_pause(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.STORE, stranger_pause=60.0)
    with RawPeer(archive.port) as stranger:
        stranger.associate([CT_CONTEXT])
        assert [stranger.store(b"x") for _ in range(5)] == [0] * 5


def test_a_removed_node_in_the_middle_of_an_object_is_cut_after_a_time_of_grace(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO, dismissal_grace=0.1)
    key = archive.know("CT1", address=MODALITY)
    with RawPeer(archive.port, MODALITY) as peer:
        peer.associate([CT_CONTEXT], calling=b"CT1")
        peer.send(p_data(3, 3, command(0x0001, CT, dataset=True, instance="1.2")))
        for _ in range(256):  # more than the sockets buffer: so it is being received
            peer.send(p_data(3, 0, b"x" * 65536))
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        assert peer.read() == (0, b"")
    assert archive.record(AssociationState.ABORTED).reason == "the node was removed or changed"
    assert archive.keeper.received == []
