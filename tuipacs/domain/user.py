"""Accounts and sessions as people see them; secrets never appear here."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.permissions import Permission, Role


class UserRecord(Struct, frozen=True, kw_only=True):
    """One account."""

    name: str
    role: Role
    disabled: bool
    created_at: float
    last_login_at: float | None
    failed_logins: int
    blocked_until: float | None  # growing delay after wrong passwords


class ClientKind(StrEnum):
    """What a session is for; the screen locks itself, the command line expires."""

    SCREEN = "screen"
    COMMAND = "command"


class SessionRecord(Struct, frozen=True, kw_only=True):
    """One login that has not ended."""

    key: int
    user: str
    role: Role
    client: ClientKind
    created_at: float
    active_at: float
    locked: bool
    unix_user: str
    terminal: str
    ssh_client: str


class Session(Struct, frozen=True, kw_only=True):
    """The answer to a login. The token is a secret: keep it out of logs and arguments."""

    token: str
    user: str
    role: Role
    permissions: tuple[Permission, ...]
    expires_at: float
    lock_after: float  # seconds without a touch


class Identity(Struct, frozen=True, kw_only=True):
    """Who the caller of a session is."""

    user: str
    role: Role
    permissions: tuple[Permission, ...]
    locked: bool
    expires_at: float
