"""Stored objects on their way to a peer: found by key, opened when their turn comes, verified.

Not a door: jobs and services use it behind their own guard, and write their own records.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import DEFLATED
from tuipacs.dicom.transcoding.process import LARGEST, Transcoders, seconds_for
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.errors import InvalidObjectError, UnavailableError
from tuipacs.index import outgoing
from tuipacs.index.database import Index
from tuipacs.index.outgoing import Outgoing
from tuipacs.scu.choosing import proposals
from tuipacs.scu.requestor import Context
from tuipacs.scu.sources import SourceObject
from tuipacs.services.digests import Digests
from tuipacs.services.outgoing_files import ReadAhead, verify
from tuipacs.services.room import Room
from tuipacs.storage.blob import BlobStore

_BATCH = 500
_READERS = 4  # threads, for all that is sent at once
_NOT_IT = "what the decoder made of it is not the same object"
_FIRST_LOOK, _LONGEST_LOOK = 1 << 16, 1 << 28  # bytes, to find what an object is
_GONE = "it is not in the archive any more"

Check = Callable[[], None]


@dataclass(frozen=True)
class TransferPlan:
    """What sending so many objects takes: contexts to propose, bytes of datasets as stored."""

    contexts: tuple[Context, ...]
    size: int
    count: int


class Transfer:
    """From instance keys to what `store_objects` and a C-GET send. Thread-safe.

    ``folder`` is where transcoded datasets lie while they are sent, in files without a name;
    ``reserve`` bytes of its disk stay free, however many are made at once.
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
        self._room = Room(lambda: store.free()[0], reserve, most=LARGEST)
        self._digests = Digests()
        self._readers = ThreadPoolExecutor(_READERS, "read-ahead")  # threads start when needed

    def plan(self, keys: Sequence[int], preferred: Sequence[str] = ()) -> TransferPlan:
        """What to propose for these objects (see `proposals`), and how much they are."""
        with self._index.read() as reader:
            load = outgoing.load(reader, keys)
        stored = [Context(*pair) for pair in load.pairs]
        return TransferPlan(tuple(proposals(stored, preferred)), load.size, load.count)

    def objects(self, keys: Iterable[int], check: Check = lambda: None) -> Iterator[SourceObject]:
        """One for each key, in this order; where an object is gone, one with a ``fault``.

        ``check`` is called now and then while one is transcoded; what it raises ends that, and
        passes through whoever opens the object.
        """
        left = iter(keys)
        ahead = ReadAhead(self._store, self._digests, self._readers)
        while batch := list(islice(left, _BATCH)):
            with self._index.read() as reader:
                found = outgoing.outgoing(reader, batch)
            for key, following in zip_longest(batch, batch[1:]):
                if (there := found.get(key)) is None:
                    yield _gone(key)
                else:
                    opener = partial(ahead.open, there, found.get(following))
                    yield self._source(there, opener, ahead.read_next, check)

    def close(self) -> None:
        """End the processes that transcode, and the threads that read ahead."""
        self._readers.shutdown(wait=False)
        self._transcoders.close()

    def _source(
        self,
        there: Outgoing,
        opener: Callable[[], BinaryIO],
        meanwhile: Callable[[], None],
        check: Check,
    ) -> SourceObject:
        return SourceObject(
            sop_class_uid=there.sop_class_uid,
            sop_instance_uid=there.sop_instance_uid,
            transfer_syntax_uid=there.transfer_syntax_uid,
            header_size=there.header_size,
            open=opener,
            transcode=partial(self._transcode, there, check),
            key=there.key,
            meanwhile=meanwhile,
            is_odd=bool(there.dataset_size % 2) and there.transfer_syntax_uid not in DEFLATED,
        )

    def _transcode(self, there: Outgoing, check: Check, target: str) -> BinaryIO:
        """The dataset in another transfer syntax; with its own, in even length.

        Made whole before any of it is sent. Raises `SourceFailedError` and `TuipacsError`.
        """
        with ExitStack() as kept:
            made = kept.enter_context(TemporaryFile(dir=self._folder))
            with self._store.open(there.blob_key) as stored:
                verify(stored, there)
                with self._room.share(check) as most:
                    size = self._transcoders.transcode(
                        stored.fileno(),
                        made.fileno(),
                        start=there.header_size,
                        syntaxes=(there.transfer_syntax_uid, target),
                        most=most,
                        seconds=seconds_for(there.frames, there.dataset_size),
                        check=partial(self._look, check),
                    )
            _check_made(made, size, there, target)
            kept.pop_all()
            return made

    def _look(self, check: Check) -> None:
        check()
        if self._room.is_exceeded():  # others write too
            raise SourceFailedError("the disk is full")


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
