"""Accounts and sessions in the index."""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.domain.permissions import Role
from tuipacs.domain.user import ClientKind, SessionRecord, UserRecord
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.tables import Session, User


@dataclass(frozen=True)
class Account:
    """One account with its password hash; never leaves the services."""

    key: int
    name: str
    role: Role
    password: str
    disabled: bool
    failed_logins: int
    blocked_until: float


@dataclass(frozen=True)
class StoredSession:
    """One session as it is kept."""

    key: int
    user: str
    role: Role
    client: ClientKind
    active_at: float
    expires_at: float
    locked: bool
    unix_user: str
    terminal: str
    ssh_client: str


def account(reader: Reader, name: str) -> Account | None:
    """The account of that name, in whatever case."""
    row = User.select().where(User.name == name).limit(1).execute(reader.database)
    return next((_account(user) for user in row), None)


def same_login(one: Account | None, other: Account) -> bool:
    """Whether password, role and state are still what they were."""
    return one is not None and (one.key, one.password, one.role, one.disabled) == (
        other.key,
        other.password,
        other.role,
        other.disabled,
    )


def _account(user: User) -> Account:
    return Account(
        key=user.id,
        name=user.name,
        role=Role(user.role),
        password=user.password,
        disabled=user.disabled,
        failed_logins=user.failed_logins,
        blocked_until=user.blocked_until or 0.0,
    )


def all_users(reader: Reader) -> tuple[UserRecord, ...]:
    """All accounts by name."""
    rows = User.select().order_by(User.name).execute(reader.database)
    return tuple(_record(user) for user in rows)


def user_record(reader: Reader, key: int) -> UserRecord:
    """One account as people see it."""
    return next(_record(u) for u in User.select().where(User.id == key).execute(reader.database))


def _record(user: User) -> UserRecord:
    return UserRecord(
        name=user.name,
        role=Role(user.role),
        disabled=user.disabled,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
        failed_logins=user.failed_logins,
        blocked_until=user.blocked_until,
    )


def count_users(reader: Reader) -> int:
    """How many accounts there are."""
    return int(reader.scalar("SELECT count(*) FROM user"))


def enabled_admins(reader: Reader) -> int:
    """How many administrators can log in."""
    query = User.select().where((User.role == Role.ADMIN.value) & (User.disabled == 0))
    return int(query.count(reader.database))


def add_user(tx: Transaction, name: str, role: Role, password: str, at: float) -> int:
    """Insert an account and return its key."""
    query = User.insert(name=name, role=role.value, password=password, created_at=at)
    return int(query.execute(tx.database))


def update_user(tx: Transaction, key: int, **fields: object) -> None:
    """Set columns of one account."""
    User.update(**fields).where(User.id == key).execute(tx.database)


def add_session(
    tx: Transaction,
    *,
    token_sha256: bytes,
    user_key: int,
    client: ClientKind,
    at: float,
    expires_at: float,
    unix_user: str,
    terminal: str,
    ssh_client: str,
) -> int:
    """Insert a session, drop those that have expired, and return its key."""
    Session.delete().where(Session.expires_at < at).execute(tx.database)
    return int(
        Session.insert(
            token_sha256=token_sha256,
            user=user_key,
            client=client.value,
            created_at=at,
            active_at=at,
            expires_at=expires_at,
            unix_user=unix_user,
            terminal=terminal,
            ssh_client=ssh_client,
        ).execute(tx.database)
    )


def session_by_token(reader: Reader, token_sha256: bytes) -> StoredSession | None:
    """The session of a token, unless its account is disabled."""
    row = reader.one(
        "SELECT s.id, u.name, u.role, s.client, s.active_at, s.expires_at, s.locked,"
        " s.unix_user, s.terminal, s.ssh_client FROM session s JOIN user u ON u.id = s.user"
        " WHERE s.token_sha256 = ? AND NOT u.disabled",
        (token_sha256,),
    )
    if row is None:
        return None
    return StoredSession(
        key=row[0],
        user=row[1],
        role=Role(row[2]),
        client=ClientKind(row[3]),
        active_at=row[4],
        expires_at=row[5],
        locked=bool(row[6]),
        unix_user=row[7],
        terminal=row[8],
        ssh_client=row[9],
    )


def update_session(tx: Transaction, key: int, **fields: object) -> None:
    """Set columns of one session."""
    Session.update(**fields).where(Session.id == key).execute(tx.database)


def end_sessions(tx: Transaction, *, key: int = 0, user_key: int = 0, but: int = 0) -> int:
    """Delete one session, or all of one account ``but`` one; return how many."""
    where = (Session.id == key) if key else (Session.user == user_key) & (Session.id != but)
    return int(Session.delete().where(where).execute(tx.database))


def sessions(reader: Reader, at: float) -> tuple[SessionRecord, ...]:
    """All sessions that have not expired, newest first."""
    rows = reader.all(
        "SELECT s.id, u.name, u.role, s.client, s.created_at, s.active_at, s.locked, s.unix_user,"
        " s.terminal, s.ssh_client FROM session s JOIN user u ON u.id = s.user"
        " WHERE s.expires_at >= ? ORDER BY s.id DESC",
        (at,),
    )
    return tuple(
        SessionRecord(
            key=row[0],
            user=row[1],
            role=Role(row[2]),
            client=ClientKind(row[3]),
            created_at=row[4],
            active_at=row[5],
            locked=bool(row[6]),
            unix_user=row[7],
            terminal=row[8],
            ssh_client=row[9],
        )
        for row in rows
    )
