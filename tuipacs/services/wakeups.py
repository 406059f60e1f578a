"""Telling those who listen that something is newer; only ever after the commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple


class Versions(NamedTuple):
    """What a listener compares: the change feed's seq, and versions of the two live lists."""

    seq: int = 0
    incoming: int = 0
    jobs: int = 0


class Wakeups:
    """Holds the newest versions and calls the listeners. Thread-safe; listeners must be quick."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions = Versions()
        self._listeners: list[Callable[[], None]] = []

    @property
    def versions(self) -> Versions:
        """The newest versions."""
        return self._versions

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` at each change; return the function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return stop

    def content(self, seq: int) -> None:
        """The change feed has grown to ``seq``."""
        self._tell(seq=seq)

    def incoming(self) -> None:
        """An association came, went or counted."""
        self._tell(incoming=1)

    def jobs(self) -> None:
        """A job changed."""
        self._tell(jobs=1)

    def _tell(self, seq: int = 0, incoming: int = 0, jobs: int = 0) -> None:
        with self._lock:
            old = self._versions
            self._versions = Versions(max(seq, old.seq), old.incoming + incoming, old.jobs + jobs)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()
