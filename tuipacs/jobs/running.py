"""A job while it runs: what it is asked to do by others, and what it calls to find out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tuipacs.domain.actor import Actor
from tuipacs.domain.clock import Clock
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.time_window import closes_at
from tuipacs.jobs.bandwidth import Bandwidth
from tuipacs.jobs.signals import Cancelled, Held, Interrupted, Paused


def _no_limit(count: int) -> None:
    """A kind that sends nothing has nothing to slow down."""


@dataclass(frozen=True)
class Progress:
    """What a kind of job calls while it works."""

    check: Callable[[], None]  # between two objects: raises what ends the run there
    tell: Callable[[], None]  # wakes the screens, now and then
    pace: Callable[[int], None] = _no_limit  # before so many bytes leave: sleeps, or raises


@dataclass
class Running:
    """One job that runs. Asked from the runner's thread, answered in its own."""

    key: int
    lane: int
    node: NodeRecord | None  # as it was when the run began
    bandwidth: Bandwidth
    clock: Clock
    thread: threading.Thread | None = None
    actor: Actor | None = None  # on whose behalf, once it has begun
    is_held: bool = False
    is_paused: bool = False
    is_cancelled: bool = False
    is_interrupted: bool = False
    _at_once: threading.Event = field(default_factory=threading.Event)
    _closes_at: float | None = None

    def __post_init__(self) -> None:
        if self.node is not None:
            self._closes_at = closes_at(self.node.call.window, self.clock())

    def cancel(self) -> None:
        """End it, in the middle of an object if need be."""
        self.is_cancelled = True
        self._at_once.set()

    def interrupt(self) -> None:
        """The archive stops."""
        self.is_interrupted = True
        self._at_once.set()

    def compare(self, node: NodeRecord | None) -> None:
        """Hold it if the way to its node is another than when it began, or closed."""
        before = self.node
        if before is None:
            return
        if node is None or node.paused or not node.is_called_as(before):
            self.is_held = True

    def check(self) -> None:
        """Between two objects. Raises what ends this run."""
        self._check_at_once()
        if self.is_paused:
            raise Paused
        if self.is_held or (self._closes_at is not None and self.clock() >= self._closes_at):
            raise Held

    def pace(self, count: int) -> None:
        """Before a block of an object leaves: sleeps as the node's limit wants it.

        Raises `Interrupted` or `Cancelled`: half an object is none for its receiver.
        """
        self._check_at_once()
        seconds = self.bandwidth.reserve(count)
        if seconds and self._at_once.wait(seconds):
            self._check_at_once()

    def _check_at_once(self) -> None:
        if self.is_interrupted:
            raise Interrupted
        if self.is_cancelled:
            raise Cancelled
