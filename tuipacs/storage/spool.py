"""One object on its way onto a local disk, and what the system's errors on that way mean."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from tuipacs.domain.blob import StoredBlob
from tuipacs.errors import StorageFailedError, StorageFullError, UnavailableError
from tuipacs.storage.writeback import begin_writeback

if TYPE_CHECKING:
    from tuipacs.storage.local import LocalStore

PART = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT)
BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # says nothing about the disk, and passes
_SMALL = 256 << 10  # bytes that are worth copying to save a system call
_CHUNK = 1 << 20
_PUSH_EVERY = 256 << 10  # bytes until the disk is told to begin: little is left for the fsync


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
        if error.errno in BUSY:
            raise UnavailableError(f"{self._what} failed: {error.strerror}") from error
        self._store.fail(f"{self._what}: {error.strerror}")
        raise StorageFailedError(f"{self._what} failed: {error.strerror}") from error


class LocalSpool:
    """A ``.part`` file. Writing hashes; `keep` is where it becomes an object."""

    def __init__(self, store: LocalStore, key: str, header: bytes) -> None:
        self._store = store
        self._key = key
        self._folder, self._final = store.folder_and_file(key)
        self._part = self._final + PART
        self._header = header
        self._hasher = hashlib.sha256()
        self._size = 0
        self._pushed = 0  # bytes of the dataset that are on their way to the disk
        self._is_headed = False
        self._closed = False
        self._renamed = False
        self._ended = False
        try:
            with store.disk_errors("creating a file"):
                flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
                self._descriptor = os.open(self._part, flags, 0o600)
        except BaseException:
            self._end()
            raise
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
        self._store.claim(len(chunk))
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
            self._end()
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
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._store.ended(self._key)

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)
