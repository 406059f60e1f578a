"""The thread that routes: it follows the change feed, and judges what has been quiet long enough.

Nothing here is in the way of an object that arrives: receiving only sets an event. What a crash
interrupts is found again, in the feed or among what waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tuipacs.domain.actor import Actor
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import ROUTING_SUBMITTER
from tuipacs.errors import TuipacsError
from tuipacs.services.routing_judge import Judging
from tuipacs.services.sessions import Sessions
from tuipacs.services.wakeups import Wakeups

log = logging.getLogger(__name__)

PACE = 0.5  # seconds at least between two looks: one transaction for all that came meanwhile
RETRY_AFTER = 10.0  # seconds until an index that cannot be written is tried again
_LONGEST_SLEEP = 60.0  # seconds: the clock may be set
_PRUNE_EVERY = 3600.0


class Router:
    """Judges arriving studies; sleeps when none waits."""

    def __init__(
        self,
        judging: Judging,
        sessions: Sessions,
        wakeups: Wakeups,
        clock: Clock,
        *,
        on_thread_end: Callable[[], None],
        pace: float = PACE,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._judging = judging
        self._sessions = sessions
        self._wakeups = wakeups
        self._clock = clock
        self._on_thread_end = on_thread_end
        self._pace = pace
        self._retry_after = retry_after
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._pruned_at = 0.0
        self._seen = 0  # of the change feed
        self._thread = threading.Thread(target=self._loop, name="router", daemon=True)

    def start(self) -> None:
        """Begin, with what came while nobody routed."""
        self._stop_listening = self._wakeups.listen(self._heard)
        self._work.set()
        self._thread.start()

    def wake(self) -> None:
        """The rules have changed, or a study is to be judged at once."""
        self._work.set()

    def stop(self, seconds: float) -> None:
        """End after the study that is being judged."""
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._stop_listening()
            self._thread.join(seconds)

    def _heard(self) -> None:
        if self._wakeups.versions.seq != self._seen:  # not for each job's progress
            self._work.set()

    def _loop(self) -> None:
        sleep: float | None = None
        try:
            while not self._stopping.is_set():
                self._work.wait(sleep)
                self._stopping.wait(self._pace)
                self._work.clear()
                self._seen = self._wakeups.versions.seq
                try:
                    sleep = self._look()
                except TuipacsError as error:  # a full disk, say: everything stays, for a while
                    log.error("routing waits: %s", error.message)
                    sleep = self._retry_after
        finally:
            self._on_thread_end()

    def _look(self) -> float | None:
        """Follow the feed, judge what is due; return how long nothing will be due."""
        actor = self._sessions.on_behalf_of(ROUTING_SUBMITTER)
        while not self._stopping.is_set() and self._judging.follow(actor):
            pass
        self._prune(actor)
        while not self._stopping.is_set():
            studies, sleep = self._judging.due(actor)
            if not studies:
                return None if sleep is None else min(sleep, _LONGEST_SLEEP)
            for study in studies:
                if self._stopping.is_set():
                    break
                self._judge(actor, study)
        return None

    def _judge(self, actor: Actor, study: int) -> None:
        try:
            self._judging.judge(actor, study)
        except TuipacsError:
            raise
        except Exception:  # a bug keeps one study, and no other
            log.exception("study row %d could not be judged for routing", study)
            self._judging.postpone(actor, study)

    def _prune(self, actor: Actor) -> None:
        now = self._clock()
        if abs(now - self._pruned_at) >= _PRUNE_EVERY:
            self._pruned_at = now
            self._judging.prune(actor)
