"""Checking passwords: one at a time, ever slower after wrong ones, each outcome recorded."""

from __future__ import annotations

import logging
import threading

from tuipacs.domain.actor import ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
from tuipacs.domain.clock import Clock
from tuipacs.errors import AuthenticationError, ThrottledError, TuipacsError
from tuipacs.index import audit, users
from tuipacs.index.database import Index
from tuipacs.index.users import Account
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.repeats import EVERYONE_ELSE, Repeats, Report
from tuipacs.services.throttle import Throttle

log = logging.getLogger(__name__)

_EVERYONE = ("", "", "", "sessions.login", "refused")


class Authentication:
    """Names and passwords of accounts. Thread-safe."""

    def __init__(self, index: Index, clock: Clock, hasher: PasswordHasher) -> None:
        self._index = index
        self._clock = clock
        self._hasher = hasher
        self._throttle = Throttle()
        self._repeats = Repeats()
        self._checking = threading.Lock()  # no guess runs beside the check of another

    def check(self, name: str, password: str, origin: Origin, operation: str) -> Account:
        """The account of that name and password.

        Raises `AuthenticationError` (never saying which part was wrong) and `ThrottledError`; both
        are in the audit log then, a success is the caller's to record.
        """
        with self._checking:
            return self._check_alone(name, password, origin, operation)

    def _check_alone(self, name: str, password: str, origin: Origin, operation: str) -> Account:
        now = self._clock()
        source = origin.unix_user or origin.address
        with self._index.read() as reader:
            account = users.account(reader, name)
        if account is not None:
            self._throttle.remember(account.name, account.failed_logins, account.blocked_until)
        known = account.name if account else "(unknown account)"  # it may be a password
        try:
            self._throttle.check(name, source, now)
        except ThrottledError:
            self.refused(known, origin, operation, "tried again during the delay")
            raise
        right = self._hasher.matches(password, account.password if account else None)
        if account is not None and right and not account.disabled:
            self._throttle.succeeded(name, source)
            return account
        failures, until = self._throttle.failed(name, source, now)
        with self._index.write() as tx:
            if account is not None:
                users.update_user(tx, account.key, failed_logins=failures, blocked_until=until)
            audit.append(
                tx,
                self.record(
                    known,
                    origin,
                    operation,
                    outcome=AuditOutcome.FAILURE,
                    detail=f"failure {failures} in a row",
                ),
            )
        raise AuthenticationError("user or password is wrong, or the account is disabled")

    def refused(self, name: str, origin: Origin, operation: str, reason: str) -> None:
        """Record what may be tried a thousand times a minute: once a minute, with the number."""
        report = self._repeats.report(
            (name, origin.unix_user, origin.address, operation, reason), self._clock()
        )
        if report is not None:
            self._tell(report, self._refusal(name, origin, operation, reason, report))

    def flush(self) -> None:
        """Write the numbers of minutes that have ended. Call this now and then; never raises."""
        for report in self._repeats.due(self._clock()):
            name, unix_user, address, operation, reason = report.key or _EVERYONE
            origin = Origin(unix_user=unix_user, address=address)
            try:
                self._tell(report, self._refusal(name, origin, operation, reason, report))
            except TuipacsError as error:
                log.error("the number of refused logins waits for the audit log: %s", error.code)

    def _refusal(
        self, name: str, origin: Origin, operation: str, reason: str, report: Report
    ) -> AuditRecord:
        of_whom = " of users too many to tell apart" if report.key == EVERYONE_ELSE else ""
        more = f"; {report.earlier} more{of_whom} since the record before" if report.earlier else ""
        return self.record(
            name, origin, operation, outcome=AuditOutcome.REFUSED, detail=f"{reason}{more}"
        )

    def _tell(self, report: Report, record: AuditRecord) -> None:
        try:
            with self._index.write() as tx:
                audit.append(tx, record)
        except TuipacsError:
            self._repeats.give_back(report.key, report.earlier, self._clock())
            raise

    def forgive(self, name: str) -> None:
        """Lift the delay of an account."""
        self._throttle.succeeded(name, "")

    def record(
        self,
        name: str,
        origin: Origin,
        operation: str,
        *,
        role: str = "",
        outcome: AuditOutcome = AuditOutcome.SUCCESS,
        detail: str = "",
    ) -> AuditRecord:
        """An audit record of this moment about a login (PS3.15 A.5.3.12), yet to be written."""
        return new_record(
            AuditEvent.USER_AUTHENTICATION,
            operation,
            self._clock(),
            actor=name,
            kind=ActorKind.USER,
            role=role,
            origin=origin,
            outcome=outcome,
            detail=detail,
        )
