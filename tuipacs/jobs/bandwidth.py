"""A limit of bytes a second, shared by all who send to one node."""

from __future__ import annotations

import threading
import time

_BURST = 1.0  # seconds' worth that may go at once after a rest


class Bandwidth:
    """Hands out time to send in. Thread-safe; whoever asks first goes first."""

    def __init__(self, kib_per_second: int) -> None:
        self._lock = threading.Lock()
        self._rate = kib_per_second * 1024.0
        self._free_at = 0.0

    def set_rate(self, kib_per_second: int) -> None:
        """From the next block on; 0 for no limit."""
        with self._lock:
            self._rate = kib_per_second * 1024.0

    def reserve(self, count: int) -> float:
        """Take the next time slot for ``count`` bytes; return the seconds until it begins."""
        with self._lock:
            if not self._rate:
                return 0.0
            now = time.monotonic()
            begins = max(self._free_at, now - _BURST)
            self._free_at = begins + count / self._rate
            return max(0.0, begins - now)
