"""Security alerts about callers who were turned away or broke the protocol."""

from __future__ import annotations

import logging
import re

from tuipacs.domain.actor import ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, AuditOutcome, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.safe_text import clean
from tuipacs.errors import TuipacsError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.services.guard import Service, before_login
from tuipacs.services.node_judging import ANOTHER_CERTIFICATE
from tuipacs.services.repeats import EVERYONE_ELSE, Key, Repeats, Report

log = logging.getLogger(__name__)

_NOT_CALLED = "the listener reports a caller that has no right of its own"
_IMPOSTORS = 256  # pairs of node and certificate; both are the site's own
_CLASSES = 32  # in the daemon's log
_MAX_CLASS = 120  # characters
# What differs between two refusals for the same reason: what Python quoted, long hashes, counts.
# Versions ("TLS 1.2") stay.
_VARIABLE = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b[0-9a-f]{12,}\b|(?<![.\w])\d+(?!\.?\d)"""
)


class Alerts(Service):
    """The audit log's view of refused associations: bounded, whatever a caller does.

    Each reason why a caller was refused has a record of its own in a minute, further ones are
    counted. Who shows another certificate than the node's own is kept apart from all others, so
    that no flood hides it: its SHA-256 is in a record in any case. The daemon's log has a line a
    minute for each reason.

    An alert that cannot be written (the disk is full) keeps counting and is written later: refusing
    a caller must not depend on the log.
    """

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self._repeats = Repeats()
        self._impostors = Repeats(limit=_IMPOSTORS)
        self._logged = Repeats(limit=_CLASSES)

    @before_login(_NOT_CALLED)
    def rejected(
        self, calling_ae_title: str, address: str, reason: str, certificate_sha256: str = ""
    ) -> None:
        """An association or a connection was refused.

        ``certificate_sha256`` of the certificate that the caller has proven to hold.
        """
        outcome = AuditOutcome.REFUSED
        if certificate_sha256 and reason.startswith(ANOTHER_CERTIFICATE):
            # Whatever the address: one who holds a certificate may have as many as he likes.
            words = f"{ANOTHER_CERTIFICATE}, SHA-256 {clean(certificate_sha256, limit=64)}"
            key = ("", calling_ae_title, words, outcome.value)
            self._raise(self._impostors, key, address, words)
        else:
            key = (address, calling_ae_title, refusal_class(reason), outcome.value)
            self._raise(self._repeats, key, address, reason)
        self._log(refusal_class(reason), address)

    @before_login(_NOT_CALLED)
    def offended(self, calling_ae_title: str, address: str, reason: str) -> None:
        """A peer broke the protocol, and its association was aborted."""
        key = (address, calling_ae_title, refusal_class(reason), AuditOutcome.FAILURE.value)
        self._raise(self._repeats, key, address, reason)
        self._log(refusal_class(reason), address)

    @before_login(_NOT_CALLED)
    def flush(self) -> None:
        """Write the numbers of minutes that have ended. Call this now and then."""
        now = self._clock()
        for repeats in (self._repeats, self._impostors):
            for report in repeats.due(now):
                address, _, reason, _ = report.key or ("", "", "for whatever reason", "")
                words = f"{reason}; repeated within a minute"
                self._write(repeats, report, address, words)
        for report in self._logged.due(now):
            words = report.key[0] if report.key else "for other reasons"
            log.warning("callers refused again, %d times: %s", report.earlier, words)

    def _raise(self, repeats: Repeats, key: Key, address: str, reason: str) -> None:
        report = repeats.report(key, self._clock())
        if report is not None:
            self._write(repeats, report, address, reason, key, this_one=1)

    def _write(
        self,
        repeats: Repeats,
        report: Report,
        address: str,
        reason: str,
        caller: Key = (),
        this_one: int = 0,
    ) -> None:
        _, calling_ae_title, _, outcome = caller or report.key or ("", "", "", "")
        words = clean(reason, limit=300)
        others = "that have no record of their own"
        if report.key == EVERYONE_ELSE:
            # The caller that is named is this one; the number is not of this one's.
            words = words if this_one else f"callers too many to tell apart: {words}"
            others = f"of callers too many to tell apart, {others}"
        if report.earlier:
            words = f"{words} ({report.earlier} more {others})"
        record = new_record(
            AuditEvent.SECURITY_ALERT,
            "association",
            self._clock(),
            actor=clean(calling_ae_title, limit=40),
            kind=ActorKind.PEER,
            origin=Origin(address=address),
            outcome=AuditOutcome(outcome or AuditOutcome.REFUSED),
            detail=words,
        )
        try:
            with self._index.write() as tx:
                audit.append(tx, record)
        except TuipacsError as error:
            repeats.give_back(report.key, report.earlier + this_one, self._clock())
            log.error("a security alert waits for the audit log: %s", error.code)

    def _log(self, reason: str, address: str) -> None:
        """Without what the caller says of itself: the line may be read by anyone."""
        report = self._logged.report((reason,), self._clock())
        if report is not None:
            words = report.key[0] if report.key else "for another reason"
            log.warning("a caller from %s was refused: %s", clean(address, limit=60), words)


def refusal_class(reason: str) -> str:
    """The reason without what differs from one such refusal to the next; clean and bounded."""
    return clean(_VARIABLE.sub("\u2026", reason), limit=_MAX_CLASS)
