"""What the listener sees, in memory: live associations, and those that ended or were refused.

Thread-safe and bounded. Titles are kept as they came; who shows them cleans them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tuipacs.dimse.contract import Answer, Caller, Outcome
from tuipacs.domain.clock import Clock
from tuipacs.domain.node import AssociationRecord, AssociationState, ContextOutcome
from tuipacs.services.alerts import Alerts

KEPT = 200  # ended and refused, each
WITH_CONTEXTS = 10  # older ones forget their presentation contexts
TELL_EVERY = 0.25  # seconds, while objects arrive
REPEAT_WINDOW = 60.0  # seconds in which the same refusal is one line
_MAX_REASON = 300  # characters


@dataclass(eq=False)
class _Row:
    key: int
    caller: Caller
    known: bool
    started_at: float
    state: AssociationState
    contexts: tuple[ContextOutcome, ...]
    ended_at: float | None = None
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    bytes_received: int = 0
    bytes_receiving: int = 0
    last_status: str = ""
    last_at: float = 0.0
    reason: str = ""
    times: int = 1

    def record(self) -> AssociationRecord:
        return AssociationRecord(
            key=self.key,
            calling_ae_title=self.caller.calling_ae_title,
            called_ae_title=self.caller.called_ae_title,
            address=self.caller.address,
            is_tls=self.caller.is_tls,
            certificate_sha256=self.caller.certificate_sha256,
            user=self.caller.user,
            remark=self.caller.remark,
            state=self.state,
            started_at=self.started_at,
            ended_at=self.ended_at,
            stored=self.counts[Outcome.STORED],
            duplicate=self.counts[Outcome.DUPLICATE],
            refused=self.counts[Outcome.REFUSED],
            other=self.counts[Outcome.OTHER],
            bytes_received=self.bytes_received,
            bytes_receiving=self.bytes_receiving,
            last_status=self.last_status,
            last_at=self.last_at,
            reason=self.reason if self.times == 1 else f"{self.reason} ({self.times} times)",
            known_node=self.known,
            implementation=self.caller.implementation,
            contexts=self.contexts,
        )


class IncomingBoard:
    """The listener's observer. ``on_change`` is told after each change; it must return at once.

    ``flushes`` write what others counted in minutes that have ended; they must not raise.
    """

    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        on_change: Callable[[], None] = lambda: None,
        *,
        flushes: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._alerts = alerts
        self._flushes = (alerts.flush, *flushes)
        self._clock = clock
        self.on_change = on_change
        self._lock = threading.Lock()
        self._open: dict[int, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=KEPT)
        self._refused: deque[_Row] = deque(maxlen=KEPT)
        self._next_key = 1
        self._version = 0
        self._told_at = 0.0
        self._untold = False

    def opened(self, caller: Caller, known: bool, contexts: tuple[ContextOutcome, ...]) -> int:
        """An association was accepted; the key stands for it from now on."""
        with self._lock:
            row = self._new(caller, known, contexts, AssociationState.OPEN)
            self._open[row.key] = row
        self._tell()
        return row.key

    def rejected(
        self,
        caller: Caller,
        known: bool,
        reason: str,
        contexts: tuple[ContextOutcome, ...] = (),
    ) -> None:
        """A connection or an association was refused. The same again within a minute is counted."""
        reason = reason[:_MAX_REASON]
        now = self._clock()
        with self._lock:
            row = self._same_refusal(caller, reason, now)
            if row is None:
                row = self._new(caller, known, contexts, AssociationState.REJECTED)
            else:
                self._refused.remove(row)
                row.times += 1
            row.ended_at, row.reason = now, reason
            self._keep(self._refused, row)
        self._alerts.rejected(
            caller.calling_ae_title, caller.address, reason, caller.certificate_sha256
        )
        self._tell()

    def receiving(self, key: int, size: int) -> None:
        """``size`` bytes of a large object have come, and more follow."""
        with self._lock:
            row = self._open.get(key)
            if row is None:
                return
            row.bytes_receiving = size
        self._tell(soon=True)

    def answered(self, key: int, answer: Answer, size: int) -> None:
        """A request was answered; ``size`` is its dataset's in bytes."""
        with self._lock:
            row = self._open.get(key)
            if row is None:
                return
            row.counts[answer.outcome] += 1
            row.bytes_received += size
            row.bytes_receiving = 0
            row.last_status = answer.text
            row.last_at = self._clock()
        self._tell(soon=True)

    def closed(self, key: int, state: AssociationState, reason: str, offence: bool) -> None:
        """An association ended; ``offence`` if it broke the protocol (this is audited)."""
        with self._lock:
            row = self._open.pop(key)
            row.state, row.reason, row.ended_at = state, reason[:_MAX_REASON], self._clock()
            row.bytes_receiving = 0
            self._keep(self._ended, row)
        if offence:
            self._alerts.offended(row.caller.calling_ae_title, row.caller.address, reason)
        self._tell()

    def tick(self) -> None:
        """Called about twice a second: tell what was held back."""
        for flush in self._flushes:
            flush()
        if self._untold:
            self._tell()

    def snapshot(self) -> tuple[int, tuple[AssociationRecord, ...]]:
        """The version, and the records: open ones first (newest first), then the newest others."""
        with self._lock:
            live = sorted(self._open.values(), key=lambda row: row.key, reverse=True)
            past = sorted(
                [*self._ended, *self._refused], key=lambda row: row.ended_at or 0.0, reverse=True
            )
            return self._version, tuple(row.record() for row in (*live, *past[:KEPT]))

    def _same_refusal(self, caller: Caller, reason: str, now: float) -> _Row | None:
        for row in reversed(self._refused):
            if now - (row.ended_at or 0.0) > REPEAT_WINDOW:
                return None
            if row.caller == caller and row.reason == reason:
                return row
        return None

    def _new(
        self,
        caller: Caller,
        known: bool,
        contexts: tuple[ContextOutcome, ...],
        state: AssociationState,
    ) -> _Row:
        now = self._clock()
        row = _Row(self._next_key, caller, known, now, state, contexts, last_at=now)
        self._next_key += 1
        return row

    @staticmethod
    def _keep(rows: deque[_Row], row: _Row) -> None:
        rows.append(row)
        if len(rows) > WITH_CONTEXTS:
            rows[-WITH_CONTEXTS - 1].contexts = ()

    def _tell(self, *, soon: bool = False) -> None:
        now = time.monotonic()
        with self._lock:
            self._version += 1
            self._untold = soon and now - self._told_at < TELL_EVERY
            if self._untold:
                return
            self._told_at = now
        self.on_change()
