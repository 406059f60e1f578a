"""Ending an association from outside, between two of its messages."""

from __future__ import annotations

import threading

from tuipacs.dimse.channel import Channel


class Dismissal:
    """Says that an association is to end, without tearing the message it is at."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._between = True  # two messages, or before the first: nothing would be lost
        self.reason = ""  # why we end it ourselves; empty while we do not

    def ask(self, reason: str) -> None:
        """End it as soon as the message at hand has its answer. From any thread."""
        with self._lock:
            self.reason = self.reason or reason
            if self._between:
                self._channel.interrupt()

    def pause(self) -> bool:
        """The association is between two messages; True if it is to end now."""
        with self._lock:
            self._between = True
            return bool(self.reason)

    def resume(self) -> None:
        """The association is at a message again."""
        with self._lock:
            self._between = False
