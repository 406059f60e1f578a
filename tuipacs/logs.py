"""The daemon's log: ids, never PHI, and nothing that a terminal would obey.

What this program logs carries ids and counts on purpose. Libraries log what they like (a dataset,
a name that would not parse), so of their records only the place in the code is kept. Exceptions
appear as type and frames: their messages quote values. A trace never holds local variables.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from tuipacs.domain.safe_text import clean, clean_lines
from tuipacs.errors import TuipacsError

MAX_BYTES = 5 * 1024 * 1024
KEPT_FILES = 5
MAX_MESSAGE = 2000  # cells

_OURS = ("tuipacs.", "uvicorn.error")
_QUIET = {
    "pydicom": logging.ERROR,
    "pynetdicom": logging.WARNING,
    "asyncio": logging.WARNING,
    "uvicorn": logging.WARNING,
    "PIL": logging.WARNING,
}


class SafeFormatter(logging.Formatter):
    """One line for a record, and indented frames for an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; see the module for what is left out."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = f"{at} {record.levelname} {record.name} {self._words(record)}"
        error = record.exc_info[1] if record.exc_info else None
        return line if error is None else f"{line}\n{clean_lines(frames(error))}"

    @staticmethod
    def _words(record: logging.LogRecord) -> str:
        if record.name.startswith(_OURS) or record.name == "tuipacs":
            return clean(record.getMessage(), limit=MAX_MESSAGE)
        return f"(a message of {clean(record.module)}:{record.lineno}, left out)"


def frames(error: BaseException) -> str:
    """The chain of an exception without messages and local variables.

    Only errors of our own tree keep their message: it is written for people and carries no PHI.
    """
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < 5:
        kind = f"{type(current).__module__}.{type(current).__qualname__}"
        words = f": {current.message}" if isinstance(current, TuipacsError) else ""
        trace = "".join(traceback.format_list(traceback.extract_tb(current.__traceback__)[-20:]))
        parts.append(f"{trace}  {kind}{words}")
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return "\n".join(parts)


class _LogFile(RotatingFileHandler):
    """A disk without room for the log must not stop the archive."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr that a line was lost, without its content."""
        _complain(sys.stderr, record)


def _complain(stream: TextIO | None, record: logging.LogRecord) -> None:
    if stream is not None and not stream.closed:
        stream.write(f"tuipacs: a log line of {record.name} could not be written\n")


def start_logging(path: Path, level: str, *, to_stderr: bool) -> list[logging.Handler]:
    """Write the log to ``path`` (rotated) and, in the foreground, to stderr too.

    Return the handlers, for `stop_logging`.
    """
    handlers: list[logging.Handler] = [
        _LogFile(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    ]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(SafeFormatter())
        root.addHandler(handler)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    set_level(level)
    return handlers


def append_line(path: Path, name: str, message: str, error: BaseException | None = None) -> None:
    """Add a critical message to a log that another process may have open. Raises `OSError`."""
    what = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord(name, logging.CRITICAL, "", 0, "%s", (message,), what)
    with path.open("a", encoding="utf-8") as file:
        file.write(SafeFormatter().format(record) + "\n")


def set_level(level: str) -> None:
    """Set how much is logged: a name as ``archive.toml`` has it."""
    logging.getLogger().setLevel(level.upper())


def stop_logging(handlers: list[logging.Handler]) -> None:
    """Take the handlers away and close them."""
    for handler in handlers:
        logging.getLogger().removeHandler(handler)
        with contextlib.suppress(OSError):  # lines that found no room on the disk
            handler.close()
    logging.captureWarnings(False)
