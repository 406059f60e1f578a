"""Counting what repeats, so that a caller who hammers cannot fill the audit log."""

from __future__ import annotations

import threading
from dataclasses import dataclass

Key = tuple[str, ...]
EVERYONE_ELSE: Key = ()  # stands for all keys beyond the limit


@dataclass(frozen=True)
class Report:
    """Tell this one now. ``earlier`` others of ``key`` came before it and were not told.

    ``key`` is what they were all counted under: the one given, or `EVERYONE_ELSE`.
    """

    key: Key
    earlier: int


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

    def report(self, key: Key, now: float) -> Report | None:
        """None: only counted. Else report it now, with the number of those that were not."""
        with self._lock:
            key = self._placed(key, now)
            window = self._windows.get(key)
            if window is not None and not self._has_ended(window, now):
                window.unreported += 1
                return None
            self._windows[key] = _Window(opened_at=now)
            return Report(key, window.unreported if window else 0)

    def due(self, now: float) -> list[Report]:
        """Kinds whose window has ended, with how many were only counted. Each is told once."""
        with self._lock:
            ended = [key for key, window in self._windows.items() if self._has_ended(window, now)]
            counts = [(key, self._windows.pop(key).unreported) for key in ended]
            return [Report(key, count) for key, count in counts if count]

    def give_back(self, key: Key, count: int, now: float) -> None:
        """Count ``count`` again: the report could not be written."""
        with self._lock:
            key = self._placed(key, now)
            self._windows.setdefault(key, _Window(opened_at=now)).unreported += count

    def _placed(self, key: Key, now: float) -> Key:
        """Under what to count: the key itself if it has a place or can get one."""
        if key in self._windows or self._has_room():
            return key
        self._forget_ended(now)
        return key if self._has_room() else EVERYONE_ELSE

    def _has_room(self) -> bool:
        return len(self._windows) - (EVERYONE_ELSE in self._windows) < self._limit

    def _forget_ended(self, now: float) -> None:
        """Make room even where nobody asks for what is `due`; the numbers are not lost."""
        for key, window in list(self._windows.items()):
            if key != EVERYONE_ELSE and self._has_ended(window, now):
                del self._windows[key]
                if window.unreported:
                    # One that has ended already, so that the number is told at the next chance.
                    others = _Window(opened_at=now - self._window)
                    others = self._windows.setdefault(EVERYONE_ELSE, others)
                    others.unreported += window.unreported

    def _has_ended(self, window: _Window, now: float) -> bool:
        return now - window.opened_at >= self._window
