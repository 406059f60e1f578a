"""One daemon for one archive: an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from tuipacs.errors import ConflictError, StorageFailedError

PATIENCE = 0.5  # seconds


class ArchiveLock:
    """``daemon.lock``, held as long as this object is open. The file holds the owner's pid.

    The file itself stays behind and means nothing: only the lock counts, and the kernel drops it
    with the process, however that ends. The folder is locked as well: whoever removes the file, to
    help, must not help a second daemon to start.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises `ConflictError` naming the owner, or `StorageFailedError` for a folder that cannot
        be written.
        """
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageFailedError(
                f"the archive folder {path.parent} cannot be used: {error.strerror}",
                remedy="it must belong to the user that runs the daemon, and be writable",
            ) from None
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._take(self._fd)
            self._take(self._folder)
        except BlockingIOError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            self.close()
            named = f" (pid {owner})" if owner.isdigit() else ""
            raise ConflictError(
                f"another daemon{named} owns this archive",
                remedy="use that one, or stop it first",
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    @staticmethod
    def _take(descriptor: int) -> None:
        """Wait a moment for a child of a dead owner that is between fork and exec."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(PATIENCE / 20)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._folder)
        os.close(self._fd)

    def __enter__(self) -> ArchiveLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
