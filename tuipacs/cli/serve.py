"""``tuipacs serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.state import need_archive, state_of


def serve(
    ctx: typer.Context,
    login_hint: Annotated[str, typer.Option(hidden=True, help="A line for the login screen")] = "",
) -> None:
    """Run the archive's daemon in the foreground, until SIGTERM or Ctrl-C."""
    from tuipacs.daemon import run_daemon

    archive = state_of(ctx).archive
    need_archive(archive)
    raise typer.Exit(run_daemon(archive, login_hint=login_hint))
