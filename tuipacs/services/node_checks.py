"""What tests of nodes have shown since the daemon started, and how far running ones are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import NodeHealth, RungResult
from tuipacs.errors import UnavailableError

_MOST = 16  # tests at once


class Checks:
    """In memory only: an old outcome says little after a restart. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_stopping = False
        self._outcomes: dict[int, tuple[float, bool, str]] = {}  # by key of the node
        self._running: dict[tuple[str, str], list[RungResult]] = {}  # by actor and ticket

    def stop(self) -> None:
        """End running tests with their next rung."""
        self._is_stopping = True

    def seen(self, key: int, at: float, rungs: Sequence[RungResult]) -> None:
        """A node was tested or answered an echo."""
        broken = next((rung for rung in rungs if rung.is_broken), None)
        words = f"{broken.rung}: {broken.words}" if broken else "answers"
        with self._lock:
            self._outcomes[key] = (at, broken is None, words)

    def health(
        self, nodes: Sequence[NodeRecord], jobs: Mapping[int, int]
    ) -> tuple[NodeHealth, ...]:
        """Of these nodes, those of which there is anything to tell; others are forgotten."""
        keys = {node.key for node in nodes}
        with self._lock:
            self._outcomes = {key: out for key, out in self._outcomes.items() if key in keys}
            outcomes = dict(self._outcomes)
        told = []
        for key in sorted(keys & (outcomes.keys() | jobs.keys())):
            at, reached, words = outcomes.get(key, (0.0, False, ""))
            told.append(
                NodeHealth(
                    key=key,
                    checked_at=at,
                    reached=reached,
                    words=words,
                    open_jobs=jobs.get(key, 0),
                )
            )
        return tuple(told)

    @contextmanager
    def running(self, actor: str, ticket: str) -> Iterator[Callable[[RungResult], None]]:
        """A test under that ticket; the block tells each rung. Raises `UnavailableError`.

        So does telling a rung once the archive stops: the others are not waited for.
        """
        rungs: list[RungResult] = []

        def told(rung: RungResult) -> None:
            rungs.append(rung)
            if self._is_stopping:
                raise UnavailableError("the archive is stopping")

        name = (actor, ticket)
        with self._lock:
            if len(self._running) >= _MOST:
                raise UnavailableError(f"{_MOST} nodes are being tested already")
            if ticket:
                self._running[name] = rungs
        try:
            yield told
        finally:
            with self._lock:
                if self._running.get(name) is rungs:
                    del self._running[name]

    def done(self, actor: str, ticket: str) -> tuple[RungResult, ...]:
        """The rungs of a running test that are known."""
        with self._lock:
            return tuple(self._running.get((actor, ticket), ()))
