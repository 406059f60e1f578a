"""A real daemon in a process of its own, on a real folder, for tests.

    def test_something(running_archive):
        archive = running_archive()  # or running_archive(unknown_callers="echo")
        connection = archive.connect()  # logged in as the administrator
        connection.call(operations.STATUS, Empty())
        archive.kill(); archive.start()                  # the same folder again

Folders are short, because a Unix socket's path must be; ports are free ones, picked by the daemon.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.zygote import DAEMON, Program, same_start, zygote
from tuipacs.client.connection import Connection
from tuipacs.config import Config, DicomSettings
from tuipacs.domain.permissions import Role
from tuipacs.domain.system import Health
from tuipacs.domain.user import ClientKind
from tuipacs.paths import ArchivePaths
from tuipacs.schema import operations
from tuipacs.schema.messages import Empty, LoginRequest, UserAddRequest

ADMIN = "ada"
PASSWORD = "four clear words together"
PATIENCE = 20.0  # seconds; a loaded machine starts slowly

_SERVE = """
import sys
from pathlib import Path
from tuipacs.daemon import run_daemon
from tuipacs.paths import ArchivePaths
sys.exit(run_daemon(ArchivePaths(Path(sys.argv[1])), foreground=False))
"""


@dataclass
class RunningArchive:
    """One archive folder, and the daemon that runs on it now."""

    paths: ArchivePaths
    process: subprocess.Popen[bytes] | Program | None = None
    health: Health | None = None
    connections: list[Connection] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The DICOM port."""
        assert self.health is not None
        return self.health.port

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self.process is not None
        return self.process.pid

    def spawn(self, **environment: str) -> subprocess.Popen[bytes] | Program:
        """Start a daemon without waiting for it."""
        variables = {**os.environ, **environment}
        if same_start(variables):
            return zygote(*DAEMON).start(_SERVE, str(self.paths.root), env=variables)
        return subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self.paths.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=variables,
        )

    def start(self, **environment: str) -> None:
        """Start the daemon and wait until it answers."""
        self.process = self.spawn(**environment)
        deadline = time.monotonic() + PATIENCE
        while not self.answers:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the daemon does not run: {self.end()}")
            time.sleep(0.02)
        self.health = self.visit().call(operations.HEALTH, Empty())

    @property
    def answers(self) -> bool:
        """Whether anyone listens on the socket (not by httpx, which leaks when refused)."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.paths.socket)) == 0

    def end(self) -> str:
        """Wait for the daemon to end by itself; return what it said on stderr."""
        assert self.process is not None
        _, said = self.process.communicate(timeout=PATIENCE)
        return said.decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the daemon with a signal and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.end()
        return self.process.returncode

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def connect(self, user: str = ADMIN, password: str = PASSWORD) -> Connection:
        """A logged-in connection, closed at the end of the test."""
        connection = self.visit()
        session = connection.call(
            operations.LOGIN, LoginRequest(user=user, password=password, client=ClientKind.COMMAND)
        )
        connection.token = session.token
        return connection

    def visit(self) -> Connection:
        """A connection without a session."""
        connection = Connection(self.paths.socket, timeout=PATIENCE)
        self.connections.append(connection)
        return connection

    def add_user(self, name: str, role: Role) -> Connection:
        """Make an account with the common password, and log in with it."""
        self.connect().call(
            operations.USER_ADD, UserAddRequest(name=name, role=role, password=PASSWORD)
        )
        return self.connect(name)

    def log(self) -> str:
        """The daemon's log so far."""
        return self.paths.log.read_text(encoding="utf-8")

    def close(self) -> None:
        """End whatever still runs."""
        for connection in self.connections:
            connection.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


ArchiveFactory = Callable[..., RunningArchive]


def new_archive(folder: Path, **dicom: Any) -> RunningArchive:
    """An archive that is not running; ``dicom`` are settings of that table."""
    from tuipacs.bootstrap import create_archive  # heavy, and most tests need none of it
    from tuipacs.services.password_hash import PasswordHasher

    settings: dict[str, Any] = {"port": 0, "unknown_callers": "store", **dicom}
    paths = ArchivePaths(folder)
    hasher = PasswordHasher(memory_kib=64, iterations=1)  # the hash carries its own figures
    create_archive(paths, Config(dicom=DicomSettings(**settings)), ADMIN, PASSWORD, hasher=hasher)
    return RunningArchive(paths)


@pytest.fixture
def running_archive() -> Iterator[ArchiveFactory]:
    """Make and start archives; ``start=False`` leaves one for the test to start."""
    made: list[RunningArchive] = []
    base = Path(tempfile.mkdtemp(prefix="tp"))

    def make(*, start: bool = True, **dicom: Any) -> RunningArchive:
        archive = new_archive(base / f"a{len(made)}", **dicom)
        made.append(archive)
        if start:
            archive.start()
        return archive

    yield make
    for archive in made:
        archive.close()
    shutil.rmtree(base)
