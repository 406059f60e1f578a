"""Accounts: made, changed and disabled by administrators; never deleted, for the log names them."""

from __future__ import annotations

from collections.abc import Callable

from tuipacs.domain.account import check_account_name
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.passwords import check_password
from tuipacs.domain.permissions import Permission, Role
from tuipacs.domain.user import UserRecord
from tuipacs.errors import ConflictError, NotFoundError
from tuipacs.index import audit, users
from tuipacs.index.database import Index, Reader
from tuipacs.index.users import Account
from tuipacs.schema.messages import (
    Empty,
    SessionEndRequest,
    UserAddRequest,
    UserDisableRequest,
    UserList,
    UserPasswordRequest,
    UserRoleRequest,
)
from tuipacs.services.guard import Service, about, before_login, guarded
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.sessions import Sessions

SECURITY = AuditEvent.SECURITY_ALERT


class Users(Service):
    """The accounts of one archive."""

    def __init__(
        self, index: Index, clock: Clock, hasher: PasswordHasher, sessions: Sessions
    ) -> None:
        super().__init__(index, clock)
        self._hasher = hasher
        self._sessions = sessions
        self.on_disable: Callable[[], None] = lambda: None  # called after each commit

    @before_login("a new archive has no account that could do it")
    def create_first_admin(self, name: str, password: str) -> UserRecord:
        """Make a new archive's administrator. Raises `ConflictError` once there is an account."""
        check_account_name(name)
        check_password(password, name)
        phc = self._hasher.hash(password)
        with self._index.write() as tx:
            if users.count_users(tx):
                raise ConflictError("the archive has accounts already")
            key = users.add_user(tx, name, Role.ADMIN, phc, self._clock())
            record = new_record(
                SECURITY,
                "users.create_first_admin",
                self._clock(),
                detail=f"administrator {name}",
            )
            audit.append(tx, record)
            return users.user_record(tx, key)

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def list(self, actor: Actor, request: Empty) -> UserList:
        """All accounts and live sessions."""
        with self._index.read() as reader:
            return UserList(
                users=users.all_users(reader), sessions=users.sessions(reader, self._clock())
            )

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def add(self, actor: Actor, request: UserAddRequest) -> UserRecord:
        """Make an account. Raises `ConflictError` for a name that exists, in whatever case."""
        check_account_name(request.name)
        about(detail=f"account {request.name}, role {request.role.value}")
        check_password(request.password, request.name)
        phc = self._hasher.hash(request.password)
        with self.transaction() as tx:
            if users.account(tx, request.name) is not None:
                raise ConflictError(
                    f"there is an account {request.name} already",
                    remedy="take another name, or see: tuipacs user list",
                )
            key = users.add_user(tx, request.name, request.role, phc, self._clock())
            return users.user_record(tx, key)

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def set_role(self, actor: Actor, request: UserRoleRequest) -> UserRecord:
        """Give an account another role; its sessions end."""
        about(detail=f"account {request.name[:64]}: role {request.role.value}")
        with self.transaction() as tx:
            account = _existing(tx, request.name)
            if request.role is not Role.ADMIN:
                _keep_an_admin(tx, account)
            users.update_user(tx, account.key, role=request.role.value)
            users.end_sessions(tx, user_key=account.key)
            record = users.user_record(tx, account.key)
        self._sessions.refresh()
        return record

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def set_password(self, actor: Actor, request: UserPasswordRequest) -> UserRecord:
        """Set somebody's password; the account's sessions end and its delay is lifted."""
        about(detail=f"account {request.name[:64]}: new password")
        check_password(request.password, request.name)
        phc = self._hasher.hash(request.password)
        with self.transaction() as tx:
            account = _existing(tx, request.name)
            users.update_user(tx, account.key, password=phc, failed_logins=0, blocked_until=None)
            users.end_sessions(tx, user_key=account.key)
            record = users.user_record(tx, account.key)
        self._sessions.unblock(account.name)
        self._sessions.refresh()
        return record

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def set_disabled(self, actor: Actor, request: UserDisableRequest) -> UserRecord:
        """Disable an account, ending its sessions, or enable it again."""
        word = "disabled" if request.disabled else "enabled"
        about(detail=f"account {request.name[:64]}: {word}")
        with self.transaction() as tx:
            account = _existing(tx, request.name)
            if request.disabled:
                _keep_an_admin(tx, account)
                users.end_sessions(tx, user_key=account.key)
            users.update_user(tx, account.key, disabled=request.disabled)
            record = users.user_record(tx, account.key)
        self._sessions.refresh()
        if request.disabled:
            self.on_disable()
        return record

    @guarded(Permission.MANAGE_USERS, SECURITY)
    def end_session(self, actor: Actor, request: SessionEndRequest) -> Empty:
        """End somebody's session."""
        about(detail=f"session {request.key}")
        with self.transaction() as tx:
            if not users.end_sessions(tx, key=request.key):
                raise NotFoundError("there is no such session")
        self._sessions.refresh()
        return Empty()


def _existing(reader: Reader, name: str) -> Account:
    account = users.account(reader, name)
    if account is None:
        raise NotFoundError("there is no such account")
    return account


def _keep_an_admin(reader: Reader, account: Account) -> None:
    last = account.role is Role.ADMIN and not account.disabled
    if last and users.enabled_admins(reader) <= 1:
        raise ConflictError(
            "this is the last administrator who can log in",
            remedy="make another first: tuipacs user add NAME --role admin",
        )
