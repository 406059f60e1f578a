"""What was done a moment ago and need not be done again for each slice scrolled past."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class Recent:
    """A bounded, forgetful set. Thread-safe. ``seconds`` is how long a member stays."""

    def __init__(self, *, seconds: float, most: int = 10_000) -> None:
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def has(self, member: Hashable, now: float) -> bool:
        """True if it was added less than ``seconds`` ago."""
        with self._lock:
            return self._until.get(member, 0.0) > now

    def add(self, member: Hashable, now: float) -> None:
        """Remember it from now on."""
        with self._lock:
            self._until.pop(member, None)
            self._until[member] = now + self._seconds
            while len(self._until) > self._most:
                self._until.popitem(last=False)
