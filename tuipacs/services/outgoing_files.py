"""Stored files on their way out: never read to their end if they are not what was stored."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from tuipacs.dimse.faults import SourceFailedError
from tuipacs.errors import TuipacsError
from tuipacs.index.outgoing import Outgoing
from tuipacs.services.digests import Digests
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

VERIFIED_BEFORE = 4 << 20
"""Bytes of a dataset up to which it is read and verified before any of it is sent."""

_WORTH_IT = 128 << 10  # bytes; to hand a smaller one to another thread costs more than reading it
_CHUNK = 1 << 20
_DAMAGED = "its stored file is damaged"


def open_verified(store: BlobStore, there: Outgoing, digests: Digests) -> BinaryIO:
    """The stored file. One that is damaged raises `SourceFailedError`, here or at its end.

    A small one is read at once: a damaged one then costs no association.
    """
    file = store.open(there.blob_key)
    if there.dataset_size > VERIFIED_BEFORE:
        return VerifiedFile(file, there)  # type: ignore[return-value]
    with file:
        data = file.read(there.header_size + there.dataset_size + 1)  # one more: it may be longer
    if not digests.fits(memoryview(data)[there.header_size :], there.dataset_sha256):
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
    """`open_verified`, with the next file already read and verified.

    For one reader at a time. What takes a while to hash is read by another thread while this one
    is sent: 900 CT slices a second go out so, 600 where each is read after the one before was sent
    (two cores, one of them the peer's). All else is read by `read_next`, in the reader's own time.
    """

    def __init__(self, store: BlobStore, digests: Digests, helper: Executor) -> None:
        self._store = store
        self._digests = digests
        self._helper = helper
        self._ahead: tuple[int, Callable[[], BinaryIO]] | None = None
        self._next: Outgoing | None = None

    def open(self, there: Outgoing, following: Outgoing | None) -> BinaryIO:
        """The file of ``there``; ``following`` is what will probably be asked for next."""
        ahead, self._ahead, self._next = self._ahead, None, None
        file = ahead[1]() if ahead is not None and ahead[0] == there.key else self._read(there)
        if following is None or not _is_of_its_kind(there, following):
            return file
        if following.dataset_size < _WORTH_IT or self._digests.knows(following.dataset_sha256):
            self._next = following
        else:
            with suppress(RuntimeError):  # shut down: the archive is being closed
                self._ahead = following.key, self._helper.submit(self._read, following).result
        return file

    def read_next(self) -> None:
        """Read the next file now, while the peer is busy with this one. Never raises."""
        following, self._next = self._next, None
        if following is None:
            return
        try:
            file = self._read(following)
        except (SourceFailedError, TuipacsError, OSError) as error:
            self._ahead = following.key, partial(_fail, error)
        else:
            self._ahead = following.key, lambda: file

    def _read(self, there: Outgoing) -> BinaryIO:
        return open_verified(self._store, there, self._digests)


def _fail(error: Exception) -> BinaryIO:
    raise error


def _is_of_its_kind(there: Outgoing, following: Outgoing) -> bool:
    """The next one is sent as it is stored, too, if the peer takes both of one kind."""
    return following.dataset_size <= VERIFIED_BEFORE and (
        following.sop_class_uid,
        following.transfer_syntax_uid,
    ) == (there.sop_class_uid, there.transfer_syntax_uid)
