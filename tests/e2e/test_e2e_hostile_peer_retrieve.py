"""Attacks on retrieving and commitment: a legal end, told in words, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.attacks import Attack, Victim, running_victim
from tests.e2e.attacks_retrieve import ATTACKS

MEMORY_SLACK = 128  # MiB: about 1 KiB for each UID of the longest list


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with running_victim() as running:
        yield running


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_ends_legally_and_the_next_peer_is_served(victim: Victim, attack: Attack) -> None:
    victim.suffer(attack)
    victim.still_echoes()


def test_afterwards_the_daemon_is_as_it_was(victim: Victim) -> None:
    """Threads and descriptors are back where they were, and so is memory."""
    victim.recovers(slack=MEMORY_SLACK)
