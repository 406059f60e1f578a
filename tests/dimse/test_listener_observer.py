"""The listener goes on, whatever becomes of those who watch it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.dimse.raw_peer import RawPeer
from tests.waiting import eventually
from tuipacs.dimse.acceptor.listener import Listener
from tuipacs.dimse.contract import Answer, Caller, ListenerSettings
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import Admission
from tuipacs.domain.node import AssociationState, ContextOutcome
from tuipacs.domain.permissions import NodeService
from tuipacs.scp.c_echo import EchoProvider


class Watcher:
    """An observer that does what a test tells it to when a connection is refused, or at a tick."""

    def __init__(self, does: Callable[[], None]) -> None:
        self._does = does
        self.refused = 0
        self.ticks = 0

    def opened(self, caller: Caller, known: bool, contexts: tuple[ContextOutcome, ...]) -> int:
        return 1

    def rejected(
        self,
        caller: Caller,
        known: bool,
        reason: str,
        contexts: tuple[ContextOutcome, ...] = (),
    ) -> None:
        self.refused += 1
        self._does()

    def receiving(self, key: int, size: int) -> None:
        raise AssertionError

    def answered(self, key: int, answer: Answer, size: int) -> None:
        assert answer.status == 0

    def closed(self, key: int, state: AssociationState, reason: str, offence: bool) -> None:
        assert not offence

    def tick(self) -> None:
        self.ticks += 1
        self._does()


class Anybody:
    """Lets everybody echo; the account book is nobody's."""

    def admit(self, caller: Caller) -> Admission:
        actor = Actor(kind=ActorKind.PEER, name="X", permissions=frozenset())
        return Admission(actor=actor, known=True, services=frozenset({NodeService.ECHO}))

    def echo(self, actor: Actor) -> None:
        """Nothing is written."""


@contextmanager
def listening(watcher: Watcher, expects: Callable[[str], bool]) -> Iterator[Listener]:
    anybody = Anybody()
    listener = Listener(
        ListenerSettings(port=0, max_waiting=4, max_waiting_per_address=4, stranger_pause=0.0),
        admit=anybody.admit,
        providers=[EchoProvider(anybody, anybody)],  # type: ignore[arg-type]
        observer=watcher,
        expects=expects,
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def crowd_and_echo(listener: Listener) -> None:
    """Fill the waiting places until connections are refused; then one that waited echoes."""
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(listener.port)) for _ in range(8)]
        for peer in peers[4:]:
            assert peer.read() == (0, b"")
        assert peers[0].associate().kind == "accept"
        assert peers[0].echo() == 0


def fails() -> None:
    raise RuntimeError("a bug")


def test_an_observer_that_fails_does_not_end_the_accepting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watcher = Watcher(fails)
    with caplog.at_level(logging.CRITICAL), listening(watcher, lambda address: True) as listener:
        crowd_and_echo(listener)
        eventually(lambda: watcher.refused == 4 and watcher.ticks)
        with RawPeer(listener.port) as peer:
            assert peer.associate().kind == "accept"
            assert peer.echo() == 0


def test_a_node_table_that_fails_does_not_end_the_accepting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def breaks(address: str) -> bool:
        raise RuntimeError("a bug")

    watcher = Watcher(lambda: None)
    with caplog.at_level(logging.CRITICAL), listening(watcher, breaks) as listener:
        crowd_and_echo(listener)
        eventually(lambda: watcher.refused >= 4)


def test_an_observer_that_hangs_does_not_keep_callers_waiting() -> None:
    """As one does whose disk has stalled."""
    disk_is_back = threading.Event()
    watcher = Watcher(lambda: assert_waited(disk_is_back))
    with listening(watcher, lambda address: True) as listener:
        crowd_and_echo(listener)
        eventually(lambda: watcher.refused + watcher.ticks)
        crowd_and_echo(listener)
        disk_is_back.set()
    assert watcher.refused == 8
    assert watcher.ticks


def assert_waited(event: threading.Event) -> None:
    assert event.wait(20)
