"""Bytes that could not be kept as an object, set aside for an operator, within a bound."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from tuipacs.storage.local import fsync_folder

MAX_FILES = 1000
MAX_BYTES = 1 << 30


class Quarantine:
    """A folder of ``NAME.bin`` with ``NAME.txt`` saying why. The oldest give way to the newest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, exist_ok=True)

    def count(self) -> int:
        """How many objects lie here."""
        return sum(1 for _ in self._folder.glob("*.bin"))

    def put(self, data: bytes | memoryview, reason: str) -> str:
        """Set ``data`` aside; return its name, "" when it is too large. No PHI in ``reason``."""
        if len(data) > MAX_BYTES // 2:
            return ""
        with self._lock:
            self._make_room(len(data))
            name = secrets.token_hex(16)
            for suffix, content in ((".bin", data), (".txt", reason.encode() + b"\n")):
                path = self._folder / f"{name}{suffix}"
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            fsync_folder(self._folder)
        return name

    def _make_room(self, size: int) -> None:
        files = [(path.stat(), path) for path in self._folder.glob("*.bin")]
        entries = sorted((stat.st_mtime_ns, stat.st_size, path) for stat, path in files)
        total = sum(entry[1] for entry in entries)
        while entries and (len(entries) >= MAX_FILES or total + size > MAX_BYTES):
            _, length, path = entries.pop(0)
            total -= length
            path.unlink(missing_ok=True)
            path.with_suffix(".txt").unlink(missing_ok=True)
