"""Rates from counters that are looked at now and then."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

SPAN = 5.0  # seconds over which a rate is taken


class Rates:
    """Objects a second for each key, over the last few seconds."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[float, int]]] = {}

    def of(self, key: int, count: int, now: float) -> float | None:
        """Note that ``count`` was reached at ``now``; the rate, None before it is known."""
        seen = self._seen.setdefault(key, deque())
        seen.append((now, count))
        while len(seen) > 2 and now - seen[0][0] > SPAN:
            seen.popleft()
        elapsed = now - seen[0][0]
        return (count - seen[0][1]) / elapsed if elapsed > 0.2 else None

    def keep(self, keys: Iterable[int]) -> None:
        """Forget all other keys."""
        wanted = set(keys)
        self._seen = {key: seen for key, seen in self._seen.items() if key in wanted}
