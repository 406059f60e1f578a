"""All attacks in a crowd, while honest peers store: each gets its own end, nothing is mixed up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.dimse.raw_peer import CT_CONTEXT, ECHO_CONTEXT, EXPLICIT, RawPeer
from tests.e2e import attacks_acse, attacks_dimse, attacks_retrieve, hostile
from tests.e2e.attacks import Attack, Victim, eventually, running_victim
from tests.e2e.proof import check_index

CROWD = 8  # attackers at a time
STORES = 60  # objects of each honest peer
ATTACKS = (*attacks_acse.ATTACKS, *attacks_dimse.ATTACKS, *attacks_retrieve.SHORT)


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with running_victim() as running:
        yield running


def store_many(victim: Victim, large: bool) -> list[tuple[str, str]]:
    """Objects on one association, each with a patient of its own; (UID, SHA-256) of each."""
    stored = []
    with RawPeer(victim.port, victim.new_address()) as peer:
        peer.socket.settimeout(60)
        assert peer.associate([ECHO_CONTEXT, CT_CONTEXT]).kind == "accept"
        for number in range(STORES):
            pixels = bytes((number,)) * (600_000 if large else 8)
            patient = hostile.text(f"{large}-{number}")
            changes = {0x7FE00010: ("OW", pixels), 0x00100020: ("LO", patient)}
            dataset = hostile.make(changes)
            uid = hostile.instance_of(dataset, EXPLICIT)
            assert peer.store(dataset, instance=uid) == 0
            stored.append((uid, hashlib.sha256(dataset).hexdigest()))
        assert peer.release() == 6
    return stored


def test_in_a_crowd_each_gets_its_own_end_and_nothing_is_lost(victim: Victim) -> None:
    def suffer(attack: Attack) -> None:
        victim.attack(attack, victim.new_address())

    before = check_index(victim.archive)
    with ThreadPoolExecutor(CROWD) as crowd, ThreadPoolExecutor(2) as honest:
        storing = [honest.submit(store_many, victim, large) for large in (False, True)]
        attacking = [crowd.submit(suffer, attack) for attack in ATTACKS]
        for future in attacking:
            future.result(timeout=60)
        stored = [one for future in storing for one in future.result(timeout=60)]
    objects = victim.archive.paths.objects
    eventually(lambda: not list(objects.rglob("*.part")), "half an object stays")
    assert sorted(check_index(victim.archive)) == sorted(before + stored)
    assert "Traceback" not in victim.archive.log()
    victim.still_echoes()
