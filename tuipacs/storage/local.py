"""Objects as files in one folder tree on a local file system.

``objects/VOLUME/NAME``: NAME is the second and 96 random bits, VOLUME a running number of at most
``VOLUME_FILES`` files, so a folder stays small, a new parent is rare, and a crash has touched the
newest volumes only.
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
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tuipacs.domain.blob import StoredBlob
from tuipacs.errors import (
    NotFoundError,
    StorageFailedError,
    StorageFullError,
    UnavailableError,
)
from tuipacs.storage.writeback import begin_writeback

VOLUME_FILES = 4096
_RECENT_VOLUMES = 3
_KEY = re.compile(r"[0-9a-f]{6}/[0-9a-f]{32}")
_VOLUME = re.compile(r"[0-9a-f]{6}")
_PART = ".part"
_MISSING = "the stored file of this object is missing"
# No link is followed, and a FIFO in the place of a file keeps nobody waiting.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOOK_EVERY = 16 << 20  # bytes written until the free space is looked at again
_SMALL = 256 << 10  # bytes that are worth copying to save a system call
_CHUNK = 1 << 20
_PUSH_EVERY = 256 << 10  # bytes until the disk is told to begin: little is left for the fsync
_BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # says nothing about the disk, and passes
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
        self._lock = threading.Lock()
        self._failure = ""
        with self.disk_errors("making the folder of the objects"):
            root.mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(root.parent)
            volumes = self._volumes()
            self._volume = volumes[-1] if volumes else 0
            self._files = self._count(self._volume) if volumes else volume_files

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
        self.check_room()
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

    def _place(self) -> str:
        with self._lock:
            if self._files >= self._volume_files:
                volume = self._volume + 1
                with self.disk_errors("a new folder"):
                    # It may be there: made when the disk was too full to note it durably.
                    (self._root / f"{volume:06x}").mkdir(mode=0o700, exist_ok=True)
                    self.sync_folder(self._root)
                self._volume, self._files = volume, 0
            self._files += 1
            # Seconds first: the index takes names that grow at its end, and not all over.
            return f"{self._volume:06x}/{int(time.time()):08x}{secrets.token_hex(12)}"

    def folder_and_file(self, key: str) -> tuple[str, str]:
        """The paths for the way in, which makes no `Path` for each object."""
        folder = f"{self._root_text}/{key[:6]}"
        return folder, f"{folder}{key[6:]}"

    def place_of(self, key: str) -> Path:
        """Where the file of an object is or will be. Raises `NotFoundError` for what is no key."""
        if not _KEY.fullmatch(key):
            raise NotFoundError("that is no object key")
        return self._root / key

    def path(self, key: str) -> Path:
        """The file of an object."""
        path = self.place_of(key)
        if not path.is_file():
            raise NotFoundError(_MISSING)
        return path

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        try:
            descriptor = os.open(self.place_of(key), _OPEN_FLAGS)
        except FileNotFoundError:
            raise NotFoundError(_MISSING) from None
        except OSError as error:
            raise StorageFailedError(f"opening a stored file failed: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageFailedError("opening a stored file failed: it is no plain file")
        return os.fdopen(descriptor, "rb")

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
        for volume in self._volumes()[-_RECENT_VOLUMES:]:
            for path in sorted((self._root / f"{volume:06x}").iterdir()):
                key = f"{volume:06x}/{path.name}"
                if _KEY.fullmatch(key) and stat.S_ISREG(path.lstat().st_mode):
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

    def disk_errors(self, what: str) -> DiskErrors:
        """A block: the system's errors become ours; anything but a full disk stops storing."""
        return DiskErrors(self, what)

    def sync(self, descriptor: int) -> None:
        """Make a file's bytes, or a folder's names, durable. Raises `OSError`."""
        self._fsync(descriptor)

    def sync_folder(self, folder: Path | str) -> None:
        """Make the names in ``folder`` durable. Raises `OSError`."""
        fsync_folder(folder, self._fsync)


class DiskErrors:
    """See `LocalStore.disk_errors`. A plain class: six of them run for every object."""

    __slots__ = ("_store", "_what")

    def __init__(self, store: LocalStore, what: str) -> None:
        self._store = store
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise StorageFullError("the disk is full") from error
        if error.errno in _BUSY:
            raise UnavailableError(f"{self._what} failed: {error.strerror}") from error
        self._store.fail(f"{self._what}: {error.strerror}")
        raise StorageFailedError(f"{self._what} failed: {error.strerror}") from error


class LocalSpool:
    """A ``.part`` file. Writing hashes; `keep` is where it becomes an object."""

    def __init__(self, store: LocalStore, key: str, header: bytes) -> None:
        self._store = store
        self._key = key
        self._folder, self._final = store.folder_and_file(key)
        self._part = self._final + _PART
        self._header = header
        self._hasher = hashlib.sha256()
        self._size = 0
        self._looked_at = 0
        self._pushed = 0  # bytes of the dataset that are on their way to the disk
        self._is_headed = False
        self._closed = False
        self._renamed = False
        with store.disk_errors("creating a file"):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            self._descriptor = os.open(self._part, flags, 0o600)
        if len(header) > _SMALL:
            try:
                self._write_header()
            except BaseException:
                self.discard()
                raise

    def _write_header(self) -> None:
        if not self._is_headed:
            self._write(self._header)
            self._is_headed = True

    def _write(self, data: bytes | memoryview) -> None:
        with self._store.disk_errors("writing a file"):
            written = os.write(self._descriptor, data)
            if written != len(data):
                view = memoryview(data)[written:]
                while view:
                    view = view[os.write(self._descriptor, view) :]

    def write(self, chunk: bytes | memoryview) -> None:
        """Append dataset bytes. One large object, too, leaves the reserve alone."""
        size = self._size + len(chunk)
        if size - self._looked_at >= _LOOK_EVERY:
            self._looked_at = size
            self._store.check_room(len(chunk))
        if self._is_headed or len(chunk) > _SMALL:
            self._write_header()
            self._write(chunk)
        else:  # one call for a small object
            self._write(b"".join((self._header, chunk)))
            self._is_headed = True
        self._hasher.update(chunk)
        self._size = size
        if size - self._pushed >= _PUSH_EVERY:
            begin_writeback(self._descriptor, len(self._header) + self._pushed)
            self._pushed = size

    def digest(self) -> bytes:
        """SHA-256 of the dataset bytes written so far."""
        return self._hasher.digest()

    @contextlib.contextmanager
    def view(self) -> Iterator[memoryview]:
        """The dataset bytes written so far; nobody else can shorten this file under the mapping."""
        if not self._size:
            yield memoryview(b"")
            return
        mapping = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        try:
            with memoryview(mapping) as whole, whole[len(self._header) :] as dataset:
                yield dataset
        finally:
            with contextlib.suppress(BufferError):  # an error on its way out holds a piece of it
                mapping.close()

    def chunks(self) -> Iterator[bytes]:
        """The dataset bytes written so far, piece by piece."""
        position, end = len(self._header), len(self._header) + self._size
        while position < end:
            with self._store.disk_errors("reading a file back"):
                chunk = os.pread(self._descriptor, min(_CHUNK, end - position), position)
            if not chunk:
                raise StorageFailedError("a file that is being received was cut short")
            position += len(chunk)
            yield chunk

    def keep(self) -> StoredBlob:
        """Make it durable and give it its name."""
        store = self._store
        try:
            self._write_header()
            with store.disk_errors("fsync of a file"):
                store.sync(self._descriptor)
                self._close()
            with store.disk_errors("naming a file"):
                if os.access(self._final, os.F_OK):  # 96 random bits: broken, not bad luck
                    raise FileExistsError(errno.EEXIST, "the random name exists already")
                os.rename(self._part, self._final)  # noqa: PTH104 - a Path costs as much as the call
                self._renamed = True
                store.sync_folder(self._folder)
        except BaseException:
            self.discard()
            raise
        return StoredBlob(
            key=self._key,
            header_size=len(self._header),
            header_sha256=hashlib.sha256(self._header).digest(),
            dataset_size=self._size,
            dataset_sha256=self._hasher.digest(),
        )

    def discard(self) -> None:
        """Remove the file, under whichever name it has."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._final if self._renamed else self._part)  # noqa: PTH108

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


def fsync_folder(folder: Path | str, fsync: Fsync = os.fsync) -> None:
    """Make the names in ``folder`` durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)
