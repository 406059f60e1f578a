"""The command ``tuipacs`` as people call it: a process of its own, on an archive."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.daemon_fixture import ADMIN, PASSWORD, RunningArchive, new_archive
from tests.e2e.zygote import start_command
from tuipacs.cli.session import save_login
from tuipacs.domain.permissions import Role

LIMIT = 60  # seconds for one command


@dataclass(frozen=True)
class Result:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """Runs commands on one archive; ``state`` is the caller's own folder for logins."""

    root: Path
    state: Path

    def run(self, *words: str, user: str = "", said: str = "", **variables: str) -> Result:
        """Run ``tuipacs WORDS`` with ``said`` on standard input.

        ``user`` is one whose login is kept; ``**as_user(name)`` logs in by the environment.
        """
        variables = self.environment(user) | variables
        command = start_command(words, variables, said.encode())
        out, err = command.communicate(timeout=LIMIT)
        return Result(command.returncode, out.decode(), err.decode())

    def environment(self, user: str = "") -> dict[str, str]:
        """The caller's environment, without any login of the one who runs the tests."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TUIPACS_")}
        state = self.state / user if user else self.state
        return kept | {"TUIPACS_ARCHIVE": str(self.root), "XDG_STATE_HOME": str(state)}

    def init(self, *options: str) -> Result:
        """``tuipacs init`` with the administrator of all tests."""
        words = ("init", "--admin", ADMIN, "--password-stdin", *options)
        return self.run(*words, said=PASSWORD + "\n")


def as_user(name: str) -> dict[str, str]:
    """The variables that log a command in."""
    return {"TUIPACS_USER": name, "TUIPACS_PASSWORD": PASSWORD}


@contextmanager
def cli_on_running_archive(*roles: Role) -> Iterator[tuple[Cli, RunningArchive]]:
    """A running archive, and commands on it.

    There is an account for each of ``roles``, named like it. The logins of these and of the
    administrator are kept: one password takes a tenth of a second to check.
    """
    base = Path(tempfile.mkdtemp(prefix="tp"))  # a Unix socket's path must be short
    archive = new_archive(base / "a")
    try:
        archive.start()
        connections = {ADMIN: archive.connect()}
        connections |= {role.value: archive.add_user(role.value, role) for role in roles}
        for name, connection in connections.items():
            state = base / "state" / name / "tuipacs"
            save_login(archive.paths, name, connection.token, state=state)
        yield Cli(base / "a", base / "state"), archive
    finally:
        archive.close()
        shutil.rmtree(base)
