"""Ending an association from outside, between two of its messages."""

from __future__ import annotations

import math
import threading
import time

from tuipacs.dimse.channel import Channel


class Dismissal:
    """Says that an association is to end, without tearing the message it is at."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._between = True  # two messages, or before the first: nothing would be lost
        self._asked = threading.Event()
        self._until = math.inf
        self.reason = ""  # why we end it ourselves; empty while we do not

    def ask(self, reason: str, grace: float = math.inf) -> None:
        """End it as soon as the message at hand has its answer. From any thread.

        After ``grace`` seconds `is_overdue` says that it has to be cut.
        """
        with self._lock:
            self.reason = self.reason or reason
            self._until = min(self._until, time.monotonic() + grace)
            self._asked.set()
            if self._between:
                self._channel.interrupt()

    @property
    def is_overdue(self) -> bool:
        """The message at hand did not come to its end in the time that it was given."""
        return time.monotonic() >= self._until

    def rest(self, seconds: float) -> None:
        """Let the peer wait, unless the association is to end."""
        self._asked.wait(seconds)

    def wake(self) -> None:
        """End a rest."""
        self._asked.set()

    def pause(self) -> bool:
        """The association is between two messages; True if it is to end now."""
        with self._lock:
            self._between = True
            return bool(self.reason)

    def resume(self) -> None:
        """The association is at a message again."""
        with self._lock:
            self._between = False
