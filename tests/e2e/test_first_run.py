"""An empty machine and a person at a terminal: form, archive, daemon, login, list."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pyte
import pytest

from tests.ui.graphics.terminal import ALACRITTY, Terminal
from tuipacs.client.connection import Connection
from tuipacs.errors import DaemonUnreachableError
from tuipacs.schema import operations
from tuipacs.schema.messages import Empty

SENTENCE = "four clear words together"
LIMIT = 40  # seconds; a loaded machine starts slowly
_UNKNOWN_TO_PYTE = re.compile(
    rb"\x1b[P_^\]X][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b\[[<=>][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p"
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[^@-~]*|[P_^\]X][^\x1b\x07]*\x1b?)?\Z")


class Person:
    """Sits at a terminal of 80x24 on which ``tuipacs`` runs."""

    def __init__(self, home: Path) -> None:
        self.terminal = Terminal(ALACRITTY)
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._read = 0
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tuipacs"],
            stdin=self.terminal.slave,
            stdout=self.terminal.slave,
            stderr=self.terminal.slave,
            env={**kept, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            start_new_session=True,
        )

    def sees(self) -> str:
        """What is on the screen, in one line."""
        output = self.terminal.output
        end = _UNFINISHED.search(output, self._read)
        until = end.start() if end else len(output)
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", output[self._read : until]))
        self._read = until
        return " ".join(" ".join(self._screen.display).split())

    def waits_for(self, words: str) -> None:
        """Until they are on the screen."""
        give_up = time.monotonic() + LIMIT
        while words not in self.sees():
            assert time.monotonic() < give_up, f"no {words!r} in: {self.sees()}"
            time.sleep(0.1)

    def types(self, *words: str) -> None:
        """Keys, all at once."""
        for word in words:
            self.terminal.type(word.encode())

    def logs_in(self) -> None:
        """Through the form, to the list."""
        self.waits_for("Log in")
        self.types("ada\t", SENTENCE, "\r")
        self.waits_for("no studies yet")


@contextmanager
def person(home: Path) -> Iterator[Person]:
    """Someone who leaves in the end."""
    someone = Person(home)
    try:
        yield someone
    finally:
        someone.process.kill()
        someone.process.wait()
        someone.terminal.close()


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home, short because a Unix socket's path must be; no daemon is left in it."""
    folder = Path(tempfile.mkdtemp(prefix="th"))
    yield folder
    for socket_file in folder.rglob("*.sock"):
        with suppress(DaemonUnreachableError), closing(Connection(socket_file)) as connection:
            os.kill(connection.call(operations.HEALTH, Empty()).pid, signal.SIGKILL)
    shutil.rmtree(folder)


def test_from_an_empty_home_to_an_archive_that_two_people_see(home: Path) -> None:
    """Also when the port that was asked for is taken."""
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        taken_port, port = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        with person(home) as first:
            first.waits_for("a new archive")
            first.types("FIRSTRUN\r", f"{taken_port}\r", "\t", "ada\r", SENTENCE, "\r")
            first.types(SENTENCE, "\r")
            first.waits_for(f"Another program listens on port {taken_port}.")
            assert not any(home.rglob("archive.toml")), "nothing was made yet"
            first.types("\x15", f"{port}", "\t\t\t\t\t", "\r")
            first.logs_in()
            assert f"send to FIRSTRUN on port {port}" in first.sees()
            with person(home) as second:
                second.logs_in()
                first.types("q")
                first.waits_for("It can go on without")
                first.types("\x1b[Z", "\r")
                assert first.process.wait(LIMIT) == 0
                second.waits_for("archive not reachable")
