"""What is newer than what clients have: told after the commit, listened to by the event stream.

Nothing but numbers travels here; a client that is woken asks for what it may see.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Versions:
    """``seq`` is the change feed's; the others grow with every change of their list."""

    seq: int = 0
    incoming: int = 0
    jobs: int = 0
    sessions: int = 0


class Wakeups:
    """The newest versions, and whoever waits for newer ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions = Versions()
        self._listeners: list[Callable[[], None]] = []

    @property
    def versions(self) -> Versions:
        """The newest versions. Read them before the data they stand for: then none is missed."""
        return self._versions

    def notify(
        self,
        *,
        seq: int = 0,
        incoming: bool = False,
        jobs: bool = False,
        sessions: bool = False,
    ) -> None:
        """Tell that something is newer, after it was committed. Cheap; never waits for a client."""
        with self._lock:
            now = self._versions
            self._versions = replace(
                now,
                seq=max(now.seq, seq),
                incoming=now.incoming + incoming,
                jobs=now.jobs + jobs,
                sessions=now.sessions + sessions,
            )
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each `notify`, in the notifying thread; return how to stop that.

        A listener must return at once and must not raise.
        """
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe
