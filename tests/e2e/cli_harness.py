"""Real processes: an archive with its daemon, and the command ``tuipacs`` as people call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuipacs.domain.permissions import Role
from tuipacs.paths import ArchivePaths

PASSWORD = "pixels-and-names"
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


@dataclass
class Archive:
    """An archive folder and the person who works on it."""

    root: Path
    state: Path
    daemon: subprocess.Popen[bytes] | None = None
    port: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, user: str = "", said: str = "", **more: str) -> Result:
        """Run ``tuipacs WORDS`` as ``user`` of the archive, with ``said`` on standard input."""
        environment = {**self._environment(), **more}
        if user:
            environment |= {"TUIPACS_USER": user, "TUIPACS_PASSWORD": PASSWORD}
        done = subprocess.run(
            [sys.executable, "-m", "tuipacs", *words],
            input=said.encode(),
            capture_output=True,
            env=environment,
            timeout=LIMIT,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TUIPACS_")}
        return {
            **kept,
            "TUIPACS_ARCHIVE": str(self.root),
            "XDG_STATE_HOME": str(self.state),
            **self.environment,
        }

    def init(self, *options: str) -> Result:
        """``tuipacs init`` with an administrator called admin."""
        words = ("init", "--admin", "admin", "--password-stdin", *options)
        return self.run(*words, said=PASSWORD + "\n")

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "tuipacs", "serve"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
        )
        socket = ArchivePaths(self.root).socket
        deadline = time.monotonic() + LIMIT
        while self.daemon.poll() is None and time.monotonic() < deadline:
            if socket.exists():
                status = self.run("status", "--json")
                if status.code == 0:
                    self.port = status.json["health"]["port"]
                    return
            time.sleep(0.05)
        raise AssertionError("the daemon did not start")

    def stop(self) -> None:
        """End the daemon."""
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(LIMIT)
            self.daemon = None

    def add_roles(self) -> None:
        """One account for each role, named like it."""
        for role in Role:
            if role is not Role.ADMIN:
                words = ("user", "add", role.value, "--role", role.value, "--password-stdin")
                assert self.run(*words, user="admin", said=PASSWORD + "\n").code == 0


def running_archive(folder: Path, *options: str) -> Archive:
    """A new archive whose daemon runs, on a free port."""
    archive = Archive(folder / "archive", folder / "state")
    made = archive.init("--port", "0", *options)
    assert made.code == 0, made.err
    archive.start()
    return archive
