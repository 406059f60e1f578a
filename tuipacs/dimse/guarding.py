"""What a bug in a service costs: one request, and never the association (docs/adr/0012)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import cast

from tuipacs.dimse.contract import (
    Answer,
    Exchange,
    HasSequel,
    IsCancelled,
    Outcome,
    Reply,
    SendEvent,
)
from tuipacs.dimse.faults import PduError, PeerGoneError, PeerSlowError, UnfinishedError

log = logging.getLogger(__name__)

CLASS_NOT_SUPPORTED = Answer(
    0x0122,
    "SOP class not supported",
    "not the SOP class of this presentation context",
    Outcome.REFUSED,
)
INTERNAL = Answer(0x0110, "processing failure", "internal error", Outcome.REFUSED)
_TOO_LARGE = Answer(0xA700, "out of resources", "larger than this archive takes", Outcome.REFUSED)
_OF_THE_CONNECTION = (PduError, PeerGoneError, PeerSlowError, UnfinishedError)


class Guarded:
    """An exchange whose bugs cost the peer one request, not the association.

    ``who``: whose request it is, for the log. ``limit``: bytes of its dataset.
    """

    def __init__(self, begin: Callable[[], Exchange], who: str, limit: int) -> None:
        self._who = who
        self._room = limit
        self._exchange: Exchange = Reply(INTERNAL)
        try:
            self._exchange = begin()
        except Exception:
            log.exception("%s: a service failed", self._who)
            self._replace(INTERNAL)

    def write(self, fragment: memoryview) -> None:
        """Pass it on, up to ``limit`` bytes in all."""
        self._room -= len(fragment)
        if self._room < 0:
            self._replace(_TOO_LARGE)
            return
        try:
            self._exchange.write(fragment)
        except Exception:
            log.exception("%s: a service failed", self._who)
            self._replace(INTERNAL)

    def finish(self, is_cancelled: IsCancelled) -> Answer | Iterator[Answer]:
        """Its own answers; `INTERNAL` instead of a bug."""
        try:
            result = self._exchange.finish(is_cancelled)
        except _OF_THE_CONNECTION:
            raise
        except Exception:
            log.exception("%s: a service failed", self._who)
            self._replace(INTERNAL)
            return INTERNAL
        return result if isinstance(result, Answer) else self._each(result)

    def _each(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        try:
            yield from answers
        except _OF_THE_CONNECTION:
            raise
        except Exception:
            log.exception("%s: a service failed", self._who)
            self._replace(INTERNAL)
        yield INTERNAL  # not reached if a final answer came: nobody asks for a second one

    def sequel(self, send: SendEvent) -> None:
        """Its own, if it has one."""
        if not hasattr(self._exchange, "sequel"):  # `isinstance` would take 8 microseconds
            return
        try:
            cast(HasSequel, self._exchange).sequel(send)
        except _OF_THE_CONNECTION:
            raise
        except Exception:
            log.exception("%s: a service failed after its answer", self._who)

    def discard(self) -> None:
        """Let go of it."""
        self._exchange.discard()

    def _replace(self, answer: Answer) -> None:
        self._exchange.discard()
        self._exchange = Reply(answer)
