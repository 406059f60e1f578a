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
from tuipacs.api.app import ControlApi
from tuipacs.api.server import ControlServer, bind_control_socket
from tuipacs.bootstrap import Archive
from tuipacs.config import Config, load_config
from tuipacs.errors import StorageFailedError, TuipacsError
from tuipacs.folder import prepare_folder
from tuipacs.lock import ArchiveLock
from tuipacs.paths import ArchivePaths

log = logging.getLogger(__name__)

API_THREADS = 8
DRAIN_SECONDS = 30.0  # for objects and jobs in progress
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
                _run(paths, config, login_hint)
    except TuipacsError as error:
        _complain(paths, error)
        return 1
    except KeyboardInterrupt:  # before the signal handlers were in place
        return 130
    return 0


def _check_exists(paths: ArchivePaths) -> None:
    try:
        if not paths.exists:
            load_config(paths.config)  # raises with the right words
    except PermissionError as error:
        raise StorageFailedError(
            f"the archive folder {paths.root} cannot be used: {error.strerror}"
        ) from None


def _complain(paths: ArchivePaths, error: TuipacsError) -> None:
    words = f"{error.message} ({error.remedy})" if error.remedy else error.message
    sys.stderr.write(f"tuipacs: {words}\n")
    with contextlib.suppress(OSError):  # it is on stderr already
        logs.append_line(paths.log, logging.CRITICAL, __name__, words)


@contextlib.contextmanager
def _logging(path: Path, config: Config, foreground: bool) -> Iterator[None]:
    handlers = logs.start_logging(path, config.log.level, to_stderr=foreground)
    try:
        yield
    finally:
        logs.stop_logging(handlers)


def _run(paths: ArchivePaths, config: Config, login_hint: str) -> None:
    archive = Archive(paths, config, login_hint=login_hint)
    try:
        archive.recover()
        control = bind_control_socket(paths.socket, config.control.socket_group)
        try:
            asyncio.run(_Daemon(archive).serve(control))
        finally:
            control.close()
            paths.socket.unlink(missing_ok=True)
    finally:
        archive.close()


class _Daemon:
    """The running part, in one event loop."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._stopping = asyncio.Event()
        self._stop_reason = ""

    async def serve(self, control: socket.socket) -> None:
        """Start, wait for the end, drain."""
        archive = self._archive
        loop = asyncio.get_running_loop()
        archive.on_stop = lambda: self._stop_from_thread(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        with ThreadPoolExecutor(API_THREADS, "control-api") as executor:
            api = ControlApi(archive.services, archive.wakeups, executor)
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
                executor.shutdown()
        log.info("archive stopped")

    def _stop_from_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(self._stop, "a request to stop")

    async def _until_told(self, serving: asyncio.Task[None]) -> None:
        told = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({told, serving}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        log.info("stopping: %s", self._stop_reason or "the control API ended")

    def _stop(self, reason: str) -> None:
        if self._stopping.is_set() and reason.startswith("SIG"):
            log.warning("%s again: ending at once", reason)
            logging.shutdown()
            os._exit(1)  # as after a power cut: nothing acknowledged is lost
        self._stop_reason = reason
        self._stopping.set()

    def _reload(self) -> None:
        try:
            config = load_config(self._archive.paths.config)
        except TuipacsError as error:
            log.error("SIGHUP: settings kept: %s", error.message)
            return
        logs.set_level(config.log.level)
        log.info("SIGHUP: log level %s; other settings need a restart", config.log.level)


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
