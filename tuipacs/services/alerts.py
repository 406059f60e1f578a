"""Security alerts about callers who were turned away or broke the protocol."""

from __future__ import annotations

import logging

from tuipacs.domain.actor import ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.safe_text import clean
from tuipacs.errors import TuipacsError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.services.guard import Service, before_login
from tuipacs.services.repeats import EVERYONE_ELSE, Key, Repeats

log = logging.getLogger(__name__)

_NOT_CALLED = "the listener reports a caller that has no right of its own"


class Alerts(Service):
    """The audit log's view of refused associations: bounded, whatever a caller does.

    An alert that cannot be written (the disk is full) keeps counting and is written later: refusing
    a caller must not depend on the log.
    """

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self._repeats = Repeats()

    @before_login(_NOT_CALLED)
    def rejected(self, calling_ae_title: str, address: str, reason: str) -> None:
        """An association or a connection was refused."""
        self._raise((address, calling_ae_title), AuditOutcome.REFUSED, reason)

    @before_login(_NOT_CALLED)
    def offended(self, calling_ae_title: str, address: str, reason: str) -> None:
        """A peer broke the protocol, and its association was aborted."""
        self._raise((address, calling_ae_title), AuditOutcome.FAILURE, reason)

    @before_login(_NOT_CALLED)
    def flush(self) -> None:
        """Write the numbers of minutes that have ended. Call this now and then."""
        for key, count in self._repeats.due(self._clock()):
            self._write(key, AuditOutcome.REFUSED, "repeated within a minute", count)

    def _raise(self, key: Key, outcome: AuditOutcome, reason: str) -> None:
        earlier = self._repeats.report(key, self._clock())
        if earlier is not None:
            self._write(key, outcome, reason, earlier, this_one=1)

    def _write(
        self, key: Key, outcome: AuditOutcome, reason: str, earlier: int, this_one: int = 0
    ) -> None:
        address, calling_ae_title = key
        words = clean(reason, limit=300)
        if key == EVERYONE_ELSE:
            words = f"callers too many to tell apart: {words}"
        if earlier:
            words = f"{words} ({earlier} more that have no record of their own)"
        record = new_record(
            AuditEvent.SECURITY_ALERT,
            "association",
            self._clock(),
            actor=clean(calling_ae_title, limit=40),
            kind=ActorKind.PEER,
            origin=Origin(address=address),
            outcome=outcome,
            detail=words,
        )
        try:
            with self._index.write() as tx:
                audit.append(tx, record)
        except TuipacsError as error:
            self._repeats.unreported(key, earlier + this_one, self._clock())
            log.error("a security alert waits for the audit log: %s", error.code)
