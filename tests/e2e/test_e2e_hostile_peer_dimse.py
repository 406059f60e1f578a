"""Attacks on messages: a legal answer or end, told in words, and nothing stored or left over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import attacks_dimse, attacks_find
from tests.e2e.attacks import Attack, Victim, running_victim

ATTACKS = (*attacks_dimse.ATTACKS, *attacks_find.ATTACKS)
MEMORY_SLACK = 32  # MiB: no length that is only claimed may cost memory


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
