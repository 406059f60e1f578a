"""Stored files on their way out: never read to their end if they are not what was stored."""

from __future__ import annotations

import hashlib
import io
import logging
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import BinaryIO

from tuipacs.dimse.faults import SourceFailedError
from tuipacs.errors import TuipacsError
from tuipacs.index.outgoing import Outgoing
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

VERIFIED_BEFORE = 4 << 20
"""Bytes of a dataset up to which it is read and verified before any of it is sent."""

_WORTH_IT = 128 << 10  # bytes; to hand a smaller one to another thread costs more than reading it
_CHUNK = 1 << 20
_DAMAGED = "its stored file is damaged"


def open_verified(store: BlobStore, there: Outgoing) -> BinaryIO:
    """The stored file. One that is damaged raises `SourceFailedError`, here or at its end.

    A small one is read at once: a damaged one then costs no association.
    """
    file = store.open(there.blob_key)
    if there.dataset_size > VERIFIED_BEFORE:
        return VerifiedFile(file, there)  # type: ignore[return-value]
    with file:
        data = file.read()
    digest = hashlib.sha256(memoryview(data)[there.header_size :]).digest()
    if digest != there.dataset_sha256:
        raise damaged(there)
    return io.BytesIO(data)


def verify(file: BinaryIO, there: Outgoing) -> None:
    """Raise `SourceFailedError` unless the dataset in an open file is the one that was stored."""
    hasher = hashlib.sha256()
    file.seek(there.header_size)
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    if hasher.digest() != there.dataset_sha256:
        raise damaged(there)


def damaged(there: Outgoing) -> SourceFailedError:
    """What is raised for a damaged file; the log has it, too."""
    log.error("the stored file of object %d (%s) is damaged", there.key, there.blob_key)
    return SourceFailedError(_DAMAGED)


class VerifiedFile(io.RawIOBase):
    """A stored file, hashed while its dataset is read: whoever gets the last byte got all of them.

    Seek to the dataset, then read it once to its end: the last part raises `SourceFailedError`
    if the bytes are not those that were stored.
    """

    def __init__(self, file: BinaryIO, there: Outgoing) -> None:
        super().__init__()
        self._file = file
        self._there = there
        self._left = there.dataset_size
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Before reading only."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Some more of the dataset. Raises `SourceFailedError`."""
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._hash.update(buffer[:count])
        self._left -= count
        if self._left <= 0 and (self._left or self._hash.digest() != self._there.dataset_sha256):
            raise damaged(self._there)
        return count

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()


class ReadAhead:
    """`open_verified`, with the next file already read and hashed while this one is sent.

    For one reader at a time; a small one is read by `read_next`, in the reader's own time. 600 CT
    slices a second go out where each is read after the one before was sent, 900 so (two cores, one
    of them the peer's).
    """

    def __init__(self, store: BlobStore, helper: Executor) -> None:
        self._store = store
        self._helper = helper
        self._ahead: tuple[int, Future[BinaryIO]] | None = None
        self._next: Outgoing | None = None

    def open(self, there: Outgoing, following: Outgoing | None) -> BinaryIO:
        """The file of ``there``; ``following`` is what will probably be asked for next."""
        ahead, self._ahead, self._next = self._ahead, None, None
        is_read = ahead is not None and ahead[0] == there.key
        file = ahead[1].result() if ahead and is_read else open_verified(self._store, there)
        if following is None or not _is_of_its_kind(there, following):
            return file
        if following.dataset_size < _WORTH_IT:
            self._next = following
        else:
            with suppress(RuntimeError):  # shut down: the archive is being closed
                task = self._helper.submit(open_verified, self._store, following)
                self._ahead = following.key, task
        return file

    def read_next(self) -> None:
        """Read the next file now, while the peer is busy with this one. Never raises."""
        following, self._next = self._next, None
        if following is None:
            return
        done: Future[BinaryIO] = Future()
        try:
            done.set_result(open_verified(self._store, following))
        except (SourceFailedError, TuipacsError, OSError) as error:
            done.set_exception(error)
        self._ahead = following.key, done


def _is_of_its_kind(there: Outgoing, following: Outgoing) -> bool:
    """The next one is sent as it is stored, too, if the peer takes both of one kind."""
    return following.dataset_size <= VERIFIED_BEFORE and (
        following.sop_class_uid,
        following.transfer_syntax_uid,
    ) == (there.sop_class_uid, there.transfer_syntax_uid)
