"""Who a command acts for: the environment's account, or the login kept by ``tuipacs login``."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer
from msgspec import Struct

from tuipacs.cli.state import State, need_archive, state_of
from tuipacs.client.connection import Connection
from tuipacs.domain.user import ClientKind, Session
from tuipacs.errors import (
    AuthenticationError,
    DaemonUnreachableError,
    SessionLockedError,
    ThrottledError,
    UnavailableError,
    UsageError,
    WrongPasswordError,
)
from tuipacs.paths import ArchivePaths, user_state_dir
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

USER_VARIABLE = "TUIPACS_USER"
PASSWORD_VARIABLE = "TUIPACS_PASSWORD"  # noqa: S105  the variable's name
_REMEDY = f"set {USER_VARIABLE} and {PASSWORD_VARIABLE}, or run: tuipacs login"

_FORGOTTEN = "try again; an administrator gives a new password: tuipacs user password NAME"


class StoredLogin(Struct, frozen=True, kw_only=True):
    """What ``tuipacs login`` keeps; the token is a secret."""

    archive: str
    user: str
    token: str

    def __repr__(self) -> str:
        return f"StoredLogin({self.archive!r}, {self.user!r})"


@contextlib.contextmanager
def connected(ctx: typer.Context) -> Iterator[Connection]:
    """A connection with a session, or `AuthenticationError` that says how to get one.

    A session made from the environment ends with the command.
    """
    state = state_of(ctx)
    own = bool(os.environ.get(USER_VARIABLE))
    with contextlib.closing(
        Connection(state.archive.socket, clean=not state.as_json)
    ) as connection:
        _check_running(connection, state)
        with _own_session(connection) if own else _stored_session(connection, state):
            yield connection


def _check_running(connection: Connection, state: State) -> None:
    """Tell first what is most in the way: no archive, then no daemon, then no login."""
    try:
        connection.call(op.HEALTH, m.Empty())
    except DaemonUnreachableError:
        need_archive(state.archive)
        raise


@contextlib.contextmanager
def _own_session(connection: Connection) -> Iterator[None]:
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise AuthenticationError(
            f"{USER_VARIABLE} is set and {PASSWORD_VARIABLE} is not", remedy=_REMEDY
        )
    connection.token = log_in(connection, os.environ[USER_VARIABLE], password).token
    try:
        yield
    finally:
        with contextlib.suppress(UnavailableError, AuthenticationError):
            connection.call(op.LOGOUT, m.Empty())


@contextlib.contextmanager
def _stored_session(connection: Connection, state: State) -> Iterator[None]:
    stored = load_login(state.archive)
    if stored is None:
        raise AuthenticationError("you are not logged in", remedy=_REMEDY)
    connection.token = stored.token
    try:
        yield
    except (ThrottledError, WrongPasswordError):
        raise  # of a password that was asked for; the login holds
    except AuthenticationError as error:
        raise AuthenticationError(
            f"the login of {stored.user} does not hold any more: {error.message}", remedy=_REMEDY
        ) from None


def has_login(state: State) -> bool:
    """Whether there is anything to log in with."""
    return bool(os.environ.get(USER_VARIABLE)) or load_login(state.archive) is not None


def log_in(connection: Connection, user: str, password: str) -> Session:
    """Make a session for commands. Raises `AuthenticationError`, with what helps."""
    try:
        return _log_in(connection, user, password)
    except (ThrottledError, SessionLockedError):
        raise
    except AuthenticationError as error:
        raise AuthenticationError(error.message, remedy=error.remedy or _FORGOTTEN) from None


def _log_in(connection: Connection, user: str, password: str) -> Session:
    return connection.call(
        op.LOGIN,
        m.LoginRequest(
            user=user,
            password=password,
            client=ClientKind.COMMAND,
            terminal=_terminal(),
            ssh_client=os.environ.get("SSH_CONNECTION", "").partition(" ")[0],
        ),
    )


def _terminal() -> str:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return os.ttyname(stream.fileno())
    return ""


def _login_file(archive: ArchivePaths, state: Path | None = None) -> Path:
    digest = hashlib.sha256(os.fsencode(archive.root.resolve())).hexdigest()[:32]
    return (state or user_state_dir()) / "logins" / f"{digest}.json"


def load_login(archive: ArchivePaths) -> StoredLogin | None:
    """The login kept for an archive. A file that others could read or write is not used."""
    path = _login_file(archive)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if state.st_uid != os.getuid() or state.st_mode & 0o077:
            raise AuthenticationError(
                f"{path} can be read by others and is not used", remedy="run: tuipacs login"
            )
        try:
            return msgspec.json.decode(file.read(), type=StoredLogin)
        except msgspec.MsgspecError:
            return None


def save_login(archive: ArchivePaths, user: str, token: str, *, state: Path | None = None) -> None:
    """Keep a login, readable by this Unix user only; ``state`` is the platform's own if None."""
    path = _login_file(archive, state)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        stored = StoredLogin(archive=os.fspath(archive.root), user=user, token=token)
        file.write(msgspec.json.encode(stored))
    part.rename(path)


def forget_login(archive: ArchivePaths) -> None:
    """Remove what `save_login` kept."""
    _login_file(archive).unlink(missing_ok=True)


def read_password(*, from_stdin: bool, prompt: str = "Password", repeat: bool = False) -> str:
    """A password from one line of standard input, or asked for without echo.

    ``repeat`` asks twice. Raises `UsageError` when there is no terminal to ask on.
    """
    if from_stdin:
        try:
            line = sys.stdin.buffer.readline().decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError("the password on standard input is not UTF-8") from None
        password = line.rstrip("\r\n")
        if not password:
            raise UsageError("there is no password on standard input")
        return password
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for the password on", remedy="give --password-stdin"
        )
    password = getpass.getpass(f"{prompt}: ")
    if repeat and getpass.getpass(f"{prompt} again: ") != password:
        raise UsageError("the two passwords are not the same")
    return password
