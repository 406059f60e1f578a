"""Checking passwords: one at a time, ever slower after wrong ones, each outcome recorded."""

from __future__ import annotations

import logging
import threading

from tuipacs.domain.actor import ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
from tuipacs.domain.clock import Clock
from tuipacs.errors import AuthenticationError, ThrottledError, TuipacsError, UnavailableError
from tuipacs.index import audit, users
from tuipacs.index.database import Index
from tuipacs.index.users import Account
from tuipacs.services.passcodes import VerifiedPasscodes
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.repeats import EVERYONE_ELSE, Repeats, Report
from tuipacs.services.throttle import Throttle

log = logging.getLogger(__name__)

_EVERYONE = ("", "", "", "sessions.login", "refused")


PEERS_AT_ONCE = 16  # peers' passcodes that are being checked or wait for it


class Authentication:
    """Names and passwords of accounts, of people at the login and of peers. Thread-safe.

    Peers share nothing with people but the accounts: neither their queue nor their delays, so that
    no modality with an old passcode, and nobody in its name, keeps a person from the console.
    """

    def __init__(self, index: Index, clock: Clock, hasher: PasswordHasher) -> None:
        self._index = index
        self._clock = clock
        self._hasher = hasher
        self._throttle = Throttle()
        self._peer_throttle = Throttle()
        self._repeats = Repeats()
        self._checking = threading.Lock()  # no guess runs beside the check of another
        self._checking_peer = threading.Lock()
        self._peer_places = threading.BoundedSemaphore(PEERS_AT_ONCE)
        self._verified = VerifiedPasscodes()

    def check(self, name: str, password: str, origin: Origin, operation: str) -> Account:
        """The account of that name and password.

        Raises `AuthenticationError` (never saying which part was wrong) and `ThrottledError`; both
        are in the audit log then, a success is the caller's to record.
        """
        with self._checking:
            account = self._read(name)
            if account is not None:
                self._throttle.remember(account.name, account.failed_logins, account.blocked_until)
            self._check_delay(self._throttle, name, account, origin, operation)
            if self._is_right(account, password) and account is not None:
                self._throttle.succeeded(name, _source(origin))
                return account
            failures, until = self._throttle.failed(name, _source(origin), self._clock())
            raise self._wrong(account, origin, operation, failures, blocked_until=until)

    def check_peer(self, name: str, passcode: str, origin: Origin, operation: str) -> Account:
        """The same for a peer: with delays for its address alone that block no login.

        A passcode that was found right in the last minutes is not hashed again. Raises
        `UnavailableError` as well, when too many are being checked.
        """
        account = self._lately_right(name, passcode, origin, operation)
        if account is not None:
            return account
        if not self._peer_places.acquire(blocking=False):
            raise UnavailableError("too many are being checked now", remedy="call again")
        try:
            with self._checking_peer:
                return self._check_peer_alone(name, passcode, origin, operation)
        finally:
            self._peer_places.release()

    def _check_peer_alone(
        self, name: str, passcode: str, origin: Origin, operation: str
    ) -> Account:
        account = self._lately_right(name, passcode, origin, operation)
        if account is not None:
            return account  # found right for another association, while this one waited
        account, source = self._read(name), _source(origin)
        now = self._clock()
        if self._is_right(account, passcode) and account is not None:
            self._verified.keep(account, passcode, now)
            self._peer_throttle.succeeded(_at(source, name), source)
            return account
        failures, _ = self._peer_throttle.failed(_at(source, name), source, now)
        raise self._wrong(account, origin, operation, failures)

    def _lately_right(
        self, name: str, passcode: str, origin: Origin, operation: str
    ) -> Account | None:
        """None if it has to be hashed. Raises `ThrottledError`, whatever was right before."""
        account, source = self._read(name), _source(origin)
        key = _at(source, name)
        self._check_delay(self._peer_throttle, key, account, origin, operation)
        if account is None or not self._verified.holds(account, passcode, self._clock()):
            return None
        self._peer_throttle.succeeded(key, source)
        return account

    def _read(self, name: str) -> Account | None:
        with self._index.read() as reader:
            return users.account(reader, name)

    def _check_delay(
        self,
        throttle: Throttle,
        key: str,
        account: Account | None,
        origin: Origin,
        operation: str,
    ) -> None:
        try:
            throttle.check(key, _source(origin), self._clock())
        except ThrottledError:
            self.refused(_known(account), origin, operation, "tried again during the delay")
            raise

    def _is_right(self, account: Account | None, password: str) -> bool:
        right = self._hasher.matches(password, account.password if account else None)
        return account is not None and right and not account.disabled

    def _wrong(
        self,
        account: Account | None,
        origin: Origin,
        operation: str,
        failures: int,
        blocked_until: float | None = None,
    ) -> AuthenticationError:
        """Record a failure; ``blocked_until``: keep the delay of the account over a restart."""
        with self._index.write() as tx:
            if account is not None and blocked_until is not None:
                users.update_user(
                    tx, account.key, failed_logins=failures, blocked_until=blocked_until
                )
            audit.append(
                tx,
                self.record(
                    _known(account),
                    origin,
                    operation,
                    outcome=AuditOutcome.FAILURE,
                    detail=f"failure {failures} in a row",
                ),
            )
        return AuthenticationError("user or password is wrong, or the account is disabled")

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


def _source(origin: Origin) -> str:
    return origin.unix_user or origin.address


def _at(source: str, name: str) -> str:
    """A peer's delay: of a name as it is tried from one address."""
    return f"{source} {name}"


def _known(account: Account | None) -> str:
    """A name that no account has is not told: it may be a password."""
    return account.name if account else "(unknown account)"
