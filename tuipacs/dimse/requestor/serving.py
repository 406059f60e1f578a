"""Requests that the peer makes on our association: C-GET's C-STORE, and N-EVENT-REPORT."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuipacs.dimse.contract import (
    PROGRESS_BYTES,
    AcceptedContext,
    Answer,
    Command,
    Exchange,
    Reply,
    Request,
)
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.guarding import CLASS_NOT_SUPPORTED, Guarded
from tuipacs.dimse.messages import Message

Begin = Callable[[Request], Exchange]


class PeerRequests:
    """Which requests are served; at first none. ``limit``: bytes of the dataset of one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._field = 0
        self._sop_classes: frozenset[str] = frozenset()
        self._begin: Begin | None = None
        self.served = 0  # requests that have their answer

    def offer(self, field: int, sop_classes: frozenset[str], begin: Begin) -> None:
        """Serve this request for those SOP classes whose role the peer has accepted."""
        self._field, self._sop_classes, self._begin = field, sop_classes, begin

    @property
    def are_served(self) -> bool:
        """Whether the peer may send any."""
        return self._begin is not None

    def begin(self, context: AcceptedContext, command: Command) -> Exchange:
        """Who takes a request. Raises `PduError` for one that was never agreed on."""
        begin = self._begin
        if begin is None or context.abstract_syntax not in self._sop_classes:
            raise PduError("a request, without the role for it")
        if command.field != self._field:
            raise PduError(f"a request (0x{command.field:04X}) that is not served here")
        if command.sop_class_uid != context.abstract_syntax:
            return Reply(CLASS_NOT_SUPPORTED)
        request = Request(context, command)
        return Guarded(lambda: begin(request), "an association of ours", self._limit)

    def answer(self, message: Message) -> Answer:
        """Finish a request that came whole."""
        try:
            answer = message.exchange.finish(lambda: False)
        finally:
            message.exchange.discard()
        if not isinstance(answer, Answer) or answer.is_pending:
            raise AssertionError("these requests have one answer each")
        self.served += 1
        return answer


class Patience:
    """Until when the peer has to go on: times of `time.monotonic`, and the words if it does not.

    ``for_each``: the time counts anew whenever a message came whole, or got on by PROGRESS_BYTES;
    else it is for all that comes.
    """

    def __init__(self, seconds: float, words: str, *, for_each: bool = False) -> None:
        self.words = words
        self._seconds = seconds
        self._for_each = for_each
        self._progress = 0
        self.until = time.monotonic() + seconds

    def body_until(self) -> float:
        """Until when a PDU has to be whole that has begun."""
        return time.monotonic() + self._seconds if self._for_each else self.until

    def got_on(self, received: int, *, whole: bool) -> None:
        """``received`` bytes of an unfinished message are there; ``whole``: one was finished."""
        if not self._for_each:
            return
        if whole or received - self._progress >= PROGRESS_BYTES or received < self._progress:
            self._progress = received
            self.until = time.monotonic() + self._seconds
