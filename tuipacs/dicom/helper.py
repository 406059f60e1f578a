"""A process of its own for what must not run in the daemon: decoders on untrusted bytes.

The process inherits nothing but one end of a socket pair: no other descriptor, no environment but
what Python needs, no working folder. It gets open files for each request. If it crashes, hangs or
grows too large, only that one request fails, and the next finds a new one.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Generic, NoReturn, Self, TypeVar

import msgspec

import tuipacs
from tuipacs.dicom.helper_side import LENGTH
from tuipacs.errors import DecodeError, UnavailableError

_START_TIMEOUT = 60.0
_LOOK_EVERY = 0.2
_REQUESTS_PER_PROCESS = 5000  # then a fresh one: C libraries leak
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "TZ")


class BrokenHelperError(Exception):
    """The process ended or did not answer in time."""


class HelperProcess:
    """A process that answers requests, started at the first one and again whenever it is gone.

    ``memory_bytes`` bounds its address space (RLIMIT_AS, not enforced on macOS). What the C
    libraries print is dropped. ``command`` is the program, to which the socket's descriptor and
    the memory limit are added. Who subclasses it asks with `_lock` held.
    """

    def __init__(self, *, memory_bytes: int, command: Sequence[str]) -> None:
        self._memory_bytes = memory_bytes
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._used_at = 0.0
        self._requests = 0
        self._closed = False

    @property
    def process_id(self) -> int | None:
        """The id of the running process, None if none runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start the process now, so that the first request does not wait for it."""
        with self._lock:
            self._ensure_running()

    def rest(self, seconds: float) -> None:
        """End the process if nobody has asked for anything for ``seconds``; it starts again."""
        if self._lock.acquire(blocking=False):
            try:
                if self._process is not None and time.monotonic() - self._used_at >= seconds:
                    self._stop()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process, also in the middle of a request. Can be called again."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, body: bytes, descriptors: Sequence[int], timeout: float) -> socket.socket:
        """Send a request with open files; the answer comes over what is returned."""
        connection = self._ensure_running()
        self._requests += 1
        self._used_at = time.monotonic()
        connection.settimeout(timeout)
        socket.send_fds(connection, [LENGTH.pack(len(body)) + body], list(descriptors))
        return connection

    @contextmanager
    def _asking(self, timeout: float) -> Iterator[None]:
        """Around one request: what goes wrong with the process, or its answer, in words.

        Raises `DecodeError`, and `UnavailableError` if it was closed.
        """
        try:
            yield
        except TimeoutError:
            self._stop()
            raise DecodeError(f"the decoder took longer than {timeout:g} s") from None
        except (BrokenHelperError, ConnectionError):
            self._explain_the_end()
        except msgspec.MsgspecError as error:
            self._stop()
            raise DecodeError("the decoder gave an answer that makes no sense") from error

    def _ensure_running(self) -> socket.socket:
        if self._closed:
            raise UnavailableError("the decoder is closed")
        ended = self._process is not None and self._process.poll() is not None
        if ended or self._requests >= _REQUESTS_PER_PROCESS:
            self._stop()
        if self._connection is None:
            self._start()
        if self._connection is None:
            raise UnavailableError("the decoder is closed")
        return self._connection

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [*self._command, str(theirs.fileno()), str(self._memory_bytes)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=_environment(),
                start_new_session=True,  # the terminal's ctrl-c is not for it
            )
        except OSError as error:
            ours.close()
            raise UnavailableError("the decoder process cannot be started") from error
        finally:
            theirs.close()
        self._connection = ours
        self._requests = 0
        try:
            ready = read_exactly(ours, LENGTH.size, time.monotonic() + _START_TIMEOUT)
        except (BrokenHelperError, ConnectionError, TimeoutError):
            self._stop()
            raise UnavailableError("the decoder process cannot be started") from None
        if ready != LENGTH.pack(0):
            self._stop()
            raise UnavailableError("the decoder process is not the one expected")

    def _stop(self) -> int | None:
        """End the process and return how it ended, None if there was none."""
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        if process.poll() is None:
            process.kill()
        return process.wait()

    def _explain_the_end(self) -> NoReturn:
        process = self._process
        if process is not None:
            try:
                process.wait(2.0)  # the socket closes a moment before the process is gone
            except subprocess.TimeoutExpired:
                process.kill()
        status = self._stop()
        if self._closed:
            raise UnavailableError("the decoder is closed")
        if status == -signal.SIGXCPU:
            raise DecodeError("the decoder used too much processor time")
        if status is not None and status < 0:
            raise DecodeError(f"the decoder crashed (signal {-status})")
        raise DecodeError(f"the decoder stopped (exit status {status})")


Helper = TypeVar("Helper", bound=HelperProcess)


class HelperPool(Generic[Helper]):
    """A few helper processes; more requests than processes wait.

    The processes start when they are needed. A process that nobody has asked for
    ``idle_seconds`` ends: it holds some 70 MB.
    """

    def __init__(self, workers: Sequence[Helper], *, idle_seconds: float = 60.0) -> None:
        self._workers = tuple(workers)
        self._idle_seconds = idle_seconds
        self._free: queue.LifoQueue[Helper] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._closing = threading.Event()
        self._resting = threading.Thread(target=self._rest, name="helpers", daemon=True)
        self._start_once = threading.Lock()

    @contextmanager
    def borrow(self, check: Callable[[], None] = lambda: None) -> Iterator[Helper]:
        """One of them for the length of a block. ``check`` raises what is to end the waiting."""
        with self._start_once:
            if self._resting.ident is None:
                self._resting.start()
        worker = self._next(check)
        try:
            yield worker
        finally:
            self._free.put(worker)

    def _next(self, check: Callable[[], None]) -> Helper:
        while True:
            try:
                return self._free.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                check()

    def _rest(self) -> None:
        while not self._closing.wait(self._idle_seconds / 2):
            for worker in self._workers:
                worker.rest(self._idle_seconds)

    def close(self) -> None:
        """End all processes."""
        self._closing.set()
        for worker in self._workers:
            worker.close()
        if self._resting.ident is not None:
            self._resting.join()


def module(name: str) -> tuple[str, ...]:
    """The command that runs a module of ours."""
    return (sys.executable, "-P", "-m", name)


def _environment() -> dict[str, str]:
    """What Python needs to start; nothing that tells who logged in or how."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    package = str(Path(tuipacs.__file__).resolve().parent.parent)
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "OPENBLAS_NUM_THREADS": "1",  # each thread would take address space
        "OMP_NUM_THREADS": "1",
    }


def read_message(connection: socket.socket, most: int, deadline: float) -> bytes:
    """One message. Raises as `read_exactly`, and `msgspec.DecodeError` for a longer one."""
    (length,) = LENGTH.unpack(read_exactly(connection, LENGTH.size, deadline))
    if length > most:
        raise msgspec.DecodeError("the message is too long")
    return read_exactly(connection, length, deadline)


def read_exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    """Exactly ``count`` bytes. Raises `TimeoutError`, and `BrokenHelperError` at the end."""
    buffer = bytearray(count)
    view = memoryview(buffer)
    done = 0
    while done < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        received = connection.recv_into(view[done:])
        if not received:
            raise BrokenHelperError
        done += received
        if done < count and time.monotonic() > deadline:
            raise TimeoutError
    return bytes(buffer)
