"""The growing delay on wrong passwords, for each account name and each source alike."""

from __future__ import annotations

import threading
from collections import OrderedDict

from tuipacs.errors import ThrottledError

FREE_TRIES = 3
LONGEST_DELAY = 900.0  # seconds
SOURCE_FREE_TRIES = 20
SOURCE_FORGETS = 3600.0  # seconds of quiet after which a source begins anew; accounts never do
_KEPT = 10_000
_KEY_LENGTH = 100  # characters; a name may be of any length


class Throttle:
    """Counts failures in memory; thread-safe. Unknown names count like known ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, account: str, source: str, now: float) -> None:
        """Raise `ThrottledError` while the name or the source has to wait."""
        with self._lock:
            until = max(self._failures.get(key, (0, 0.0))[1] for key in self._keys(account, source))
        if until > now:
            wait = until - now
            raise ThrottledError(
                f"too many wrong passwords: wait {wait:.0f} s", retry_after=round(wait, 1)
            )

    def failed(self, account: str, source: str, now: float) -> tuple[int, float]:
        """Count a failure; return the account's number of failures and until when it is blocked."""
        with self._lock:
            name_key, source_key = self._keys(account, source)
            if now > self._failures.get(source_key, (0, now))[1] + SOURCE_FORGETS:
                del self._failures[source_key]
            self._count(source_key, SOURCE_FREE_TRIES, now)
            return self._count(name_key, FREE_TRIES, now)

    def succeeded(self, account: str, source: str) -> None:
        """Forget an account's failures; its source is forgiven these, not those on others."""
        with self._lock:
            name_key, source_key = self._keys(account, source)
            forgiven, _ = self._failures.pop(name_key, (0, 0.0))
            count, until = self._failures.get(source_key, (0, 0.0))
            if count > forgiven:
                self._failures[source_key] = (count - forgiven, until)
            else:
                self._failures.pop(source_key, None)

    def remember(self, account: str, failures: int, until: float) -> None:
        """Take over what the index kept over a restart."""
        key = self._keys(account, "")[0]
        with self._lock:
            if key not in self._failures:
                self._failures[key] = (failures, until)

    def _count(self, key: str, free: int, now: float) -> tuple[int, float]:
        count = self._failures.pop(key, (0, 0.0))[0] + 1
        delay = 0.0 if count < free else min(2.0 ** min(count - free, 20), LONGEST_DELAY)
        self._failures[key] = (count, now + delay)
        while len(self._failures) > _KEPT:
            self._failures.popitem(last=False)
        return self._failures[key]

    @staticmethod
    def _keys(account: str, source: str) -> tuple[str, str]:
        return f"account {account[:_KEY_LENGTH].casefold()}", f"source {source[:_KEY_LENGTH]}"
