"""Objects as files in one folder tree on a local file system.

``objects/VOLUME/NAME``: NAME is random, VOLUME a running number of at most ``VOLUME_FILES`` files,
so a folder stays small, a new parent is rare, and a crash has touched the newest volumes only.
The order is the promise (docs/adr/0003): ``.part`` (O_EXCL, 0600), fsync, rename, fsync folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tuipacs.domain.blob import StoredBlob
from tuipacs.errors import NotFoundError, StorageFailedError, StorageFullError

VOLUME_FILES = 4096
_RECENT_VOLUMES = 3
_KEY = re.compile(r"[0-9a-f]{6}/[0-9a-f]{32}")
_VOLUME = re.compile(r"[0-9a-f]{6}")
_PART = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalStore:
    """A `BlobStore` on a local disk; ``reserve`` bytes of it always stay free."""

    def __init__(self, root: Path, *, reserve: int) -> None:
        self._root = root
        self._reserve = reserve
        self._lock = threading.Lock()
        self._failure = ""
        root.mkdir(mode=0o700, exist_ok=True)
        fsync_folder(root.parent)
        volumes = self._volumes()
        self._volume = volumes[-1] if volumes else 0
        self._files = self._count(self._volume) if volumes else VOLUME_FILES

    @property
    def failure(self) -> str:
        """Why nothing is stored any more; empty when all is well."""
        return self._failure

    def fail(self, reason: str) -> None:
        """Stop storing: after a failed fsync nobody knows what is on the disk."""
        self._failure = self._failure or reason

    def free(self) -> tuple[int, int]:
        """(bytes free, bytes in all) of the disk."""
        usage = shutil.disk_usage(self._root)
        return usage.free, usage.total

    def spool(self, header: bytes) -> LocalSpool:
        """Begin an object whose file starts with ``header``."""
        if self._failure:
            raise StorageFailedError(
                f"the archive is read-only: {self._failure}",
                remedy="check the disk, then restart the archive",
            )
        free, _ = self.free()
        if free < self._reserve:
            raise StorageFullError(
                f"the disk has reached its reserve ({free >> 20} MiB free)",
                remedy="make room; storing goes on by itself",
            )
        return LocalSpool(self, self._place(), header)

    def _place(self) -> str:
        with self._lock:
            if self._files >= VOLUME_FILES:
                self._volume += 1
                self._files = 0
                with self.disk_errors("a new folder"):
                    (self._root / f"{self._volume:06x}").mkdir(mode=0o700)
                    fsync_folder(self._root)
            self._files += 1
            return f"{self._volume:06x}/{secrets.token_hex(16)}"

    def path(self, key: str) -> Path:
        """The file of an object. Raises `NotFoundError` for what is no key."""
        if not _KEY.fullmatch(key):
            raise NotFoundError("that is no object key")
        return self._root / key

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        try:
            return self.path(key).open("rb")
        except FileNotFoundError:
            raise NotFoundError("the stored file of this object is missing") from None

    def remove(self, key: str) -> None:
        """Remove an object that no row names."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)

    def recent(self) -> Iterator[str]:
        """Keys in the newest volumes; an object in flight at a crash cannot be elsewhere."""
        for volume in self._volumes()[-_RECENT_VOLUMES:]:
            for path in sorted((self._root / f"{volume:06x}").iterdir()):
                key = f"{volume:06x}/{path.name}"
                if _KEY.fullmatch(key):
                    yield key

    def sweep(self) -> int:
        """Remove the ``.part`` files of a crash."""
        parts = [
            path
            for volume in self._volumes()[-_RECENT_VOLUMES:]
            for path in (self._root / f"{volume:06x}").glob(f"*{_PART}")
        ]
        for path in parts:
            path.unlink(missing_ok=True)
        return len(parts)

    def _volumes(self) -> list[int]:
        names = [path.name for path in self._root.iterdir() if _VOLUME.fullmatch(path.name)]
        return sorted(int(name, 16) for name in names)

    def _count(self, volume: int) -> int:
        return sum(1 for _ in (self._root / f"{volume:06x}").iterdir())

    @contextlib.contextmanager
    def disk_errors(self, what: str) -> Iterator[None]:
        """Turn the system's errors into ours; anything but a full disk stops storing."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError("the disk is full") from error
            self.fail(f"{what}: {error.strerror}")
            raise StorageFailedError(f"{what} failed: {error.strerror}") from error


class LocalSpool:
    """A ``.part`` file. Writing hashes; `keep` is where it becomes an object."""

    def __init__(self, store: LocalStore, key: str, header: bytes) -> None:
        self._store = store
        self._key = key
        self._final = store.path(key)
        self._part = self._final.with_name(self._final.name + _PART)
        self._header_size = len(header)
        self._header_sha256 = hashlib.sha256(header).digest()
        self._hasher = hashlib.sha256()
        self._size = 0
        self._closed = False
        with store.disk_errors("creating a file"):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            self._descriptor = os.open(self._part, flags, 0o600)
        try:
            self._write(header)
        except BaseException:
            self.discard()
            raise

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        with self._store.disk_errors("writing a file"):
            while view:
                view = view[os.write(self._descriptor, view) :]

    def write(self, chunk: bytes | memoryview) -> None:
        """Append dataset bytes."""
        self._write(chunk)
        self._hasher.update(chunk)
        self._size += len(chunk)

    def digest(self) -> bytes:
        """SHA-256 of the dataset bytes written so far."""
        return self._hasher.digest()

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The dataset bytes written so far; nobody else can shorten this file under the mapping."""
        if not self._size:
            yield memoryview(b"")
            return
        with (
            mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as mapping,
            memoryview(mapping) as whole,
            whole[self._header_size :] as dataset,
        ):
            yield dataset

    def keep(self) -> StoredBlob:
        """Make it durable and give it its name."""
        try:
            with self._store.disk_errors("fsync of a file"):
                os.fsync(self._descriptor)
            self._close()
            with self._store.disk_errors("naming a file"):
                if self._final.exists():  # 128 random bits: a broken random source, not luck
                    raise FileExistsError(errno.EEXIST, "the random name exists already")
                self._part.rename(self._final)
                fsync_folder(self._final.parent)
        except (StorageFullError, StorageFailedError):
            self.discard()
            raise
        return StoredBlob(
            key=self._key,
            header_size=self._header_size,
            header_sha256=self._header_sha256,
            dataset_size=self._size,
            dataset_sha256=self._hasher.digest(),
        )

    def discard(self) -> None:
        """Remove the file, under whichever name it has."""
        self._close()
        for path in (self._part, self._final):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
