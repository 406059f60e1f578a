"""Attacks by waiting: each runs into a deadline, and the others are served meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.e2e.attacks import Attack, Victim, running_victim
from tests.e2e.attacks_slow import ATTACKS, SETTINGS

MEMORY_SLACK = 32  # MiB
Under = tuple[Victim, dict[Attack, tuple[str, "Future[None]"]]]


@pytest.fixture(scope="module")
def under() -> Iterator[Under]:
    """A daemon with short deadlines, and all attacks on it at the same time."""
    with running_victim(**SETTINGS) as victim, ThreadPoolExecutor(len(ATTACKS)) as pool:
        addresses = {attack: victim.new_address() for attack in ATTACKS}
        yield (
            victim,
            {
                attack: (address, pool.submit(victim.attack, attack, address))
                for attack, address in addresses.items()
            },
        )


def test_meanwhile_the_next_peer_is_served(under: Under) -> None:
    victim, _ = under
    victim.still_echoes()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_runs_into_a_deadline(under: Under, attack: Attack) -> None:
    victim, running = under
    address, future = running[attack]
    future.result(timeout=20)
    victim.check_traces(attack.end, address)


def test_afterwards_the_daemon_is_as_it_was(under: Under) -> None:
    victim, _ = under
    victim.still_echoes()
    victim.recovers(slack=MEMORY_SLACK)
