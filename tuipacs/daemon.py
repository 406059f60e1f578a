"""The daemon: start order, signals, and an end that loses nothing.

lock -> settings -> index and recovery -> sockets -> DICOM listener and jobs -> control API. What
can fail fails before anyone is answered. The end goes the other way: no new associations, finish
the objects in progress, jobs note how far they are, answer the last requests, close, unlock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tuipacs import logs, sd_notify
from tuipacs.api.app import ControlApi, Workers
from tuipacs.api.server import ControlServer, bind_control_socket
from tuipacs.bootstrap import Archive
from tuipacs.config import Config, load_config
from tuipacs.domain.safe_text import clean
from tuipacs.errors import StorageFailedError, TuipacsError
from tuipacs.folder import prepare_folder
from tuipacs.lock import ArchiveLock
from tuipacs.paths import ArchivePaths

log = logging.getLogger(__name__)

API_THREADS = 6
OBJECT_THREADS = 4
CALL_THREADS = 4
DRAIN_SECONDS = 30.0  # for objects and jobs in progress
VITAL_THREADS = ("dicom-listener", "jobs")
LAST_RESORT = DRAIN_SECONDS + 30.0  # then the process ends, whatever still runs


def run_daemon(paths: ArchivePaths, *, login_hint: str = "", foreground: bool = True) -> int:
    """Run the archive's daemon until it is told to stop; return the exit code.

    ``login_hint`` is shown to anyone on the login screen (the demo archive has one). In the
    ``foreground`` the log goes to stderr as well. A failure to start is one line on stderr and in
    the log, and exit code 1.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold PHI and keys
    try:
        _check_exists(paths)
        with ArchiveLock(paths.lock):
            config = load_config(paths.config)
            prepare_folder(paths, config.control.socket_group)
            with _logging(paths.log, config, foreground):
                return _run(paths, config, login_hint)
    except TuipacsError as error:
        words = f"{error.message} ({error.remedy})" if error.remedy else error.message
        return _complain(paths, words)
    except KeyboardInterrupt:  # before the signal handlers were in place
        return 130
    except Exception as error:  # noqa: BLE001 - the end, and its message may quote a patient
        sys.stderr.write(f"{logs.frames(error)}\n")
        return _complain(paths, "the daemon ended by an error of its own", error)


def _check_exists(paths: ArchivePaths) -> None:
    try:
        if not paths.exists:
            load_config(paths.config)  # raises with the right words
    except PermissionError as error:
        raise StorageFailedError(
            f"the archive folder {paths.root} cannot be used: {error.strerror}"
        ) from None


def _complain(paths: ArchivePaths, words: str, bug: BaseException | None = None) -> int:
    sys.stderr.write(f"tuipacs: {clean(words)}\n")
    with contextlib.suppress(OSError):  # it is on stderr already
        logs.append_line(paths.log, __name__, words, bug)
    return 1


@contextlib.contextmanager
def _logging(path: Path, config: Config, foreground: bool) -> Iterator[None]:
    handlers = logs.start_logging(path, config.log.level, to_stderr=foreground)
    try:
        yield
    finally:
        logs.stop_logging(handlers)


def _run(paths: ArchivePaths, config: Config, login_hint: str) -> int:
    archive = Archive(paths, config, login_hint=login_hint)
    try:
        archive.recover()
        control = bind_control_socket(paths.socket, config.control.socket_group)
        try:
            return asyncio.run(_Daemon(archive).serve(control))
        finally:
            control.close()
            paths.socket.unlink(missing_ok=True)
    finally:
        archive.close()


class _Daemon:
    """The running part. Make it inside the event loop or before it; use it in one only."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._stopping = asyncio.Event()
        self._stop_reason = ""
        self._signals = 0
        self._exit_code = 0

    async def serve(self, control: socket.socket) -> int:
        """Start, wait for the end, drain; return the exit code."""
        archive = self._archive
        loop = asyncio.get_running_loop()
        archive.on_stop = lambda: self._stop_from_thread(loop, "a request to stop", 0)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, signal.Signals(number).name)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        with (
            self._watching_threads(loop),
            ThreadPoolExecutor(API_THREADS, "control-api") as common,
            ThreadPoolExecutor(OBJECT_THREADS, "control-objects") as objects,
            ThreadPoolExecutor(1, "control-passwords") as passwords,
            ThreadPoolExecutor(CALL_THREADS, "control-calls") as calls,
        ):
            workers = Workers(common, objects, passwords, calls)
            api = ControlApi(archive.services, archive.wakeups, workers)
            try:
                archive.start()
                server = ControlServer(api.application)
                serving = asyncio.create_task(server.serve(sockets=[control]))
                log.info("archive running, pid %d, socket %s", os.getpid(), archive.paths.socket)
                sd_notify.tell("READY=1")
                await self._until_told(serving)
            finally:
                api.close()
            with _ending_at_last():
                sd_notify.tell("STOPPING=1")
                await loop.run_in_executor(None, archive.stop, DRAIN_SECONDS)
                server.end()
                await serving
                common.shutdown()
                objects.shutdown()
                passwords.shutdown()
                calls.shutdown()
        log.info("archive stopped")
        return self._exit_code

    @contextlib.contextmanager
    def _watching_threads(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        before = threading.excepthook
        threading.excepthook = lambda end: self._thread_ended(loop, end)
        try:
            yield
        finally:
            threading.excepthook = before

    def _thread_ended(self, loop: asyncio.AbstractEventLoop, end: threading.ExceptHookArgs) -> None:
        """A thread died of a bug. Without the ones that matter the archive would be deaf."""
        name = end.thread.name if end.thread else "?"
        log.critical("thread %s ended by an error of its own", name, exc_info=end.exc_value)
        if name in VITAL_THREADS:
            self._stop_from_thread(loop, f"thread {name} is gone", 1)

    def _stop_from_thread(
        self, loop: asyncio.AbstractEventLoop, reason: str, exit_code: int
    ) -> None:
        loop.call_soon_threadsafe(self._stop, reason, exit_code)

    async def _until_told(self, serving: asyncio.Task[None]) -> None:
        told = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({told, serving}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        log.info("stopping: %s", self._stop_reason or "the control API ended")

    def _signalled(self, name: str) -> None:
        self._signals += 1
        if self._signals > 1:
            log.warning("%s again: ending at once", name)
            logging.shutdown()
            os._exit(1)  # as after a power cut: nothing acknowledged is lost
        self._stop(name, 0)

    def _stop(self, reason: str, exit_code: int) -> None:
        self._stop_reason = self._stop_reason or reason
        self._exit_code = max(self._exit_code, exit_code)
        self._stopping.set()

    def _reload(self) -> None:
        self._archive.refresh_tls()
        try:
            config = load_config(self._archive.paths.config)
        except TuipacsError as error:
            log.error("SIGHUP: settings kept: %s", error.message)
            return
        logs.set_level(config.log.level)
        log.info(
            "SIGHUP: log level %s; TLS files looked at; the rest needs a restart",
            config.log.level,
        )


@contextlib.contextmanager
def _ending_at_last() -> Iterator[None]:
    """End the process even if a thread hangs: in a system call on a dead disk, say."""

    def end() -> None:
        log.error("the end took longer than %.0f s: ending at once", LAST_RESORT)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(LAST_RESORT, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
