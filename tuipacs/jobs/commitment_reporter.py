"""Carries out the storage commitment that nodes asked for: looks at the bytes, and tells them.

Each node has one thread while there is something to do for it, so that one that does not answer
keeps no other waiting. All is in the index: what a stop or a crash interrupts begins anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuipacs.domain.actor import ActorKind
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.commitment import COMMITTED, TakenState
from tuipacs.domain.dimse_status import SUCCESS, answer_words, is_warning
from tuipacs.errors import NotFoundError, TuipacsError
from tuipacs.index import audit, commitments, commitments_taken
from tuipacs.index.commitments import Commitment, Item
from tuipacs.index.database import Index
from tuipacs.jobs.delays import doubling
from tuipacs.scu.n_event_report import report_commitment
from tuipacs.scu.requestor import Response
from tuipacs.services.calling import Calling
from tuipacs.services.commitment_check import CommitmentCheck

log = logging.getLogger(__name__)

_AT_ONCE = 4  # nodes
_TRIES_TO_READ = 5  # attempts after which bytes that cannot be read now are a failure
_FRESH = 300.0  # seconds: what was found in the bytes is true when it is told (PS3.4 J.3.3)
_LOOK_EVERY = 60.0  # seconds; the clock on the wall may be set
_AGAIN = 10.0  # seconds until an index that cannot be written is tried again
_SWEEP_EVERY = 86400.0
_SWEEP = 100

Tell = Callable[[str, Sequence[tuple[str, str]], Sequence[tuple[str, str, int]]], Response]
"""Reports: transaction UID, what is committed, what is not and why."""

SendHere = Callable[
    [str, Sequence[tuple[str, str]], Sequence[tuple[str, str, int]], Callable[[int], None]], None
]
"""As `Tell`, without waiting: the last is called with the status of the answer."""

ANSWERED_WITHIN = 60.0  # seconds; then a report that was sent where it was asked is sent anew


@dataclass(frozen=True)
class ReportPolicy:
    """How often a node is told that does not listen. Times in seconds."""

    first_delay: float = 10.0
    longest_delay: float = 3600.0
    patience: float = 3 * 86400.0  # a modality may be off for a weekend
    history: float = 30 * 86400.0

    def delay(self, attempt: int) -> float:
        """After failed attempt 1, 2, ...: twice as long each time."""
        return doubling(self.first_delay, self.longest_delay, attempt)


class _Stopped(Exception):
    """The archive stops, or the transaction has ended meanwhile."""


class CommitmentReporter:
    """Works off the requests. Begins with what an earlier process left behind."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        calling: Calling,
        check: CommitmentCheck,
        *,
        policy: ReportPolicy | None = None,
    ) -> None:
        self._index = index
        self._clock = clock
        self._calling = calling
        self._check = check
        self._policy = policy or ReportPolicy()
        self._work = threading.Event()
        self._is_stopping = False
        self._lock = threading.Lock()
        self._busy: dict[int, threading.Thread] = {}  # by node; guarded by the lock
        self._later: dict[int, float] = {}  # transactions whose bookkeeping failed
        self._held: set[int] = set()  # those that are reported where they were asked
        self._checked: dict[int, float] = {}  # when the bytes were last read; guarded by the lock
        self._swept_at: float | None = None
        self._thread = threading.Thread(target=self._loop, name="commitments", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new request."""
        self._work.set()

    def stop(self, seconds: float) -> None:
        """Stop where it is."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._is_stopping = True
            threads = [self._thread, *self._busy.values()]
        self._work.set()
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def report_here(self, key: int, send: SendHere) -> None:
        """Look at the bytes now, and report with ``send``; for the thread that calls.

        What does not succeed, or is not answered, is left to the worker.
        """
        with self._lock:
            self._held.add(key)
        try:
            with self._index.read() as reader:
                found = commitments.get(reader, key)
            if found is None or found.state == TakenState.REPORTED:
                return
            committed, failed = self._outcome(found)
            with self._index.write() as tx:
                commitments_taken.put_off(tx, key, self._clock() + ANSWERED_WITHIN)
            send(
                found.transaction_uid,
                committed,
                failed,
                lambda status: self._answered_here(found, status, _told(committed, failed)),
            )
        except _Stopped:
            return
        except TuipacsError as error:
            log.error("commitment %d is not reported where it was asked: %s", key, error.message)
        finally:
            with self._lock:
                self._held.discard(key)
            self._work.set()

    def _answered_here(self, found: Commitment, status: int, words: str) -> None:
        try:
            self._settle(found, Response(status), words)
        except TuipacsError as error:
            log.error("commitment %d is reported once more: %s", found.key, error.message)

    # -- the thread that gives turns

    def _loop(self) -> None:
        try:
            while not self._is_stopping:
                self._work.clear()
                try:
                    seconds = self._turn()
                except TuipacsError as error:
                    log.error("storage commitments wait: %s", error.message)
                    seconds = _AGAIN
                self._work.wait(seconds)
        finally:
            self._index.close()

    def _turn(self) -> float:
        now = self._clock()
        self._sweep(now)
        with self._index.read() as reader:
            due = commitments_taken.due(reader, now)
            next_at = commitments_taken.next_due(reader)
        for found in due:
            self._begin(found)
        if next_at is None or due:  # each that ends wakes this thread
            return _LOOK_EVERY
        return min(max(0.01, next_at - now), _LOOK_EVERY)

    def _begin(self, found: Commitment) -> None:
        with self._lock:
            is_late = self._later.get(found.key, 0.0) > time.monotonic()
            is_full = found.node in self._busy or len(self._busy) >= _AT_ONCE
            if self._is_stopping or is_late or is_full or found.key in self._held:
                return
            thread = threading.Thread(
                target=self._work_on, args=(found,), name=f"commitment-{found.key}", daemon=True
            )
            self._busy[found.node] = thread
        thread.start()

    def _sweep(self, now: float) -> None:
        if self._swept_at is not None and abs(now - self._swept_at) < _SWEEP_EVERY:
            return
        has_more = True
        while has_more and not self._is_stopping:
            with self._index.write() as tx:
                before = now - self._policy.history
                has_more = commitments_taken.forget_ended(tx, before, _SWEEP) == _SWEEP
        self._swept_at = now

    # -- the thread of one transaction

    def _work_on(self, found: Commitment) -> None:
        is_noted = False
        try:
            self._carry_out(found, lambda *outcome: self._call(found, *outcome))
            is_noted = True
        except TuipacsError as error:
            log.error("commitment %d waits: %s", found.key, error.message)
        finally:
            self._index.close()
            with self._lock:
                del self._busy[found.node]
                self._later.pop(found.key, None)
                if not is_noted:
                    self._later[found.key] = time.monotonic() + _AGAIN
            self._work.set()

    def _call(
        self,
        found: Commitment,
        transaction_uid: str,
        committed: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
    ) -> Response:
        peer = self._calling.reporting(self._calling.node(found.node))
        return report_commitment(peer, transaction_uid, committed, failed)

    def _carry_out(self, found: Commitment, tell: Tell) -> None:
        """Raises `TuipacsError` only if it cannot be written what came of it."""
        try:
            committed, failed = self._outcome(found)
            self._check_stop()
            response = tell(found.transaction_uid, committed, failed)
            words = _told(committed, failed)
        except _Stopped:
            return
        except NotFoundError as error:
            self._end(found, TakenState.GIVEN_UP, error.message)
            return
        except TuipacsError as error:
            response, words = Response(None, error.message), ""
        except Exception:  # a bug ends one attempt, and no other transaction
            log.exception("commitment %d failed by a bug", found.key)
            response, words = Response(None, "an internal error: see the log"), ""
        self._settle(found, response, words)

    def _outcome(
        self, found: Commitment
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str, int]]]:
        """What is committed, and what is not and why. Looks at the bytes unless that was just done.

        A node is told after days, and after a restart, too: what was sound then may be gone now.
        """
        items = self._items(found)
        if found.state == TakenState.UNVERIFIED or not self._is_fresh(found.key):
            at_last = found.attempts >= _TRIES_TO_READ
            outcomes = list(self._check.outcomes(items, self._check_stop, at_last=at_last))
            with self._index.write() as tx:
                commitments_taken.verified(tx, found.key, outcomes)
            with self._lock:
                self._checked[found.key] = self._clock()
            items = self._items(found)
        committed = [(i.sop_class_uid, i.sop_instance_uid) for i in items if i.outcome == COMMITTED]
        failed = [
            (i.sop_class_uid, i.sop_instance_uid, i.outcome if i.outcome is not None else 0x0110)
            for i in items
            if i.outcome != COMMITTED
        ]
        return committed, failed

    def _items(self, found: Commitment) -> list[Item]:
        with self._index.read() as reader:
            items = commitments.items(reader, found.key)
        if not items:  # the list goes with the end: no report of nothing
            raise _Stopped
        return items

    def _is_fresh(self, key: int) -> bool:
        """And forget what is not."""
        now = self._clock()
        with self._lock:
            self._checked = {k: at for k, at in self._checked.items() if abs(now - at) <= _FRESH}
            return key in self._checked

    def _settle(self, found: Commitment, response: Response, words: str) -> None:
        """Write what the node has answered; ``words`` say what it was told."""
        status = response.status
        if status is None:
            self._postpone(found, response.comment, "no answer")
        elif status == SUCCESS or is_warning(status):
            self._end(found, TakenState.REPORTED, words)
        else:
            words = f"answered {answer_words(status, response.comment)}"
            self._postpone(found, words, f"status 0x{status:04X}")

    def _check_stop(self) -> None:
        if self._is_stopping:
            raise _Stopped

    def _postpone(self, found: Commitment, words: str, logged: str) -> None:
        """The node's own words stay out of the log: they may name anybody."""
        now = self._clock()
        if now - found.created_at > self._policy.patience:
            self._end(found, TakenState.GIVEN_UP, words)
            return
        delay = self._policy.delay(found.attempts + 1)
        with self._index.write() as tx:
            commitments_taken.postponed(tx, found.key, now + delay, words)
        log.info("commitment %d is tried again in %.0f s: %s", found.key, delay, logged)

    def _end(self, found: Commitment, state: TakenState, words: str) -> None:
        now = self._clock()
        is_told = state is TakenState.REPORTED
        uid = found.transaction_uid
        record = new_record(
            AuditEvent.APPLICATION_ACTIVITY,
            "commitments.report",
            now,
            actor="(commitment)",
            kind=ActorKind.SYSTEM,
            outcome=AuditOutcome.SUCCESS if is_told else AuditOutcome.FAILURE,
            detail=f"report to {found.node_title}, transaction {uid}: {state.value}, {words}"[:500],
        )
        with self._index.write() as tx:
            commitments_taken.ended(tx, found.key, state, now, words)
            audit.append(tx, record)
        log.info("commitment %d is %s", found.key, state.value)


def _told(committed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]) -> str:
    return f"{len(committed)} committed, {len(failed)} not"
