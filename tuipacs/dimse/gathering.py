"""An exchange that keeps its dataset in memory, for services whose datasets are lists."""

from __future__ import annotations

from collections.abc import Callable

from tuipacs.dimse.contract import Answer, IsCancelled


class Gathering:
    """Gathers up to ``limit`` bytes, then answers with what ``finish`` makes of them.

    A larger one is dropped, and answered with ``too_large``.
    """

    def __init__(
        self, limit: int, too_large: Answer, finish: Callable[[bytearray], Answer]
    ) -> None:
        self._limit = limit
        self._too_large = too_large
        self._finish = finish
        self._data = bytearray()
        self._is_too_large = False

    def write(self, fragment: memoryview) -> None:
        """Keep it, or nothing any more."""
        self._is_too_large |= len(self._data) + len(fragment) > self._limit
        if self._is_too_large:
            self._data.clear()
        else:
            self._data += fragment

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        """The answer."""
        return self._too_large if self._is_too_large else self._finish(self._data)

    def discard(self) -> None:
        """Forget the dataset."""
        self._data = bytearray()
