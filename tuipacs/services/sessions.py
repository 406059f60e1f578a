"""Logging in and staying so: the only place where a person becomes an `Actor`."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import msgspec

from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.audit import AuditEvent, AuditRecord
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import ROUTING_SUBMITTER
from tuipacs.domain.passwords import check_password
from tuipacs.domain.permissions import MATRIX, Permission
from tuipacs.domain.user import ClientKind, Identity, Session
from tuipacs.errors import (
    AuthenticationError,
    ForbiddenError,
    SessionLockedError,
    ThrottledError,
    WrongPasswordError,
)
from tuipacs.index import audit, users
from tuipacs.index.database import Index
from tuipacs.index.users import StoredSession
from tuipacs.schema.messages import (
    ChangePasswordRequest,
    Empty,
    LoginRequest,
    PasswordRequest,
)
from tuipacs.services.authentication import Authentication
from tuipacs.services.guard import Service, about, before_login, guarded
from tuipacs.services.password_hash import PasswordHasher

SCREEN_SESSION_SECONDS = 12 * 3600.0
_PERSIST_EVERY = 60.0  # seconds between writes of a session's last activity
_CACHED = 1000
_ROUTING = frozenset({Permission.SEND, Permission.COMMIT})


@dataclass
class _Live:
    """What is kept in memory of a session: its row, and the activity not yet written."""

    stored: StoredSession
    active_at: float
    persisted_at: float


class Sessions(Service):
    """Logins, locks and the way from a token to an actor."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        hasher: PasswordHasher,
        *,
        lock_after: float,
        command_seconds: float,
        cached: int = _CACHED,
        authentication: Authentication | None = None,
    ) -> None:
        super().__init__(index, clock)
        self._hasher = hasher
        self._authentication = authentication or Authentication(index, clock, hasher)
        self._lock_after = lock_after
        self._command_seconds = command_seconds
        self._cached = cached
        self._changing = threading.RLock()  # index and memory of sessions change together
        self._live: OrderedDict[bytes, _Live] = OrderedDict()
        self._refreshed = 0  # how often `_live` was compared with the index
        self._mutex = threading.Lock()  # guards the two above; held for moments only

    @before_login("there is no actor yet: this makes one")
    def login(self, request: LoginRequest, origin: Origin) -> Session:
        """Check the password and begin a session.

        Raises `AuthenticationError` (never saying which part was wrong) and `ThrottledError`.
        """
        origin = msgspec.structs.replace(
            origin, terminal=request.terminal[:64], ssh_client=request.ssh_client[:128]
        )
        account = self._authentication.check(
            request.user, request.password, origin, "sessions.login"
        )
        token = secrets.token_urlsafe(32)
        now = self._clock()
        lifetime = (
            SCREEN_SESSION_SECONDS if request.client is ClientKind.SCREEN else self._command_seconds
        )
        with self._index.write() as tx:
            if not users.same_login(users.account(tx, account.name), account):
                raise AuthenticationError("the account was changed meanwhile: log in again")
            users.update_user(
                tx, account.key, last_login_at=now, failed_logins=0, blocked_until=None
            )
            users.add_session(
                tx,
                token_sha256=_digest(token),
                user_key=account.key,
                client=request.client,
                at=now,
                expires_at=now + lifetime,
                unix_user=origin.unix_user,
                terminal=origin.terminal,
                ssh_client=origin.ssh_client,
            )
            audit.append(
                tx,
                self._authentication.record(
                    account.name, origin, "sessions.login", role=account.role.value
                ),
            )
        return Session(
            token=token,
            user=account.name,
            role=account.role,
            permissions=tuple(sorted(MATRIX[account.role])),
            expires_at=now + lifetime,
            lock_after=self._lock_after,
        )

    def _find(self, token: str) -> _Live | None:
        if not token:
            return None
        live = self._load(_digest(token))
        if live is None or self._clock() >= live.stored.expires_at:
            return None
        if self._waited_too_long(live):
            with self._changing:
                if self._waited_too_long(live):
                    self._set_locked(live, locked=True)
        return live

    def _waited_too_long(self, live: _Live) -> bool:
        locks_itself = live.stored.client is ClientKind.SCREEN and not live.stored.locked
        return locks_itself and self._clock() - live.active_at >= self._lock_after

    def _load(self, digest: bytes) -> _Live | None:
        while True:
            with self._mutex:
                if live := self._live.get(digest):
                    self._live.move_to_end(digest)
                    return live
                refreshed = self._refreshed
            with self._index.read() as reader:
                stored = users.session_by_token(reader, digest)
            if stored is None:
                return None
            with self._mutex:
                if refreshed != self._refreshed:
                    continue  # it may have ended since it was read, unseen by that refresh
                fresh = _Live(stored, stored.active_at, stored.active_at)
                live = self._live.setdefault(digest, fresh)
                while len(self._live) > self._cached:
                    self._live.popitem(last=False)
                return live

    def _set_locked(self, live: _Live, *, locked: bool) -> None:
        with self._changing:
            stored = live.stored
            operation = "sessions.lock" if locked else "sessions.unlock"
            now = self._clock()
            with self._index.write() as tx:
                users.update_session(tx, stored.key, locked=locked, active_at=now)
                audit.append(tx, self._event(stored, operation))
            live.stored = replace(stored, locked=locked)
            live.active_at = live.persisted_at = now

    def _event(self, stored: StoredSession, operation: str) -> AuditRecord:
        origin = Origin(
            unix_user=stored.unix_user, terminal=stored.terminal, ssh_client=stored.ssh_client
        )
        return self._authentication.record(stored.user, origin, operation, role=stored.role.value)

    @before_login("turns a token into an actor")
    def resolve(self, token: str, origin: Origin) -> Actor:
        """The actor of a token.

        Raises `AuthenticationError` for no, an ended or somebody else's session, and
        `SessionLockedError` for one that waits for its password.
        """
        stored = self._of(token, origin, "sessions.resolve").stored
        if stored.locked:
            raise SessionLockedError("the session is locked", remedy="unlock it with the password")
        return Actor(
            kind=ActorKind.USER,
            name=stored.user,
            role=stored.role,
            permissions=MATRIX[stored.role],
            origin=msgspec.structs.replace(
                origin, terminal=stored.terminal, ssh_client=stored.ssh_client
            ),
            session_key=stored.key,
        )

    def _of(self, token: str, origin: Origin, operation: str) -> _Live:
        """The session of a token, for the Unix user who began it and nobody else."""
        live = self._find(token)
        if live is not None and live.stored.unix_user != origin.unix_user:
            self._authentication.refused(
                live.stored.user, origin, operation, "the token of another Unix user"
            )
            live = None
        if live is None:
            raise AuthenticationError("log in first", remedy="the session has ended or never began")
        return live

    @before_login("the event stream asks it for its own token")
    def state(self, token: str) -> str:
        """``active``, ``locked`` or ``ended``. Cheap: answered from memory."""
        live = self._find(token)
        if live is None:
            return "ended"
        return "locked" if live.stored.locked else "active"

    @before_login("the job runner asks whether a submitter may still do what was asked")
    def on_behalf_of(self, name: str) -> Actor:
        """The actor for a job's submitter, with the rights that he has now.

        A routing rule acts for nobody: it may send, and ask for commitment. Raises
        `ForbiddenError` when the account is gone or disabled.
        """
        if name == ROUTING_SUBMITTER:
            return Actor(kind=ActorKind.SYSTEM, name=name, permissions=_ROUTING)
        with self._index.read() as reader:
            account = users.account(reader, name)
        if account is None or account.disabled:
            raise ForbiddenError(f"the account {name} may not act any more")
        return Actor(
            kind=ActorKind.USER,
            name=account.name,
            role=account.role,
            permissions=MATRIX[account.role],
        )

    @before_login("the session is locked; its token and password are both asked for")
    def unlock(self, request: PasswordRequest, token: str, origin: Origin) -> Identity:
        """Unlock with the password of the session's own user. Raises as `login` does."""
        live = self._of(token, origin, "sessions.unlock")
        self._authentication.check(live.stored.user, request.password, origin, "sessions.unlock")
        self._set_locked(live, locked=False)
        return self._identity(live)

    def _identity(self, live: _Live) -> Identity:
        stored = live.stored
        return Identity(
            user=stored.user,
            role=stored.role,
            permissions=tuple(sorted(MATRIX[stored.role])),
            locked=stored.locked,
            expires_at=stored.expires_at,
        )

    def _own(self, actor: Actor) -> _Live:
        with self._mutex:
            for live in self._live.values():
                if live.stored.key == actor.session_key:
                    return live
        raise AuthenticationError("log in first")

    @before_login("a locked session can be ended too; its token is asked for")
    def logout(self, request: Empty, token: str, origin: Origin) -> Empty:
        """End the caller's session, locked or not."""
        live = self._of(token, origin, "sessions.logout")
        with self._index.write() as tx:
            users.end_sessions(tx, key=live.stored.key)
            audit.append(tx, self._event(live.stored, "sessions.logout"))
        self.refresh()
        return request

    @guarded(
        Permission.OWN_SESSION,
        AuditEvent.USER_AUTHENTICATION,
        only_refusals="the change of state writes the record",
    )
    def lock(self, actor: Actor, request: Empty) -> Empty:
        """Lock the caller's session."""
        self._set_locked(self._own(actor), locked=True)
        return request

    @guarded(
        Permission.OWN_SESSION,
        AuditEvent.USER_AUTHENTICATION,
        only_refusals="a sign of life is no act",
    )
    def touch(self, actor: Actor, request: Empty) -> Identity:
        """Say that a person is at the keys; puts off the lock."""
        live = self._own(actor)
        live.active_at = now = self._clock()
        if now - live.persisted_at >= _PERSIST_EVERY:
            with self._index.write() as tx:
                users.update_session(tx, live.stored.key, active_at=now)
            live.persisted_at = now
        return self._identity(live)

    @guarded(
        Permission.OWN_SESSION,
        AuditEvent.USER_AUTHENTICATION,
        only_refusals="asking for one's own name is no act",
    )
    def whoami(self, actor: Actor, request: Empty) -> Identity:
        """The caller's own name, role and rights."""
        return self._identity(self._own(actor))

    @guarded(Permission.OWN_SESSION, AuditEvent.USER_AUTHENTICATION)
    def change_password(self, actor: Actor, request: ChangePasswordRequest) -> Empty:
        """Change the caller's password; the caller's other sessions end.

        Raises `WrongPasswordError` and `ThrottledError` for the old one, `UsageError` for the new.
        """
        about(detail=f"own password of {actor.name}")
        check_password(request.new_password, actor.name)
        try:
            account = self._authentication.check(
                actor.name, request.old_password, actor.origin, "sessions.change_password"
            )
        except ThrottledError:
            raise
        except AuthenticationError:
            raise WrongPasswordError("the old password is wrong") from None
        phc = self._hasher.hash(request.new_password)
        with self.transaction() as tx:
            if not users.same_login(users.account(tx, account.name), account):
                raise AuthenticationError("the account was changed meanwhile: log in again")
            users.update_user(tx, account.key, password=phc)
            users.end_sessions(tx, user_key=account.key, but=actor.session_key)
        self.refresh()
        return Empty()

    @before_login("called by the users service after its own check")
    def unblock(self, name: str) -> None:
        """Lift the delay of an account."""
        self._authentication.forgive(name)

    @before_login("called by services that ended sessions")
    def refresh(self) -> None:
        """Read again what is in memory, so that ended sessions end at once."""
        with self._changing:
            with self._mutex:
                self._refreshed += 1
                known = list(self._live.items())
            with self._index.read() as reader:
                fresh = {digest: users.session_by_token(reader, digest) for digest, _ in known}
            with self._mutex:
                for digest, live in known:
                    stored = fresh[digest]
                    if stored is None:
                        self._live.pop(digest, None)
                    else:
                        live.stored = stored


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
