"""Questions that are being asked of nodes: what each has answered so far, for those who look on."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from tuipacs.domain.clock import Clock
from tuipacs.domain.remote import (
    MAX_ROWS,
    NodeAnswer,
    NodeState,
    RemoteQuery,
    RemoteRow,
    SeriesComparison,
)
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, NotFoundError

MAX_TASKS = 32  # alive in the daemon
MAX_OF_SESSION = 4
MAX_ROWS_OF_TASK = 10_000
IDLE_SECONDS = 60.0  # without a look a running one is cancelled
KEPT_SECONDS = 900.0  # since the last look
CUT_AFTER = 5.0  # seconds from a cancel to the end of the connection


class Part:
    """One node's share of a task. Its thread writes, others look on and may cancel."""

    def __init__(self, task: Task, node: int, ae_title: str) -> None:
        self.node = node
        self.ae_title = clean(ae_title, limit=40)
        self._task = task
        self._lock = threading.Lock()
        self._state = NodeState.WAITING
        self._words = ""
        self._rows = self._unasked = self._repeated = 0
        self._malformed: Counter[str] = Counter()
        self._cut: Callable[[], None] | None = None
        self._timers: list[threading.Timer] = []
        self.stopped = ""  # why it is to end before its time

    def asks(self, cut: Callable[[], None]) -> None:
        """An association stands; ``cut`` takes it away. From now on it can be ended in time."""
        with self._lock:
            self._cut = cut
            if self.stopped:
                self._cut_soon()

    def begins(self, seconds: float) -> None:
        """Its turn has come; it ends after so many seconds."""
        with self._lock:
            if not self._state.ended:
                self._state = NodeState.ASKING
            self._later(seconds, lambda: self.stop(f"stopped after {seconds:g} s"))

    def stop(self, why: str) -> None:
        """Let it end: politely (C-CANCEL) while its thread can, then without asking."""
        with self._lock:
            if self._state.ended or self.stopped:
                return
            self.stopped = why
            if self._cut is None:  # it has not come to asking, and will not
                self._state, self._words = NodeState.CANCELLED, why
            self._cut_soon()

    def _cut_soon(self) -> None:
        cut = self._cut
        if cut is not None:
            self._later(CUT_AFTER, cut)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, what)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def drains(self) -> None:
        """No more answers are wanted; those on their way come for a moment."""
        with self._lock:
            self._cut_soon()

    def row(self, row: RemoteRow) -> bool:
        """One more row; False if there is room for no more."""
        with self._lock:
            if self._rows >= MAX_ROWS or not self._task.take(row):
                return False
            self._rows += 1
            return True

    def malformed(self, fault: str = "", count: int = 1) -> None:
        """Answers that cannot be read, or that have a ``fault``: "no SOP Instance UID"."""
        with self._lock:
            self._malformed[fault] += count

    def unasked(self) -> None:
        """An answer that does not fit the question."""
        with self._lock:
            self._unasked += 1

    def repeated(self) -> None:
        """The same answer again."""
        with self._lock:
            self._repeated += 1

    def end(self, state: NodeState, words: str = "") -> None:
        """Nothing more will come."""
        with self._lock:
            self._state, self._words = state, words
            self._cut = None
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._state.ended

    @property
    def answer(self) -> NodeAnswer:
        """How it stands."""
        with self._lock:
            words = [
                self._words,
                *(_faulty(count, fault) for fault, count in self._malformed.most_common(3)),
                _counted(self._unasked, "did not fit the question"),
                _counted(self._repeated, "came twice"),
            ]
            return NodeAnswer(
                node=self.node,
                ae_title=self.ae_title,
                state=self._state,
                words="; ".join(word for word in words if word),
                rows=self._rows,
                malformed=self._malformed.total(),
                unasked=self._unasked,
                repeated=self._repeated,
            )


def _counted(count: int, what: str) -> str:
    if not count:
        return ""
    return f"{count:,} {'answer' if count == 1 else 'answers'} {what}"


def _faulty(count: int, fault: str) -> str:
    if not fault:
        return _counted(count, "could not be read")
    return _counted(count, f"{'has' if count == 1 else 'have'} {fault}")


class Task:
    """One question to one or many nodes."""

    def __init__(self, owner: tuple[str, int], nodes: Sequence[tuple[int, str]], at: float) -> None:
        self.token = secrets.token_urlsafe(16)
        self.owner = owner
        self.looked_at = at
        self._lock = threading.Lock()
        self._rows: list[RemoteRow] = []
        self._series: list[SeriesComparison] = []
        self.query: RemoteQuery | None = None
        self.parts = tuple(Part(self, key, title) for key, title in nodes)

    def take(self, row: RemoteRow) -> bool:
        """False if there is no room."""
        with self._lock:
            if len(self._rows) >= MAX_ROWS_OF_TASK:
                return False
            self._rows.append(row)
            return True

    def compared(self, series: SeriesComparison) -> None:
        """One more series of a comparison."""
        with self._lock:
            self._series.append(series)

    def since(
        self, after: int, limit: int
    ) -> tuple[tuple[RemoteRow, ...], tuple[SeriesComparison, ...], int, bool]:
        """(rows, series, where to go on, whether that is the end) of what came after a place."""
        is_over = self.ended  # looked at first: what comes between is not missed then
        with self._lock:
            rows = tuple(self._rows[after : after + limit])
            series = tuple(self._series[after : after + limit])
            end = after + max(len(rows), len(series))
            return rows, series, end, is_over and end >= max(len(self._rows), len(self._series))

    @property
    def ended(self) -> bool:
        """Whether all of its nodes have."""
        return all(part.ended for part in self.parts)

    def stop(self, why: str) -> None:
        """End what still runs."""
        for part in self.parts:
            part.stop(why)


class Tasks:
    """All that are alive; bounded, and forgotten when nobody looks any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """The oldest of the same session has to go for a fifth; raises `ConflictError`."""
        self.tidy()
        with self._lock:
            own = [each for each in self._tasks.values() if each.owner == task.owner]
            gone = own[: max(0, len(own) - MAX_OF_SESSION + 1)]
            for each in gone:
                del self._tasks[each.token]
            if len(self._tasks) >= MAX_TASKS:
                raise ConflictError(
                    f"{MAX_TASKS} queries of others are open", remedy="try again in a minute"
                )
            self._tasks[task.token] = task
        for each in gone:
            each.stop("another query took its place")

    def of(self, token: str, owner: tuple[str, int]) -> Task:
        """Raises `NotFoundError` for what is gone, and for what is another session's."""
        self.tidy()
        with self._lock:
            task = self._tasks.get(token)
            if task is None or task.owner != owner:
                raise NotFoundError("that query is over", remedy="ask again")
            task.looked_at = self._clock()
            return task

    def tidy(self) -> None:
        """Cancel what nobody follows, and forget what nobody came back to."""
        now = self._clock()
        with self._lock:
            tasks = tuple(self._tasks.values())
            for task in tasks:
                if now - task.looked_at >= KEPT_SECONDS:
                    del self._tasks[task.token]
        for task in tasks:
            if now - task.looked_at >= IDLE_SECONDS:
                task.stop("nobody was looking any more")

    def stop(self) -> None:
        """The archive stops."""
        with self._lock:
            tasks, self._tasks = tuple(self._tasks.values()), {}
        for task in tasks:
            task.stop("the archive stops")
