"""Counting what repeats, so that a caller who hammers cannot fill the audit log."""

from __future__ import annotations

import threading
from dataclasses import dataclass

Key = tuple[str, str]
EVERYONE_ELSE: Key = ("", "")  # stands for all keys beyond the limit


@dataclass
class _Window:
    opened_at: float
    unreported: int = 0


class Repeats:
    """The first of its kind is reported at once, the rest of a window as a number. Thread-safe.

    ``window`` is in seconds; at most ``limit`` kinds are told apart at a time, so that at most
    ``limit + 1`` reports leave in a window whatever arrives.
    """

    def __init__(self, window: float = 60.0, limit: int = 64) -> None:
        self._window = window
        self._limit = limit
        self._lock = threading.Lock()
        self._windows: dict[Key, _Window] = {}

    def report(self, key: Key, now: float) -> int | None:
        """None: only counted. Else report it now, with so many earlier ones that were not."""
        with self._lock:
            if key not in self._windows and len(self._windows) >= self._limit:
                self._forget_ended(now)
                if len(self._windows) >= self._limit:
                    key = EVERYONE_ELSE
            window = self._windows.get(key)
            if window is not None and now - window.opened_at < self._window:
                window.unreported += 1
                return None
            self._windows[key] = _Window(opened_at=now)
            return window.unreported if window else 0

    def due(self, now: float) -> list[tuple[Key, int]]:
        """Kinds whose window has ended, with how many were only counted. Each is told once."""
        with self._lock:
            ended = [
                (key, window.unreported)
                for key, window in self._windows.items()
                if window.unreported and now - window.opened_at >= self._window
            ]
            for key, _ in ended:
                self._windows[key].unreported = 0
            self._forget_ended(now)
            return ended

    def unreported(self, key: Key, count: int, now: float) -> None:
        """Give ``count`` back: the report could not be written."""
        with self._lock:
            self._windows.setdefault(key, _Window(opened_at=now)).unreported += count

    def _forget_ended(self, now: float) -> None:
        for key in [
            key
            for key, window in self._windows.items()
            if not window.unreported and now - window.opened_at >= self._window
        ]:
            del self._windows[key]
