"""Stored objects on their way to a peer: found by key, opened when their turn comes, verified.

Not a door: jobs and services use it behind their own guard, and write their own records.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO

from tuipacs.dimse.requestor.faults import SourceFailedError
from tuipacs.errors import UnavailableError
from tuipacs.index import outgoing
from tuipacs.index.database import Index
from tuipacs.index.outgoing import Outgoing
from tuipacs.scu.choosing import proposals
from tuipacs.scu.requestor import Context
from tuipacs.scu.sources import SourceObject
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

VERIFIED_BEFORE = 4 << 20
"""Bytes of a dataset up to which it is read and verified before any of it is sent."""

_BATCH = 500
_DAMAGED = "its stored file is damaged"
_GONE = "it is not in the archive any more"


@dataclass(frozen=True)
class TransferPlan:
    """What sending so many objects takes: contexts to propose, bytes of datasets as stored."""

    contexts: tuple[Context, ...]
    size: int
    count: int


class Transfer:
    """From instance keys to what `store_objects` and a C-GET send. Thread-safe."""

    def __init__(self, index: Index, store: BlobStore) -> None:
        self._index = index
        self._store = store

    def plan(self, keys: Sequence[int], preferred: Sequence[str] = ()) -> TransferPlan:
        """What to propose for these objects (see `proposals`), and how much they are."""
        with self._index.read() as reader:
            load = outgoing.load(reader, keys)
        stored = [Context(*pair) for pair in load.pairs]
        return TransferPlan(tuple(proposals(stored, preferred)), load.size, load.count)

    def objects(self, keys: Iterable[int]) -> Iterator[SourceObject]:
        """One for each key, in this order; where an object is gone, one with a ``fault``."""
        left = iter(keys)
        while batch := list(islice(left, _BATCH)):
            with self._index.read() as reader:
                found = outgoing.outgoing(reader, batch)
            for key in batch:
                there = found.get(key)
                yield _gone(key) if there is None else self._source(there)

    def _source(self, there: Outgoing) -> SourceObject:
        return SourceObject(
            sop_class_uid=there.sop_class_uid,
            sop_instance_uid=there.sop_instance_uid,
            transfer_syntax_uid=there.transfer_syntax_uid,
            header_size=there.header_size,
            open=partial(self._open, there),
            key=there.key,
        )

    def _open(self, there: Outgoing) -> BinaryIO:
        """The stored file; a dataset that is not the one that was stored is never read to its end.

        A small one is read at once: the processor's time for that is the same, and a damaged one
        costs no association.
        """
        file = self._store.open(there.blob_key)
        if there.dataset_size > VERIFIED_BEFORE:
            return Verified(file, there)  # type: ignore[return-value]
        with file:
            data = file.read()
        digest = hashlib.sha256(memoryview(data)[there.header_size :]).digest()
        if digest != there.dataset_sha256:
            raise damaged(there)
        return io.BytesIO(data)


class Verified(io.RawIOBase):
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


def damaged(there: Outgoing) -> SourceFailedError:
    """What is raised for a damaged file; the log has it, too."""
    log.error("the stored file of object %d (%s) is damaged", there.key, there.blob_key)
    return SourceFailedError(_DAMAGED)


def _gone(key: int) -> SourceObject:
    def never() -> BinaryIO:
        raise UnavailableError(_GONE)

    return SourceObject("", "", "", 0, never, key=key, fault=_GONE)
