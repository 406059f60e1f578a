"""How a run of a job ends before its work is done; each leads to one state."""

from __future__ import annotations


class Signal(Exception):
    """Base of them all: no error, and nothing to be logged."""


class Interrupted(Signal):
    """The archive stops: the job goes on at the next start."""


class Held(Signal):
    """Its lane is paused or closed, or its node was changed: it takes its place in the queue."""


class Paused(Signal):
    """Somebody paused the job."""


class Cancelled(Signal):
    """Somebody cancelled the job."""


class RetryLater(Signal):
    """What failed may succeed later. ``words`` say what it was, clean and without PHI.

    The runner waits longer and longer, and gives up in the end (`RetryPolicy`).
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class WaitForEvent(Signal):
    """Nothing to do until something happens: `JobRunner.wake`, or ``until`` at the latest.

    No failure: nothing is counted, and its lane is free meanwhile.
    """

    def __init__(self, words: str, until: float) -> None:
        super().__init__(words)
        self.words = words
        self.until = until  # seconds since the epoch


class GivenUp(Signal):
    """Something was not delivered, and would not be later either: a dead letter at once."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
