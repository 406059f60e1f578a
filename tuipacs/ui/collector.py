"""When Python looks for cyclic garbage: while nobody types.

A collection walks all objects of the program, which takes longer than painting a screen and comes
at any moment. So the objects that stay are set aside (frozen), and the rest is walked when no key
was pressed for a moment. High thresholds bound the memory of a program that is never idle.
"""

from __future__ import annotations

import gc

IDLE_AFTER = 2.0  # seconds without a key
CHECK_EVERY = 1.0  # seconds
THRESHOLDS = (50_000, 20, 50)  # objects; collections of the younger generation
_WORTH_IT = 5_000  # objects made since, of a program that is idle anyway


class Collector:
    """Governs the garbage collector of this process. `start` it before anything is imported."""

    def __init__(self) -> None:
        self._settled = False
        self._is_due = True

    def start(self) -> None:
        """Nothing is collected while the program starts, but when it is idle."""
        gc.disable()

    def work_begins(self) -> None:
        """The first screen of a session is there."""
        gc.set_threshold(*THRESHOLDS)
        gc.freeze()
        gc.enable()

    def session_ended(self) -> None:
        """What was set aside may be garbage now: screens with patients, a form with a password."""
        gc.unfreeze()
        self._settled, self._is_due = False, True

    def tick(self, idle: float) -> None:
        """Called every second with the time since the last key: collect if it disturbs nobody."""
        if idle < IDLE_AFTER:
            self._is_due = True
            return
        if not self._is_due and gc.get_count()[0] < _WORTH_IT:
            return
        self._is_due = False
        if self._settled:
            gc.collect()
            return
        gc.unfreeze()  # what was set aside in a hurry has garbage of the start among it
        gc.collect()
        gc.freeze()
        self._settled = True
