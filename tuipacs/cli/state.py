"""What all commands of one call share."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tuipacs.errors import NotFoundError
from tuipacs.paths import ArchivePaths

MAKE_IT = "make it with: tuipacs init --admin NAME"
_COMMAND = re.compile(
    r"\btuipacs (?=(?:audit|config|doctor|export|find|import|init|jobs|login|logout|node|query"
    r"|retrieve|route|send|serve|show|status|stop|tls|user)\b)"
)


@dataclass
class State:
    """The chosen archive and how answers are wanted."""

    archive: ArchivePaths
    graphics: str = "auto"
    as_json: bool = False
    given: str = ""  # what --archive was

    def typed(self, text: str) -> str:
        """``text`` with its commands as they have to be typed to reach this archive."""
        if not self.given:
            return text
        return _COMMAND.sub(lambda _: f"tuipacs --archive {shlex.quote(self.given)} ", text)


def is_archive(paths: ArchivePaths) -> bool:
    """Whether the folder holds an archive, as far as this Unix user can see."""
    try:
        return paths.exists
    except OSError:  # a folder of another user
        return False


def need_archive(paths: ArchivePaths) -> None:
    """Raise `NotFoundError` if the folder holds no archive; one that cannot be seen may."""
    with suppress(OSError):  # a folder of another user
        if not paths.exists:
            raise NotFoundError(
                f"there is no archive in {paths.root}",
                remedy=f"{MAKE_IT} (or choose another with --archive)",
            )


def _remember(ctx: typer.Context, value: bool) -> bool:
    state: Any = ctx.find_object(State)
    if value and state is not None:
        state.as_json = True
    return value


JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON value; errors are JSON on stderr", callback=_remember
    ),
]
PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input")
]


def state_of(ctx: typer.Context) -> State:
    """The state that the root made."""
    state: State = ctx.obj
    return state
