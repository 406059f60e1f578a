"""Stored objects on their way to a peer: found by key, opened when their turn comes, verified.

Not a door: jobs and services use it behind their own guard, and write their own records.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import DEFLATED
from tuipacs.dicom.transcoding.process import Transcoders
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.errors import InvalidObjectError, UnavailableError
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
_NOT_IT = "what the decoder made of it is not the same object"
_CHUNK = 1 << 20
_FIRST_LOOK, _LONGEST_LOOK = 1 << 16, 1 << 28  # bytes, to find what an object is
_GONE = "it is not in the archive any more"


@dataclass(frozen=True)
class TransferPlan:
    """What sending so many objects takes: contexts to propose, bytes of datasets as stored."""

    contexts: tuple[Context, ...]
    size: int
    count: int


class Transfer:
    """From instance keys to what `store_objects` and a C-GET send. Thread-safe.

    ``folder`` is where transcoded datasets lie while they are sent, in files without a name;
    ``reserve`` bytes of its disk stay free.
    """

    def __init__(
        self,
        index: Index,
        store: BlobStore,
        transcoders: Transcoders,
        *,
        folder: Path,
        reserve: int = 0,
    ) -> None:
        self._index = index
        self._store = store
        self._transcoders = transcoders
        self._folder = folder
        self._reserve = reserve

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

    def close(self) -> None:
        """End the processes that transcode."""
        self._transcoders.close()

    def _source(self, there: Outgoing) -> SourceObject:
        return SourceObject(
            sop_class_uid=there.sop_class_uid,
            sop_instance_uid=there.sop_instance_uid,
            transfer_syntax_uid=there.transfer_syntax_uid,
            header_size=there.header_size,
            open=partial(self._open, there),
            transcode=partial(self._transcode, there),
            key=there.key,
            is_odd=bool(there.dataset_size % 2) and there.transfer_syntax_uid not in DEFLATED,
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

    def _transcode(self, there: Outgoing, target: str) -> BinaryIO:
        """The dataset in another transfer syntax; with its own, in even length.

        Made whole before any of it is sent. Raises `SourceFailedError` and `TuipacsError`.
        """
        with ExitStack() as stack:
            stored = stack.enter_context(self._store.open(there.blob_key))
            _verify(stored, there)
            made = stack.enter_context(TemporaryFile(dir=self._folder))
            free, _ = self._store.free()
            size = self._transcoders.transcode(
                stored.fileno(),
                made.fileno(),
                start=there.header_size,
                syntaxes=(there.transfer_syntax_uid, target),
                most=max(0, free - self._reserve),
            )
            _check_made(made, size, there, target)
            stored.close()
            stack.pop_all()
            return made


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


def _verify(file: BinaryIO, there: Outgoing) -> None:
    """Raise `SourceFailedError` unless the dataset in an open file is the one that was stored."""
    hasher = hashlib.sha256()
    file.seek(there.header_size)
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    if hasher.digest() != there.dataset_sha256:
        raise damaged(there)


def _check_made(made: BinaryIO, size: int, there: Outgoing, target: str) -> None:
    """Whether a process that works on hostile bytes gave back the object that was asked for."""
    wanted = _FIRST_LOOK
    while True:
        head = os.pread(made.fileno(), wanted, 0)
        try:
            instance = read_attributes(head, target).instance
            break
        except InvalidObjectError as error:
            if len(head) < wanted or wanted >= _LONGEST_LOOK:
                raise SourceFailedError(_NOT_IT) from error
            wanted *= 16
    found = (instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
    if found != (there.sop_class_uid, there.sop_instance_uid, target):
        raise SourceFailedError(_NOT_IT)
    if made.seek(0, os.SEEK_END) != size:
        raise SourceFailedError(_NOT_IT)


def _gone(key: int) -> SourceObject:
    def never() -> BinaryIO:
        raise UnavailableError(_GONE)

    return SourceObject("", "", "", 0, never, key=key, fault=_GONE)
