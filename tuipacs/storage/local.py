"""Objects as files in one folder tree on a local file system.

``objects/VOLUME/NAME``: NAME is the second and 96 random bits, VOLUME a running number of at most
``VOLUME_FILES`` files, so a folder stays small, a new parent is rare, and a crash has touched the
newest volumes only. Where one slow object lies in an older one, ``objects/recent-from`` says so.
The order is the promise (docs/adr/0003): ``.part`` (O_EXCL, 0600), fsync, rename, fsync folder.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tuipacs.errors import (
    NotFoundError,
    StorageFailedError,
    StorageFullError,
    UnavailableError,
)
from tuipacs.storage.spool import BUSY, PART, DiskErrors, LocalSpool

VOLUME_FILES = 4096
_RECENT_VOLUMES = 3
_RECENT_FROM = "recent-from"  # a file with the number of the oldest volume to be looked at
_DAMAGED = ".damaged"  # no key ends so: it is never taken for an object
_NO_VOLUME = 1 << 24  # above all of them
_LOOK_EVERY = 16 << 20  # bytes written by all until the free space is looked at again
_KEY = re.compile(r"[0-9a-f]{6}/[0-9a-f]{32}")
_VOLUME = re.compile(r"[0-9a-f]{6}")
_MISSING = "the stored file of this object is missing"
# No link is followed, and a FIFO in the place of a file keeps nobody waiting.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Fsync = Callable[[int], None]


class LocalStore:
    """A `BlobStore` on a local disk; ``reserve`` bytes of it always stay free.

    ``fsync`` takes a descriptor and raises `OSError`, as `os.fsync`: a seam for tests.
    """

    def __init__(
        self,
        root: Path,
        *,
        reserve: int,
        volume_files: int = VOLUME_FILES,
        fsync: Fsync = os.fsync,
    ) -> None:
        self._root = root
        self._root_text = str(root)
        self._reserve = reserve
        self._volume_files = volume_files
        self._fsync = fsync
        self._lock = threading.Lock()  # guards the place of the next object
        self._room_lock = threading.Lock()
        self._since_look = 0  # bytes; guarded by the lock above
        self._begun = Counter[int]()  # objects on their way in, by volume; guarded by the first
        self._failure = ""
        with self.disk_errors("making the folder of the objects"):
            root.mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(root.parent)
            volumes = self._volumes()
            self._volume = volumes[-1] if volumes else 0
            self._files = self._count(self._volume) if volumes else volume_files
            self._recent_from = self._read_recent_from()

    @property
    def failure(self) -> str:
        """Why nothing is stored any more; empty when all is well."""
        return self._failure

    def fail(self, reason: str) -> None:
        """Stop storing: after a failed fsync nobody knows what is on the disk."""
        self._failure = self._failure or reason

    def free(self) -> tuple[int, int]:
        """(bytes free, bytes in all) of the disk."""
        stat = os.statvfs(self._root_text)
        return stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize

    def spool(self, header: bytes) -> LocalSpool:
        """Begin an object whose file starts with ``header``."""
        if self._failure:
            raise StorageFailedError(
                f"the archive is read-only: {self._failure}",
                remedy="check the disk, then restart the archive",
            )
        self.check_room(len(header))
        return LocalSpool(self, self._place(), header)

    def check_room(self, ahead: int = 0) -> None:
        """Raise `StorageFullError` below the reserve, or if ``ahead`` bytes would lead there."""
        with self.disk_errors("asking for free space"):
            free, _ = self.free()
        if free - ahead < self._reserve:
            raise StorageFullError(
                f"the disk has reached its reserve ({free >> 20} MiB free)",
                remedy="make room; storing goes on by itself",
            )

    def claim(self, size: int) -> None:
        """Before each write of ``size`` bytes: raise `StorageFullError` if it has no room.

        The free space is looked at once for so many bytes of all objects together: each of many
        could else take that much unseen.
        """
        with self._room_lock:
            self._since_look += size
            if self._since_look < _LOOK_EVERY:
                return
            self._since_look = 0
        try:
            self.check_room(size)
        except BaseException:
            with self._room_lock:
                self._since_look = _LOOK_EVERY  # the next one has to look again
            raise

    def _place(self) -> str:
        with self._lock:
            if self._files >= self._volume_files:
                self._begin_volume(self._volume + 1)
            self._files += 1
            self._begun[self._volume] += 1
            # Seconds first: the index takes names that grow at its end, and not all over.
            return f"{self._volume:06x}/{int(time.time()):08x}{secrets.token_hex(12)}"

    def _begin_volume(self, volume: int) -> None:
        with self.disk_errors("a new folder"):
            # One slow object may have begun many volumes ago: a start has to look there, too.
            oldest = min(self._begun, default=volume)
            if oldest < min(volume - 1, self._recent_from):
                self._write_recent_from(oldest)
            # It may be there: made when the disk was too full to note it durably.
            (self._root / f"{volume:06x}").mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(self._root)
        self._volume, self._files = volume, 0

    def ended(self, key: str) -> None:
        """The object of that key was kept or given up."""
        volume = int(key[:6], 16)
        with self._lock:
            self._begun[volume] -= 1
            if not self._begun[volume]:
                del self._begun[volume]

    def _write_recent_from(self, volume: int) -> None:
        path = self._root / _RECENT_FROM
        part = path.with_suffix(PART)
        with part.open("w", encoding="ascii") as file:
            file.write(f"{volume:06x}")
            file.flush()
            self.sync(file.fileno())
        part.replace(path)  # durable with the new folder's name
        self._recent_from = volume

    def _read_recent_from(self) -> int:
        try:
            text = (self._root / _RECENT_FROM).read_bytes()
        except FileNotFoundError:
            return _NO_VOLUME
        return int(text, 16) if re.fullmatch(rb"[0-9a-f]{6}", text) else 0

    def folder_and_file(self, key: str) -> tuple[str, str]:
        """The paths for the way in, which makes no `Path` for each object."""
        folder = f"{self._root_text}/{key[:6]}"
        return folder, f"{folder}{key[6:]}"

    def place_of(self, key: str) -> Path:
        """Where the file of an object is or will be. Raises `NotFoundError` for what is no key."""
        return Path(self._place_text(key))

    def _place_text(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise NotFoundError("that is no object key")
        return f"{self._root_text}/{key}"

    def path(self, key: str) -> Path:
        """The file of an object."""
        path = self.place_of(key)
        if not path.is_file():
            raise NotFoundError(_MISSING)
        return path

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        try:
            descriptor = os.open(self._place_text(key), _OPEN_FLAGS)
        except FileNotFoundError:
            raise NotFoundError(_MISSING) from None
        except OSError as error:
            words = f"opening a stored file failed: {error.strerror}"
            if error.errno in BUSY:
                raise UnavailableError(words) from error
            raise StorageFailedError(words) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageFailedError("opening a stored file failed: it is no plain file")
        return io.BufferedReader(io.FileIO(descriptor))  # `open` would ask if it is a terminal

    def set_aside(self, key: str) -> None:
        """Take a damaged object out of the way; its file stays beside, under another name."""
        path = self.place_of(key)
        aside = path.with_name(f"{path.name}{_DAMAGED}")
        try:
            if not os.path.lexists(path):
                return
            if os.path.lexists(aside):
                raise StorageFailedError("setting a damaged file aside failed: one lies there")
            path.rename(aside)
            self.sync_folder(path.parent)
        except FileNotFoundError:  # another was quicker
            return
        except OSError as error:
            raise StorageFailedError(
                f"setting a damaged file aside failed: {error.strerror}"
            ) from error

    def remove(self, key: str) -> None:
        """Remove an object that no row names."""
        path = self.place_of(key)
        try:
            path.unlink(missing_ok=True)
            self.sync_folder(path.parent)
        except OSError as error:
            raise StorageFailedError(f"removing a file failed: {error.strerror}") from error

    def recent(self) -> Iterator[str]:
        """Keys in the newest volumes; an object in flight at a crash cannot be elsewhere."""
        for volume in self._recent_volumes():
            for path in sorted((self._root / f"{volume:06x}").iterdir()):
                key = f"{volume:06x}/{path.name}"
                if _KEY.fullmatch(key) and stat.S_ISREG(path.lstat().st_mode):
                    yield key

    def sweep(self) -> int:
        """Remove the ``.part`` files of a crash."""
        parts = [
            path
            for volume in self._recent_volumes()
            for path in (self._root / f"{volume:06x}").glob(f"*{PART}")
        ]
        for path in parts:
            path.unlink(missing_ok=True)
        return len(parts)

    def settled(self) -> None:
        """`recent` and `sweep` have done their work: the next start looks at the newest again."""
        with self._lock, self.disk_errors("a settled start"):
            (self._root / _RECENT_FROM).unlink(missing_ok=True)
            self._recent_from = _NO_VOLUME

    def _recent_volumes(self) -> list[int]:
        volumes = self._volumes()
        newest = volumes[-_RECENT_VOLUMES:]
        return [volume for volume in volumes if volume >= min(newest[0], self._recent_from)]

    def _volumes(self) -> list[int]:
        names = [path.name for path in self._root.iterdir() if _VOLUME.fullmatch(path.name)]
        return sorted(int(name, 16) for name in names)

    def _count(self, volume: int) -> int:
        return sum(1 for _ in (self._root / f"{volume:06x}").iterdir())

    def disk_errors(self, what: str) -> DiskErrors:
        """A block: the system's errors become ours; anything but a full disk stops storing."""
        return DiskErrors(self, what)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes, or a folder's names, durable. Raises `OSError`."""
        self._fsync(descriptor)

    def sync_folder(self, folder: Path | str) -> None:
        """Make the names in ``folder`` durable. Raises `OSError`."""
        fsync_folder(folder, self._fsync)


def fsync_folder(folder: Path | str, fsync: Fsync = os.fsync) -> None:
    """Make the names in ``folder`` durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)
