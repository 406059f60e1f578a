"""``tuipacs demo``: a throw-away archive with studies, users and a modality of its own."""

from __future__ import annotations

import contextlib
import errno
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec

from tuipacs.client.connection import Connection
from tuipacs.demo.feeder import GOODBYE, READY, Orders
from tuipacs.demo.modality import Pace
from tuipacs.domain.permissions import Role
from tuipacs.domain.user import ClientKind
from tuipacs.errors import DaemonUnreachableError, UnavailableError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

DEFAULT_PORT = 11112
HOST = "127.0.0.1"
AE_TITLE = "TUIPACS"
PASSWORD = "pixels-and-names"  # noqa: S105  shown on the login screen; the archive is thrown away
ADMIN = Role.ADMIN.value
LOGIN_HINT = f"demo: {', '.join(role.value for role in Role)} - password {PASSWORD}"
_START_LIMIT = 20.0  # seconds
_STOP_LIMIT = 10.0
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class RunningDemo:
    """A demo archive that is up. ``wait_until_filled`` returns once its first studies are in."""

    paths: ArchivePaths
    port: int
    wait_until_filled: Callable[[], None]


def run_demo(
    port: int | None,
    headless: bool,
    show: Callable[[ArchivePaths], int],
    pace: Pace | None = None,
) -> int:
    """Run the demo until its UI ends, or a signal comes; leave nothing behind.

    ``show`` runs the UI on the archive and gives the exit status; with ``headless`` it is not
    called, and how to reach the archive is printed instead, the line ``ready`` last. ``port`` is
    11112 if not given; a free one is taken when that one is not to be had. Raises
    `UnavailableError` when the archive does not start.
    """
    if sys.stderr.isatty():
        sys.stderr.write("making a throw-away archive, one moment ...\n")
    with _ending_on_signals(), demo_archive(port or DEFAULT_PORT, pace or Pace()) as demo:
        if not headless:
            return show(demo.paths)
        demo.wait_until_filled()
        for line in _directions(demo, wanted=port or DEFAULT_PORT):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        while True:
            signal.pause()


@contextmanager
def demo_archive(port: int, pace: Pace) -> Iterator[RunningDemo]:
    """A demo archive that lives as long as the block."""
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="tuipacs-demo-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        paths = ArchivePaths(root / "archive")
        port = _free_port(port)
        _initialise(paths, port)
        daemon = _start(_command(paths, "serve", "--login-hint", LOGIN_HINT))
        stack.callback(_end, daemon)
        _wait_for_daemon(paths, daemon)
        _add_users(paths)
        feeder = _start([sys.executable, "-P", "-m", "tuipacs.demo.feeder"], talks=True)
        stack.callback(_dismiss, feeder)
        orders = Orders(
            root=str(root),
            archive=str(paths.root),
            admin=ADMIN,
            password=PASSWORD,
            host=HOST,
            port=port,
            ae_title=AE_TITLE,
            pace=pace,
        )
        if feeder.stdin is None or feeder.stdout is None:
            raise AssertionError("the feeder has pipes")
        feeder.stdin.write(msgspec.json.encode(orders) + b"\n")
        feeder.stdin.flush()
        answers = feeder.stdout

        def wait_until_filled() -> None:
            if answers.readline() != READY:
                raise UnavailableError("the demo archive could not be filled")

        yield RunningDemo(paths, port, wait_until_filled)


def _command(paths: ArchivePaths, *words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "tuipacs", "--archive", str(paths.root), *words]


def _start(command: list[str], *, talks: bool = False) -> subprocess.Popen[bytes]:
    """Start a child out of reach of the terminal's own signals: it is ended by us, in order."""
    pipe = subprocess.PIPE if talks else subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _free_port(wanted: int) -> int:
    """``wanted`` if it can be had on the loopback address, else any other."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
            return int(probe.getsockname()[1])
    raise UnavailableError("no TCP port is free on the loopback address")


def _initialise(paths: ArchivePaths, port: int) -> None:
    command = _command(
        paths,
        *("init", "--admin", ADMIN, "--password-stdin"),
        *("--ae-title", AE_TITLE, "--port", str(port), "--unknown-callers", "store"),
    )
    done = subprocess.run(  # noqa: S603
        command, input=PASSWORD.encode() + b"\n", capture_output=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise UnavailableError(f"the demo archive could not be made: {said}")


def _wait_for_daemon(paths: ArchivePaths, daemon: subprocess.Popen[bytes]) -> None:
    connection = Connection(paths.socket)
    deadline = time.monotonic() + _START_LIMIT
    while daemon.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(DaemonUnreachableError):
            connection.call(op.HEALTH, m.Empty())
            connection.close()
            return
        time.sleep(0.05)
    connection.close()
    raise UnavailableError("the demo archive's daemon does not start: " + _last_log_line(paths))


def _last_log_line(paths: ArchivePaths) -> str:
    try:
        return paths.log.read_text("utf-8", "replace").rstrip().rpartition("\n")[2][-300:]
    except OSError:
        return "it left no log"


def _add_users(paths: ArchivePaths) -> None:
    """One account for each role, named like it."""
    connection = Connection(paths.socket)
    login = m.LoginRequest(user=ADMIN, password=PASSWORD, client=ClientKind.COMMAND)
    connection.token = connection.call(op.LOGIN, login).token
    for role in Role:
        if role is not Role.ADMIN:
            request = m.UserAddRequest(name=role.value, role=role, password=PASSWORD)
            connection.call(op.USER_ADD, request)
    connection.call(op.LOGOUT, m.Empty())
    connection.close()


def _dismiss(feeder: subprocess.Popen[bytes]) -> None:
    """Tell the feeder that all is well: we clean up ourselves."""
    if feeder.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            feeder.stdin.write(GOODBYE)
            feeder.stdin.flush()
        _end(feeder)
        with contextlib.suppress(BrokenPipeError):
            feeder.stdin.close()
    if feeder.stdout is not None:
        feeder.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Turn signals into the end of the block, once; while it cleans up they are not heard."""

    def end(number: int, _: FrameType | None) -> None:
        for each in _ENDING_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        # Ctrl-C and a polite SIGTERM are how a demo is meant to end.
        raise SystemExit(0 if number != signal.SIGHUP else 128 + number)

    before = {number: signal.signal(number, end) for number in _ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _program() -> str:
    """What to type for this program: it lies beside the interpreter, and often not on the path."""
    beside = Path(sys.executable).with_name("tuipacs")
    if shutil.which("tuipacs") or not beside.exists():
        return "tuipacs"
    return shlex.quote(str(beside))


def _directions(demo: RunningDemo, *, wanted: int) -> Iterator[str]:
    """How to reach the archive, one thing a line."""
    if demo.port != wanted:
        yield f"note: port {wanted} is taken, using {demo.port}"
    yield f"AE title: {AE_TITLE}"
    yield f"host: {HOST}"
    yield f"port: {demo.port}"
    yield f"archive: {demo.paths.root}"
    yield f"users: {' '.join(role.value for role in Role)}"
    yield f"password: {PASSWORD}"
    yield f"send: storescu -aec {AE_TITLE} {HOST} {demo.port} FILE"
    where = f"{_program()} --archive {demo.paths.root}"
    yield f"look: {where}"
    yield f"find: TUIPACS_USER=viewer TUIPACS_PASSWORD={PASSWORD} {where} find --json"
    yield "end: Ctrl-C or SIGTERM; the archive is removed"
    yield "ready"
