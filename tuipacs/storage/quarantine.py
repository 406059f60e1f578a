"""Bytes that could not be kept as an object, set aside for an operator, within a bound."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from tuipacs.errors import StorageFailedError, TuipacsError
from tuipacs.storage.local import fsync_folder

log = logging.getLogger(__name__)

MAX_FILES = 1000
MAX_BYTES = 1 << 30


class Quarantine:
    """A folder of ``NAME.bin`` with ``NAME.txt`` saying why. The oldest give way to the newest.

    ``reserve`` bytes of the disk stay free. One file takes half of ``max_bytes`` at most.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reserve: int = 0,
        max_files: int = MAX_FILES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._folder = folder
        self._reserve = reserve
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageFailedError(
                f"the quarantine folder cannot be made: {error.strerror}"
            ) from error

    def count(self) -> int:
        """How many objects lie here."""
        return sum(1 for _ in self._folder.glob("*.bin"))

    def put(self, data: bytes | memoryview, reason: str) -> str:
        """Set ``data`` aside; return its name, or "" if it was not kept. No PHI in ``reason``.

        Too large, or no room on the disk: it is not kept, for refusing an object must not depend
        on it.
        """
        return self.take((data,), len(data), reason)

    def take(self, chunks: Iterable[bytes | memoryview], size: int, reason: str) -> str:
        """`put` for ``size`` bytes that come piece by piece; they may raise `TuipacsError`."""
        if size > self._max_bytes // 2:
            return ""
        with self._lock:
            name = secrets.token_hex(16)
            try:
                if shutil.disk_usage(self._folder).free - size < self._reserve:
                    return ""
                self._make_room(size)
                self._write(name, ".bin", chunks)
                self._write(name, ".txt", (reason.encode("utf-8", "replace"), b"\n"))
                fsync_folder(self._folder)
            except (OSError, TuipacsError) as error:
                words = error.strerror if isinstance(error, OSError) else error.message
                log.error("nothing can be put into quarantine: %s", words)
                for suffix in (".bin", ".txt"):
                    with contextlib.suppress(OSError):
                        (self._folder / f"{name}{suffix}").unlink(missing_ok=True)
                return ""
        return name

    def _write(self, name: str, suffix: str, content: Iterable[bytes | memoryview]) -> None:
        path = self._folder / f"{name}{suffix}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in content:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def _make_room(self, size: int) -> None:
        files = [(path.stat(), path) for path in self._folder.glob("*.bin")]
        entries = sorted((stat.st_mtime_ns, stat.st_size, path) for stat, path in files)
        total = sum(entry[1] for entry in entries)
        while entries and (len(entries) >= self._max_files or total + size > self._max_bytes):
            _, length, path = entries.pop(0)
            total -= length
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").unlink(missing_ok=True)
