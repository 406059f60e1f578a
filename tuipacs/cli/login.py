"""``tuipacs login`` and ``tuipacs logout``."""

from __future__ import annotations

import getpass
import sys
from contextlib import closing, suppress
from typing import Annotated

import typer

from tuipacs.cli.output import moment, print_lines
from tuipacs.cli.session import forget_login, load_login, log_in, read_password, save_login
from tuipacs.cli.state import PasswordStdinOption, state_of
from tuipacs.client.connection import Connection
from tuipacs.errors import AuthenticationError, UnavailableError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op


def login(
    ctx: typer.Context,
    user: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Asked for if left out")
    ] = None,
    password_stdin: PasswordStdinOption = False,
) -> None:
    """Log in for the commands that follow, until `tuipacs logout` or some hours later.

    The session's token is kept in a file that only this Unix user can read, one for each archive.
    """
    archive = state_of(ctx).archive
    if user is None:
        user = _ask_name()
    with closing(Connection(archive.socket)) as connection:
        connection.call(op.HEALTH, m.Empty())  # before anyone types a password for nothing
        password = read_password(from_stdin=password_stdin)
        session = log_in(connection, user, password)
    save_login(archive, session.user, session.token)
    print_lines(
        [f"logged in as {session.user} ({session.role.value}) until {moment(session.expires_at)}"]
    )


def _ask_name() -> str:
    if not sys.stdin.isatty():
        raise UsageError("whom to log in?", remedy="tuipacs login NAME --password-stdin")
    sys.stderr.write(f"User [{getpass.getuser()}]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or getpass.getuser()


def logout(ctx: typer.Context) -> None:
    """End the login that `tuipacs login` made."""
    archive = state_of(ctx).archive
    stored = load_login(archive)
    if stored is None:
        print_lines(["not logged in"])
        return
    try:
        # A session that ended by itself, or with its daemon, is what was asked for.
        with (
            closing(Connection(archive.socket, token=stored.token)) as connection,
            suppress(AuthenticationError, UnavailableError),
        ):
            connection.call(op.LOGOUT, m.Empty())
    finally:
        forget_login(archive)
    print_lines([f"{stored.user} is logged out"])
