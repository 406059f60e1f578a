"""Garbage is collected, all of it, but not while someone types."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from tuipacs.ui.collector import IDLE_AFTER, THRESHOLDS, Collector


class Knot:
    """An object that only the garbage collector can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[Collector]:
    """One that leaves the process as it was."""
    before = gc.get_threshold()
    yield Collector()
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.enable()


def forgotten_knot() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_nothing_is_collected_while_keys_come_and_all_is_when_they_rest(
    collector: Collector,
) -> None:
    collector.start()
    assert not gc.isenabled()
    knot = forgotten_knot()
    collector.tick(0.1)
    assert knot() is not None
    collector.tick(IDLE_AFTER)
    assert knot() is None


def test_a_program_that_is_never_idle_is_collected_too(collector: Collector) -> None:
    collector.start()
    collector.work_begins()
    knot = forgotten_knot()
    keep = [Knot() for _ in range(THRESHOLDS[0] + 1000)]
    assert knot() is None
    assert keep


def test_garbage_of_the_start_that_was_set_aside_is_freed_when_idle(collector: Collector) -> None:
    """The login form, for one, with the password in it."""
    collector.start()
    knot = forgotten_knot()
    collector.work_begins()
    gc.collect()
    assert knot() is not None
    collector.tick(IDLE_AFTER)
    assert knot() is None


def test_screens_of_an_ended_session_are_freed(collector: Collector) -> None:
    screen = Knot()
    knot = weakref.ref(screen)
    collector.work_begins()
    collector.tick(IDLE_AFTER)
    del screen
    collector.tick(0.0)
    collector.tick(IDLE_AFTER)
    assert knot() is not None, "it was set aside"
    collector.session_ended()
    collector.tick(IDLE_AFTER)
    assert knot() is None


def test_an_idle_program_collects_again_when_much_was_made(collector: Collector) -> None:
    collector.work_begins()
    collector.tick(IDLE_AFTER)
    knot = forgotten_knot()
    collector.tick(IDLE_AFTER)
    assert knot() is not None, "nothing happened: nothing is walked"
    keep = [Knot() for _ in range(6000)]
    collector.tick(IDLE_AFTER)
    assert knot() is None
    assert keep
