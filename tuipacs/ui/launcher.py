"""Making and starting an archive from the UI, through the same commands a person would type."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import subprocess
import sys
from dataclasses import dataclass

from tuipacs.errors import UnavailableError
from tuipacs.paths import ArchivePaths

START_LIMIT = 15.0  # seconds until a daemon that does not answer is called stuck
NEW_ARCHIVE_HOST = "127.0.0.1"  # where `tuipacs init` lets one listen
_LOG_TAIL = 4096  # bytes
_LOG_HEAD = re.compile(r"^\d{4}-\S+ [A-Z]+ \S+ ")  # time, level and logger


@dataclass(frozen=True)
class NewArchive:
    """The answers of the first-run form."""

    ae_title: str
    port: int
    unknown_callers: str  # "refuse", "echo" or "store"
    admin: str
    password: str

    def __repr__(self) -> str:
        return f"NewArchive({self.ae_title!r}, {self.port}, {self.admin!r})"  # never the password


class Launcher:
    """Runs ``tuipacs init`` and ``tuipacs serve`` for one archive folder."""

    def __init__(self, archive: ArchivePaths, *, is_demo: bool = False) -> None:
        self.archive = archive
        self.is_demo = is_demo  # the archive is removed when this program ends
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def exists(self) -> bool:
        """True when the folder holds an archive."""
        return self.archive.exists

    @property
    def place(self) -> str:
        """The folder, for people."""
        return str(self.archive.root)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "tuipacs", "--archive", str(self.archive.root), *words]

    def port_trouble(self, port: int) -> str:
        """Why a new archive could not listen on ``port`` of this machine now; empty if it can."""
        try:
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((NEW_ARCHIVE_HOST, port))
                trial.listen(1)
        except PermissionError:
            return f"This machine keeps port {port} for root. Choose one above 1023."
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Another program listens on port {port}. Choose another one."
            return f"Port {port} cannot be used: {error.strerror}."
        return ""

    async def initialise(self, new: NewArchive) -> None:
        """Make the archive. Raises `UnavailableError` with what the command said."""
        process = await asyncio.create_subprocess_exec(
            *self._command(
                "init",
                *("--admin", new.admin, "--password-stdin", "--ae-title", new.ae_title),
                *("--port", str(new.port), "--unknown-callers", new.unknown_callers),
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate(new.password.encode() + b"\n")
        if process.returncode != 0:
            lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
            # A message and its remedy stand on lines of their own.
            message = ". ".join(line.removeprefix("tuipacs: ") for line in lines if line)[-400:]
            raise UnavailableError(message or f"tuipacs init failed ({process.returncode})")

    def start(self) -> None:
        """Start the daemon, detached: it lives on when the terminal goes away.

        Nothing happens while one that was started here still runs.
        """
        if self._daemon is not None and self._daemon.poll() is None:
            return
        self._daemon = subprocess.Popen(  # noqa: S603
            self._command("serve"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def died(self) -> str:
        """Why the daemon that was started has ended already; empty while it runs."""
        if self._daemon is None or self._daemon.poll() is None:
            return ""
        code = self._daemon.returncode
        return f"The archive stopped while starting (exit code {code}):\n{self._last_words()}"

    def _last_words(self) -> str:
        try:
            with self.archive.log.open("rb") as log:
                log.seek(0, 2)
                log.seek(max(0, log.tell() - _LOG_TAIL))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "it left no log"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
        return _LOG_HEAD.sub("", last)
