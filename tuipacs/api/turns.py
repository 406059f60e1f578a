"""Fair shares: whoever asks for much at once waits for themselves, not everyone for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """At most ``most`` requests of one caller at a time; the rest wait in order. For one loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[Hashable, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def of(self, caller: Hashable) -> AsyncIterator[None]:
        """Wait for a turn; the block is it."""
        queue, present = self._queues.setdefault(caller, (asyncio.Semaphore(self._most), []))
        present.append(None)
        try:
            async with queue:
                yield
        finally:
            present.pop()
            if not present:
                del self._queues[caller]
