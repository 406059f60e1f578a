"""Room on a disk for what several threads make at once: none counts on what another was given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_EVERY = 0.2


class Room:
    """The bytes that ``free`` counts, but for ``reserve``. Thread-safe.

    ``most`` is what one file may take.
    """

    def __init__(self, free: Callable[[], int], reserve: int, *, most: int) -> None:
        self._free = free
        self._reserve = reserve
        self._most = most
        self._given = 0  # to files that are being written, or were a moment ago
        self._changed = threading.Condition()

    @contextmanager
    def share(self, check: Callable[[], None]) -> Iterator[int]:
        """How many bytes may be written in the block; they are free again for others after it.

        What was written by then is no longer free on the disk. Where there is less than one file
        may take, it waits for the others to end. ``check`` raises what is to end the waiting.
        """
        with self._changed:
            while (left := self._left()) < self._most and self._given:
                self._changed.wait(_LOOK_EVERY)
                check()
            size = min(self._most, max(0, left))
            self._given += size
        try:
            yield size
        finally:
            with self._changed:
                self._given -= size
                self._changed.notify_all()

    def is_exceeded(self) -> bool:
        """Whether somebody has written into the reserve."""
        return self._free() < self._reserve

    def _left(self) -> int:
        return self._free() - self._reserve - self._given
