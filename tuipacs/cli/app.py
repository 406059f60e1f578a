"""The root of the command line: global options, the commands, and errors as lines and exit codes.

Exit codes: 0 ok, 1 failed, 2 usage, 3 retryable (the same call may succeed later), 130 Ctrl-C, 141
when who read our output went away.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tuipacs import __version__
from tuipacs.cli import (
    audit,
    commit,
    config,
    conformance,
    demo,
    doctor,
    export,
    find,
    import_,
    init,
    jobs,
    login,
    node,
    query,
    retrieve,
    route,
    send,
    serve,
    show,
    status,
    stop,
    tls,
    user,
)
from tuipacs.cli.output import fail
from tuipacs.cli.state import State
from tuipacs.errors import ThrottledError, TuipacsError, UnavailableError, UsageError
from tuipacs.paths import ARCHIVE_VARIABLE, archive_paths

FAILED, USAGE, RETRYABLE, INTERRUPTED, BROKEN_PIPE = 1, 2, 3, 130, 141

GRAPHICS = ("auto", "kitty", "sixel", "half", "off")


def exit_code_of(error: TuipacsError) -> int:
    """The one mapping of the error tree to exit codes."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, UnavailableError | ThrottledError):
        return RETRYABLE
    return FAILED


class _Root(TyperGroup):
    """Turns what commands raise into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except TuipacsError as error:
            state = ctx.find_object(State)
            if state is not None:
                error.remedy = state.typed(error.remedy)
            fail(error, as_json=state is not None and state.as_json)
            raise typer.Exit(exit_code_of(error)) from None
        except BrokenPipeError:
            # Whoever read our output has gone; the interpreter must not try to flush into it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(BROKEN_PIPE) from None
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            raise typer.Exit(INTERRUPTED) from None
        return result


app = typer.Typer(
    cls=_Root,
    name="tuipacs",
    help="A medical-image archive (PACS) with a full-screen terminal face. "
    "Without a command it opens the screens.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 try again later.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tuipacs {__version__}\n")
        raise typer.Exit


def _graphics(value: str) -> str:
    if value not in GRAPHICS:
        raise typer.BadParameter(f"one of {', '.join(GRAPHICS)}")
    return value


@app.callback()
def root(
    ctx: typer.Context,
    archive: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help=f"The archive's folder [env: {ARCHIVE_VARIABLE}; else the data folder]",
            show_default=False,
        ),
    ] = None,
    graphics: Annotated[
        str,
        typer.Option(
            help=f"How the screens draw pictures: {', '.join(GRAPHICS)}", callback=_graphics
        ),
    ] = "auto",
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Without a command it opens the screens."""
    ctx.obj = State(archive_paths(archive), graphics, given=str(archive or ""))
    if ctx.invoked_subcommand is None:
        from tuipacs.ui.app import run

        raise typer.Exit(run(ctx.obj.archive, graphics=graphics))


app.command("demo", short_help="Open a throw-away archive with studies in it.")(demo.demo)
app.command("init")(init.init)
app.command("serve", short_help="Run the archive's daemon in the foreground.")(serve.serve)
app.command("stop", short_help="Stop the archive's daemon, gently.")(stop.stop)
app.command("status", short_help="Is it running, receiving, full?")(status.status)
app.command("doctor", short_help="Check installation, archive, daemon, terminal.")(doctor.doctor)
app.add_typer(config.app, name="config")
app.command("conformance", short_help="Print the DICOM conformance statement (PS3.2).")(
    conformance.conformance
)
app.command("import", short_help="Import files, folders, ZIP archives, DICOMDIR media.")(
    import_.import_paths
)
app.command("send", short_help="Send objects to another node.")(send.send)
app.command("commit", short_help="Ask a node for storage commitment.")(commit.commit)
app.command("find", short_help="Find patients, studies, series or instances.")(find.find)
app.command("show")(show.show)
app.command("query", short_help="Ask other archives (C-FIND), all at once.")(query.query)
app.command("retrieve", short_help="Retrieve what is missing here from a node.")(retrieve.retrieve)
app.command("export", short_help="Write objects to files in a folder.")(export.export)
app.add_typer(jobs.app, name="jobs")
app.add_typer(user.app, name="user")
app.add_typer(node.app, name="node")
app.add_typer(route.app, name="route", short_help="Rules that send arriving studies on.")
app.add_typer(tls.app, name="tls")
app.add_typer(audit.app, name="audit")
app.command("login", short_help="Log in for the commands that follow.")(login.login)
app.command("logout")(login.logout)


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    try:
        app(args=arguments, prog_name="tuipacs")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
