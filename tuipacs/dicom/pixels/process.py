"""Asking for pictures without trusting the decoders: they run in a process of their own.

The process inherits nothing but one end of a socket pair: no other descriptor, no environment but
what Python needs, no working folder. It gets an open file for each request and hands back pixels.
If it crashes, hangs or grows too large, only that one request fails, and the next finds a new one.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import msgspec
from msgspec.structs import replace

import tuipacs
from tuipacs.dicom.pixels.limits import MAX_FRAME_SAMPLES
from tuipacs.dicom.pixels.protocol import LENGTH, MAX_REPLY, Reply, Request
from tuipacs.domain.frame import Frame, WindowRequest
from tuipacs.errors import DecodeError, NotFoundError, UnavailableError, UsageError

#: The largest answer: a palette picture of ``MAX_FRAME_SAMPLES`` pixels has three bytes for each.
MAX_PIXEL_BYTES = 3 * MAX_FRAME_SAMPLES
DEFAULT_MEMORY = 2 << 30
DEFAULT_TIMEOUT = 20.0
_START_TIMEOUT = 60.0
_REQUESTS_PER_PROCESS = 5000  # then a fresh one: C libraries leak
_COMMAND = (sys.executable, "-P", "-m", "tuipacs.dicom.pixels.worker")
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "TZ")


class _Broken(Exception):
    """The process ended or did not answer in time."""


class PixelWorker:
    """One decoder process, started at the first request and again whenever it is gone.

    Thread-safe: requests wait for each other. ``timeout`` is in seconds, for one picture;
    ``memory_bytes`` bounds the address space of the process (RLIMIT_AS, not enforced on macOS).
    What the C libraries print is dropped. ``command`` is the program, to which the socket's
    descriptor and the memory limit are added.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        memory_bytes: int = DEFAULT_MEMORY,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._timeout = timeout
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

    def render(
        self, file: Path | int, frame_number: int = 1, window: WindowRequest | None = None
    ) -> Frame:
        """Return a frame of a stored Part 10 file, given by path or as an open descriptor.

        A descriptor stays the caller's, and its position where it is. Raises NotFoundError (no such
        frame), UsageError (impossible window), DecodeError with the reason, UnavailableError
        (closed, or the process cannot be started) and OSError (the file cannot be opened).
        """
        request = Request(
            frame_number=frame_number, window=window, cpu_seconds=int(self._timeout) + 1
        )
        descriptor = file if isinstance(file, int) else _open(file)
        try:
            with self._lock:
                return self._ask(request, descriptor)
        finally:
            if not isinstance(file, int):
                os.close(descriptor)

    def start(self) -> None:
        """Start the process now, so that the first picture does not wait for it."""
        with self._lock:
            self._ensure_running()

    def rest(self, seconds: float) -> None:
        """End the process if nobody has asked for a picture for ``seconds``; it starts again."""
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

    def _ask(self, request: Request, descriptor: int) -> Frame:
        connection = self._ensure_running()
        self._requests += 1
        self._used_at = time.monotonic()
        deadline = time.monotonic() + self._timeout
        try:
            body = msgspec.msgpack.encode(request)
            connection.settimeout(self._timeout)
            socket.send_fds(connection, [LENGTH.pack(len(body)) + body], [descriptor])
            reply = self._read_reply(connection, deadline)
            pixels = _read(connection, reply.pixel_bytes, deadline)
        except TimeoutError:
            self._stop()
            raise DecodeError(f"the decoder took longer than {self._timeout:g} s") from None
        except (_Broken, ConnectionError):
            self._explain_the_end()
        except msgspec.MsgspecError as error:
            self._stop()
            raise DecodeError("the decoder gave an answer that makes no sense") from error
        return self._checked(reply, pixels, request)

    def _read_reply(self, connection: socket.socket, deadline: float) -> Reply:
        (length,) = LENGTH.unpack(_read(connection, LENGTH.size, deadline))
        if length > MAX_REPLY:
            raise msgspec.DecodeError("reply too long")
        reply = msgspec.msgpack.decode(_read(connection, length, deadline), type=Reply)
        frame = reply.frame
        expected = 0 if frame is None else frame.rows * frame.columns * frame.samples
        if reply.pixel_bytes != expected or not 0 <= expected <= MAX_PIXEL_BYTES:
            raise msgspec.DecodeError("pixels do not fit")
        return reply

    def _checked(self, reply: Reply, pixels: bytes, request: Request) -> Frame:
        if reply.error_code == NotFoundError.code:
            raise NotFoundError(reply.message)
        if reply.error_code == UsageError.code:
            raise UsageError(reply.message)
        if reply.frame is None:
            raise DecodeError(reply.message)
        if reply.frame.frame_number != request.frame_number or reply.frame.samples not in (1, 3):
            self._stop()
            raise DecodeError("the decoder gave an answer that makes no sense")
        return replace(reply.frame, pixels=pixels)

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
            ready = _read(ours, LENGTH.size, time.monotonic() + _START_TIMEOUT)
        except (_Broken, ConnectionError, TimeoutError):
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


class PixelWorkers:
    """A few decoder processes behind one ``render``; more requests than processes wait.

    The processes start when they are needed: one viewer keeps one busy. A process that nobody has
    asked for ``idle_seconds`` ends: it holds some 70 MB.
    """

    def __init__(self, workers: Sequence[PixelWorker], *, idle_seconds: float = 60.0) -> None:
        self._workers = tuple(workers)
        self._idle_seconds = idle_seconds
        self._free: queue.LifoQueue[PixelWorker] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._closing = threading.Event()
        self._resting = threading.Thread(target=self._rest, name="pictures", daemon=True)
        self._start_once = threading.Lock()

    def render(
        self, file: Path | int, frame_number: int = 1, window: WindowRequest | None = None
    ) -> Frame:
        """See ``PixelWorker.render``."""
        with self._start_once:
            if self._resting.ident is None:
                self._resting.start()
        worker = self._free.get()
        try:
            return worker.render(file, frame_number, window)
        finally:
            self._free.put(worker)

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


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DecodeError("this is not a regular file")
    return descriptor


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


def _read(connection: socket.socket, count: int, deadline: float) -> bytes:
    """Return exactly ``count`` bytes; TimeoutError after the deadline, _Broken at the end."""
    buffer = bytearray(count)
    view = memoryview(buffer)
    done = 0
    while done < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        received = connection.recv_into(view[done:])
        if not received:
            raise _Broken
        done += received
        if done < count and time.monotonic() > deadline:
            raise TimeoutError
    return bytes(buffer)
