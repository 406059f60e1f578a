"""C-ECHO: the right to be answered, and its record (one a minute for each caller)."""

from __future__ import annotations

import logging

from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission
from tuipacs.errors import TuipacsError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.services.guard import Service, about, before_login, covered, guarded
from tuipacs.services.repeats import EVERYONE_ELSE, Repeats, Report

log = logging.getLogger(__name__)


class Verification(Service):
    """The verification service (PS3.4 A)."""

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self._repeats = Repeats()

    @guarded(Permission.DICOM_ECHO, AuditEvent.NETWORK_ENTRY)
    def echo(self, actor: Actor) -> None:
        """Answer a peer. Raises `ForbiddenError` for one who may not even echo."""
        now = self._clock()
        report = self._repeats.report((actor.origin.address, actor.name), now)
        if report is None:
            covered()
            return
        about(detail="; ".join(filter(None, ("C-ECHO", _of_others(report)))))
        try:
            with self.transaction():
                pass  # the record alone
        except TuipacsError:
            self._repeats.give_back(report.key, report.earlier, now)
            raise

    @before_login("the listener's clock calls it; it answers nobody")
    def flush(self) -> None:
        """Write the numbers of minutes that have ended. Call this now and then."""
        now = self._clock()
        for report in self._repeats.due(now):
            address, name = report.key or ("", "")
            record = new_record(
                AuditEvent.NETWORK_ENTRY,
                "verification.echo",
                now,
                actor=name,
                kind=ActorKind.PEER,
                origin=Origin(address=address),
                detail=f"C-ECHO; {_of_others(report)}",
            )
            try:
                with self._index.write() as tx:
                    audit.append(tx, record)
            except TuipacsError as error:
                self._repeats.give_back(report.key, report.earlier, now)
                log.error("the number of echoes waits for the audit log: %s", error.code)


def _of_others(report: Report) -> str:
    """What a record says of those that have none; empty if all have."""
    if not report.earlier:
        return ""
    of_whom = " of callers too many to tell apart" if report.key == EVERYONE_ELSE else ""
    return f"{report.earlier} more{of_whom} since the record before"
