"""Starts programs of ours by forking a process that has imported them already.

Most of what a short-lived Python program costs is its imports: two thirds of a processor second for
a daemon, a third for a command, and this suite starts hundreds. A zygote pays that once for each
worker. What it forks is a process of its own, with its own standard streams, environment, folder
and exit code; only the start of the interpreter is not repeated. What the tests are about that
(another locale, options of the interpreter, what is imported) they start for real.

    zygote("tuipacs.daemon").start("import sys; print(sys.argv)", "an argument", env={...})
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DAEMON = ("tuipacs.daemon", "uvicorn.lifespan.off", "encodings.idna")
COMMAND = ("tuipacs.cli.app", "tuipacs.bootstrap", "httpcore", "typer._adapters", "zoneinfo")
"""What a daemon and a command import, also late."""

_AT_START = ("LANG", "LC_", "LD_", "MALLOC_", "PYTHON")
"""Variables that an interpreter heeds when it starts, and never again."""


def _heeded(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_AT_START)}


_OURS = _heeded(os.environ)


def same_start(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter started with this environment would be as a zygote is."""
    return _heeded(environment) == _OURS


class Program:
    """A forked program: as much of `subprocess.Popen` as the tests use, in bytes."""

    def __init__(self, line: socket.socket, streams: tuple[Any, Any]) -> None:
        self._line, self._streams = line, streams
        self.pid = int.from_bytes(line.recv(4), "big")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code as `subprocess` has it, or None while it runs."""
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked program", timeout or 0.0)
            said = self._line.recv(4)
            self._line.close()
            assert said, "the zygote died"
            self.returncode = int.from_bytes(said, "big", signed=True)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Wait for its end; (standard output, standard error)."""
        self.wait(timeout)
        said = []
        for stream in self._streams:
            if not stream.closed:
                stream.seek(0)
                said.append(stream.read())
                stream.close()
        return (said[0], said[1]) if said else (b"", b"")

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """A process that has imported some modules, and forks. Use `zygote`."""

    def __init__(self, *modules: str) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-m", __name__, str(theirs.fileno()), *modules]
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # an interrupt on the terminal is for pytest
            )
        atexit.register(self.close)

    def start(
        self, code: str, *words: str, env: Mapping[str, str] | None = None, said: bytes = b""
    ) -> Program:
        """What ``python -c CODE WORDS`` does, with ``said`` on its standard input."""
        request = {
            "code": code,
            "words": words,
            "env": dict(os.environ if env is None else env),
            "cwd": str(Path.cwd()),
        }
        message = json.dumps(request).encode()
        line, theirs = socket.socketpair()
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        with theirs, tempfile.TemporaryFile() as given:
            given.write(said)
            given.seek(0)
            fds = [theirs.fileno(), given.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._control, [len(message).to_bytes(4, "big")], fds)
            self._control.sendall(message)
        return Program(line, (out, err))

    def close(self) -> None:
        """End it, and what it forked and still runs: nothing outlives the tests, killed or not."""
        self._control.close()
        self._process.wait()


@functools.cache
def zygote(*modules: str) -> Zygote:
    """The zygote of this process that has these modules."""
    return Zygote(*modules)


_COMMAND = "import sys\nfrom tuipacs.__main__ import main\nsys.exit(main())"


def start_command(
    words: Sequence[str], environment: Mapping[str, str], said: bytes = b""
) -> Program | subprocess.Popen[bytes]:
    """Start ``tuipacs WORDS`` with ``said`` on its standard input."""
    if same_start(environment):
        return zygote(*COMMAND).start(_COMMAND, *words, env=environment, said=said)
    with tempfile.TemporaryFile() as given:
        given.write(said)
        given.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", "tuipacs", *words],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )


# --- in the process that forks


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and tell its end; returns in the forked process, with the request."""
    lines: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
    while True:
        ready, _, _ = select.select([control, *lines], [], [])
        for pidfd in [one for one in ready if one is not control]:
            pid, line = lines.pop(pidfd)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.close(pidfd)
            with line:
                line.sendall(status.to_bytes(4, "big", signed=True))
        if control not in ready:
            continue
        head, fds, _, _ = socket.recv_fds(control, 4, 4)
        if not head:
            for pid, _ in lines.values():
                os.kill(pid, signal.SIGKILL)
            return None
        size = int.from_bytes(head, "big")
        request: dict[str, Any] = json.loads(control.recv(size, socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            for number, fd in enumerate(fds[1:]):
                os.dup2(fd, number)
            control.close()
            os.closerange(3, 1024)
            return request
        for fd in fds[1:]:
            os.close(fd)
        line = socket.socket(fileno=fds[0])
        lines[os.pidfd_open(pid)] = pid, line
        line.sendall(pid.to_bytes(4, "big"))


def _main() -> None:
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()  # what all share is not touched by the forked ones' collections
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.argv = ["-c", *request["words"]]
    exec(compile(request["code"], "<forked>", "exec"), {"__name__": "__main__"})  # noqa: S102


if __name__ == "__main__":
    _main()
