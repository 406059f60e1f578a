"""Telling the observer what the accepting thread sees, without waiting for it.

Telling may write to a disk. A disk that hangs must not keep the port from being answered, and a bug
in what watches must not close it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from tuipacs.dimse.contract import Caller, Observer

log = logging.getLogger(__name__)

TICK = 0.5  # seconds
_QUEUED = 1000  # refusals; beyond that they are counted only


class Teller:
    """A thread of its own that tells of refused connections, and ticks.

    ``on_end`` runs at the end of the thread.
    """

    def __init__(self, observer: Observer, on_end: Callable[[], None]) -> None:
        self._observer = observer
        self._on_end = on_end
        self._refusals: queue.Queue[tuple[Caller, str] | None] = queue.Queue(_QUEUED)
        self._untold = 0  # refusals that found no place
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to tell. Once."""
        self._thread = threading.Thread(target=self._run, name="dicom-teller", daemon=True)
        self._thread.start()

    def rejected(self, caller: Caller, reason: str) -> None:
        """A connection was refused. Never waits and never raises."""
        try:
            self._refusals.put_nowait((caller, reason))
        except queue.Full:
            self._untold += 1

    def stop(self, timeout: float) -> None:
        """Tell what is left, tick once more and end; ``timeout`` is for an observer that hangs."""
        self._stop.set()
        try:
            self._refusals.put_nowait(None)
        except queue.Full:
            log.debug("refusals are being told still")  # it looks after each of them
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            next_tick = time.monotonic() + TICK
            while not self._stop.is_set():
                self._tell_next(max(0.0, next_tick - time.monotonic()))
                if time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + TICK
                    self._tick()
            while not self._refusals.empty():
                self._tell_next(0.0)
            self._tick()
        finally:
            self._on_end()

    def _tell_next(self, timeout: float) -> None:
        try:
            refusal = self._refusals.get(timeout=timeout)
        except queue.Empty:
            return
        if refusal is not None:
            caller, reason = refusal
            self._safely(lambda: self._observer.rejected(caller, False, reason))

    def _tick(self) -> None:
        if self._untold:
            log.error("%d refused connections are told of nowhere else", self._untold)
            self._untold = 0
        self._safely(self._observer.tick)

    @staticmethod
    def _safely(tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:
            log.exception("the observer of the listener failed")
