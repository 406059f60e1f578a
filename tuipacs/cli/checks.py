"""What ``tuipacs doctor`` looks at."""

from __future__ import annotations

import datetime as dt
import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from msgspec import Struct

from tuipacs import __version__
from tuipacs.cli.output import size
from tuipacs.cli.restart import RESTART, changed_settings, restart_words
from tuipacs.cli.state import MAKE_IT, is_archive
from tuipacs.client.connection import Connection
from tuipacs.domain.system import Health
from tuipacs.domain.verdict import Verdict
from tuipacs.errors import DaemonUnreachableError, TuipacsError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

OLDEST_SQLITE = (3, 51, 3)  # older ones can corrupt a WAL database with two writers
PACKAGES = (
    "textual",
    "pydicom",
    "pynetdicom",
    "peewee",
    "numpy",
    "pillow",
    "cryptography",
    "msgspec",
    "starlette",
    "uvicorn",
    "httpx",
)
_DECODERS = (
    ("openjpeg", "JPEG 2000"),
    ("libjpeg", "JPEG, JPEG-LS"),
    ("gdcm", "second choice for both"),
)
_INSTALL = "install tuipacs again in a new environment"
_FREE_WARNING = 2 << 30  # bytes
_EARLIEST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # no clock is right that shows less


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the doctor's answer."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def run_checks(archive: ArchivePaths, *, ask_terminal: bool) -> list[Finding]:
    """All checks, in the order in which a person would look."""
    return [
        *_python(),
        *_packages(),
        *_sqlite(),
        *_decoders(),
        *_clock(),
        *_folder(archive),
        *_settings(archive),
        *_tls(archive),
        *_daemon(archive),
        *_terminal(ask=ask_terminal),
    ]


def _finding(check: str, detail: str, problem: bool = False, remedy: str = "") -> Finding:
    verdict = Verdict.FAIL if problem else Verdict.OK
    return Finding(check=check, verdict=verdict, detail=detail, remedy=remedy if problem else "")


def _warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WARN, detail=detail, remedy=remedy)


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    yield _finding("tuipacs", f"{__version__} on Python {version}, {platform.platform()}")
    yield _finding("python", version, sys.version_info < (3, 11), "Python 3.11 or later is needed")


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield _finding("packages", ", ".join(found))
    if missing:
        yield _finding("packages", f"missing: {', '.join(missing)}", True, _INSTALL)


def _sqlite() -> Iterator[Finding]:
    try:
        import apsw
    except ImportError as error:
        yield _finding("sqlite", str(error), True, _INSTALL)
        return
    version = apsw.sqlite_lib_version()
    too_old = tuple(map(int, version.split("."))) < OLDEST_SQLITE
    yield _finding("sqlite", f"{version}, by apsw {apsw.apsw_version()}", too_old, _INSTALL)


def _decoders() -> Iterator[Finding]:
    for module, what in _DECODERS:
        try:
            importlib.import_module(module)
        except ImportError as error:
            yield _warning("decoder", f"{module} ({what}) does not load: {error}", _INSTALL)
        else:
            yield _finding("decoder", f"{module}: {what}")


def _clock() -> Iterator[Finding]:
    now = dt.datetime.now().astimezone()
    wrong = now < _EARLIEST
    yield _finding(
        "clock", now.isoformat(" ", "seconds"), wrong, "set the clock: audit records carry it"
    )


def _folder(archive: ArchivePaths) -> Iterator[Finding]:
    root = archive.root
    try:
        state = root.stat()
    except FileNotFoundError:
        yield _warning("archive", f"{root} does not exist", MAKE_IT)
        return
    except OSError as error:
        yield _finding(
            "archive",
            f"{root}: {error.strerror}",
            True,
            "its owner has to give you access: ls -ld shows who that is",
        )
        return
    mode = stat.S_IMODE(state.st_mode)
    yield _finding(
        "archive",
        f"{root}, mode {mode:04o}",
        bool(mode & 0o027),
        f"others can look into it: chmod 700 {root}",
    )
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield _finding("archive", "not writable for you", True, "run as the user that owns it")
    usage = shutil.disk_usage(root)
    detail = f"{size(usage.free)} free of {size(usage.total)}"
    if usage.free < _FREE_WARNING:
        yield _warning("disk", detail, "make room: receiving stops when the reserve is reached")
    else:
        yield _finding("disk", detail)
    if not is_archive(archive):
        yield _warning("archive", "holds no archive", MAKE_IT)


def _settings(archive: ArchivePaths) -> Iterator[Finding]:
    if not is_archive(archive):
        return
    from tuipacs.config import load_config

    try:
        load_config(archive.config)
    except TuipacsError as error:
        yield _finding("settings", error.message.replace("\n", "; "), True, "correct archive.toml")
    else:
        yield _finding("settings", f"{archive.config} is valid")


def _tls(archive: ArchivePaths) -> Iterator[Finding]:
    if not is_archive(archive):
        return
    from tuipacs.cli.tls import check_settings
    from tuipacs.config import load_config

    try:
        findings = check_settings(load_config(archive.config).tls, archive.root)
    except TuipacsError:
        return  # told with the settings
    if not findings:
        yield _finding("tls", "off: no certificate is named in [tls]")
    for found in findings:
        detail = f"{found.part}: {found.words}"
        yield Finding(check="tls", verdict=found.verdict, detail=detail, remedy=found.remedy)


def _daemon(archive: ArchivePaths) -> Iterator[Finding]:
    try:
        with closing(Connection(archive.socket, timeout=10)) as connection:
            started = time.monotonic()
            health = connection.call(op.HEALTH, m.Empty())
            took = (time.monotonic() - started) * 1000
    except DaemonUnreachableError as error:
        yield _warning("daemon", error.message, error.remedy)
        return
    except TuipacsError as error:
        yield _finding("daemon", error.message, True, error.remedy)
        return
    yield _finding(
        "daemon", f"tuipacs {health.version}, pid {health.pid}, answers in {took:.0f} ms"
    )
    if health.version != __version__:
        yield _warning("daemon", f"is not {__version__} as this program", "restart the daemon")
    if changed := changed_settings(archive, health):
        yield _warning("daemon", restart_words(changed), RESTART)
    yield from _port(health)


def _port(health: Health) -> Iterator[Finding]:
    if not health.receiving:
        detail = f"{health.ae_title} on {health.host}: not receiving"
        yield _finding("dicom", detail, True, health.receiving_reason)
        return
    ports = [(health.port, "")] if health.port else []
    if health.tls is not None:
        ports.append((health.tls.port, ", TLS"))
        if health.tls.problem:
            yield _finding("tls", health.tls.problem, True, "tuipacs tls check")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(health.host, health.host)  # noqa: S104
    for port, how in ports:
        where = f"{health.ae_title} on {health.host}:{port}{how}"
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            words = f"{where}: {error.strerror or error}"
            yield _finding(
                "dicom", words, True, "look for a firewall on this machine, and into daemon.log"
            )
        else:
            yield _finding("dicom", f"{where}: takes connections")


def _terminal(*, ask: bool) -> Iterator[Finding]:
    if not (ask and sys.stdin.isatty() and sys.stdout.isatty()):
        yield _finding("terminal", "not looked at: this is no terminal")
        return
    from tuipacs.ui.graphics.probe import explain, probe_terminal

    yield from (_finding("terminal", line) for line in explain(probe_terminal()))
