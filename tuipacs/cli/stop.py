"""``tuipacs stop``."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from tuipacs.cli.output import print_lines
from tuipacs.cli.session import connected
from tuipacs.cli.state import state_of
from tuipacs.client.connection import Connection
from tuipacs.errors import DaemonUnreachableError, UnavailableError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op


def stop(
    ctx: typer.Context,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for its end")
    ] = 60,
) -> None:
    """Stop the archive's daemon once it has finished what is being received."""
    with connected(ctx) as connection:
        connection.call(op.STOP, m.Empty())
    with closing(Connection(state_of(ctx).archive.socket)) as connection:
        _wait(connection, timeout)
    print_lines(["the archive has stopped"])


def _wait(connection: Connection, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            connection.call(op.HEALTH, m.Empty())
            time.sleep(0.1)
    except DaemonUnreachableError:
        return
    raise UnavailableError(
        f"the archive has not stopped within {timeout:.0f} s", remedy="it is still finishing work"
    )
