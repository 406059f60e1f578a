"""Floods of connections and associations: capped, told once, and over when they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.dimse.raw_peer import RawPeer
from tests.e2e.attacks import REJECTED, Victim, eventually, rejected, running_victim
from tests.e2e.attacks_slow import LONGEST_REQUEST
from tuipacs.domain.node import AssociationState
from tuipacs.schema import operations
from tuipacs.schema.messages import Empty

MOST, MOST_OF_ONE_AE = 8, 4
WAITING, WAITING_OF_ONE_ADDRESS = 128, 32  # caps that no setting changes
MEMORY_SLACK = 64  # MiB: each connection has a buffer of 128 KiB


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with running_victim(max_associations=MOST, max_associations_per_ae=MOST_OF_ONE_AE) as running:
        yield running


def open_now(victim: Victim) -> int:
    rows = victim.admin.call(operations.INCOMING, Empty()).associations
    return sum(row.state is AssociationState.OPEN for row in rows)


def test_connections_from_one_address_are_capped_and_others_served(victim: Victim) -> None:
    address = victim.new_address()
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(victim.port, address)) for _ in range(50)]
        for peer in peers[:WAITING_OF_ONE_ADDRESS]:
            peer.send(LONGEST_REQUEST)
        for peer in peers[WAITING_OF_ONE_ADDRESS:]:
            assert peer.read() == (0, b"")
        victim.still_echoes()
        words = f"{WAITING_OF_ONE_ADDRESS} connections of this address wait to associate"
        assert words in victim.record(address).reason
        assert victim.audited(address) == [words]  # the rest of a minute is a number
    eventually(victim.is_quiet, "connections stay")


def test_connections_from_many_addresses_are_capped_in_all(victim: Victim) -> None:
    addresses = [victim.new_address() for _ in range(WAITING // WAITING_OF_ONE_ADDRESS)]
    last = victim.new_address()
    with ExitStack() as stack:
        for address in addresses:
            for _ in range(WAITING_OF_ONE_ADDRESS):
                stack.enter_context(RawPeer(victim.port, address)).send(LONGEST_REQUEST)
        one_more = stack.enter_context(RawPeer(victim.port, last))
        assert one_more.read() == (0, b"")
        words = f"{WAITING} connections wait to associate"
        assert words in victim.record(last).reason
        assert victim.audited(last) == [words]
    eventually(victim.is_quiet, "connections stay")
    victim.still_echoes()


def test_full_slots_are_a_transient_rejection_until_one_is_released(victim: Victim) -> None:
    """All of one title, then all in all: result 2, source 3, reason 2, local limit exceeded."""
    titles = [b"PEER"] * MOST_OF_ONE_AE + [b"OTHER"] * (MOST - MOST_OF_ONE_AE)
    full = rejected((2, 3, 2), f"{MOST} associations are open, the most in all")
    of_one = rejected((2, 3, 2), f"{MOST_OF_ONE_AE} associations of this AE are open")
    victim.know("OTHER")
    with ExitStack() as stack:
        peers = []
        for title in titles:
            peer = stack.enter_context(RawPeer(victim.port))
            assert peer.associate(calling=title).kind == "accept"
            peers.append(peer)
            if len(peers) == MOST_OF_ONE_AE:
                turned_down(victim, b"PEER", of_one.words, of_one.codes)
        turned_down(victim, b"THIRD", full.words, full.codes)
        assert open_now(victim) == MOST
        assert peers[0].release() == 6
        victim.still_echoes()
        assert all(peer.echo() == 0 for peer in peers[1:])


def turned_down(victim: Victim, title: bytes, words: str, codes: tuple[int, ...]) -> None:
    address = victim.new_address()
    with RawPeer(victim.port, address) as peer:
        assert peer.associate(calling=title).detail == codes
    record = victim.record(address)
    assert record.state is REJECTED
    assert words in record.reason
    assert [detail for detail in victim.audited(address) if words in detail]


def test_strangers_take_no_more_than_a_quarter_of_the_slots(victim: Victim) -> None:
    with ExitStack() as stack:
        for _ in range(MOST // 4):
            peer = stack.enter_context(RawPeer(victim.port))
            assert peer.associate(calling=b"NOBODY").kind == "accept"
        words = f"{MOST // 4} associations of unknown callers are open"
        turned_down(victim, b"NOBODY2", words, (2, 3, 2))
        victim.still_echoes()


def test_connections_that_come_and_go_by_the_hundred_leave_nothing(victim: Victim) -> None:
    for number in range(150):
        with RawPeer(victim.port) as peer:
            peer.send(b"\x01\0\0"[: number % 4])
    victim.still_echoes()


def test_afterwards_the_daemon_is_as_it_was(victim: Victim) -> None:
    victim.recovers(slack=MEMORY_SLACK)
