"""Sees to it that a request which waits for a peer can end: on demand, and when nothing moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from tuipacs.jobs.signals import Cancelled, Held, Interrupted, Paused

GRACE = 4.0  # seconds for a C-CANCEL to be heard, before the connection is taken away
_LOOK_EVERY = 0.2


class Watch:
    """A thread beside a block that talks to a peer.

    ``check`` raises what is to end the job's run: then ``signal`` holds it, the block may cancel
    politely, and after GRACE ``cut`` takes its connection away. So it does after ``stall`` seconds
    without a call of `moved`. At its end the block raises the signal.
    """

    def __init__(
        self,
        check: Callable[[], None],
        cut: Callable[[], None],
        *,
        stall: float | None = None,
        grace: float = GRACE,
    ) -> None:
        self._check = check
        self._cut = cut
        self._stall = stall
        self._grace = grace
        self._moved_at = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.signal: Exception | None = None
        self.has_stalled = False

    def moved(self) -> None:
        """Something came."""
        self._moved_at = time.monotonic()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        if self.signal is not None:
            raise self.signal

    def _run(self) -> None:
        while not self._done.wait(_LOOK_EVERY):
            try:
                self._check()
            except (Cancelled, Held, Interrupted, Paused) as signal:
                self.signal = signal
                if not self._done.wait(self._grace):
                    self._cut()
                return
            if self._stall is not None and time.monotonic() - self._moved_at > self._stall:
                self.has_stalled = True
                self._cut()
                return
