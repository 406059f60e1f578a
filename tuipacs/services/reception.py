"""An object on its way in: a small one in memory, a large one on the disk while it still comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuipacs.dicom.part10 import encode_header
from tuipacs.domain.ingest import AnnouncedObject
from tuipacs.errors import InvalidObjectError, TuipacsError
from tuipacs.storage.blob import BlobStore, Spool

IN_MEMORY = 64 << 10
"""Bytes up to which an object waits in memory until it is whole.

Small ones are looked at before anything is written; of the others hash and write overlap with the
network, and memory stays flat however large they are.
"""


class Reception:
    """Made by `Ingest.receive`; ends in `Ingest.store` or in `discard`. For one thread."""

    def __init__(self, announced: AnnouncedObject, store: BlobStore) -> None:
        self.announced = announced
        self.size = 0  # bytes of the dataset so far, also those that were dropped
        self._store = store
        self._buffer = bytearray()
        self._spool: Spool | None = None
        self._header = b""
        self.error: TuipacsError | None = None  # what went wrong on the way

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the dataset. What goes wrong here is raised by `Ingest.store`."""
        self.size += len(fragment)
        if self._spool is None and self.error is None:
            if self.size <= IN_MEMORY:
                self._buffer += fragment
                return
            self._begin_spool()
        self._pass_on(fragment)

    def _begin_spool(self) -> None:
        announced = self.announced
        try:
            self._header = header_of(
                announced, announced.sop_instance_uid, announced.transfer_syntax_uid
            )
        except InvalidObjectError:
            self._header = b""  # the dataset will tell what is wrong
        try:
            self._spool = self._store.spool(self._header)
        except TuipacsError as error:
            self.error = error
        if self._buffer:
            self._pass_on(self._buffer)
        self._buffer = bytearray()

    def _pass_on(self, data: bytes | bytearray | memoryview) -> None:
        if self._spool is None or self.error is not None:
            return
        try:
            self._spool.write(memoryview(data))
        except TuipacsError as error:
            self.error = error  # the rest is dropped, and the peer hears of it at its end
            self._spool.discard()

    @contextmanager
    def view(self) -> Iterator[memoryview]:
        """The dataset, to be read while the block lasts."""
        if self._spool is None:
            with memoryview(self._buffer) as dataset:
                yield dataset
        else:
            with self._spool.view() as dataset:
                yield dataset

    def chunks(self) -> Iterator[bytes]:
        """The dataset piece by piece: what is in them takes no memory after it was looked at."""
        if self._spool is None:
            yield bytes(self._buffer)
        else:
            yield from self._spool.chunks()

    def spool(self, header: bytes) -> Spool:
        """The dataset behind ``header``, ready to be kept; it is the caller's from now on.

        An object that began with another header is written anew: DCMTK cuts long UIDs in commands,
        and some claim another transfer syntax than they use. Raises as `BlobStore.spool` does.
        """
        if self._spool is not None and self._header == header:
            mine, self._spool = self._spool, None
            return mine
        spool = self._store.spool(header)
        try:
            if self._spool is None:
                spool.write(memoryview(self._buffer))
            else:
                for chunk in self._spool.chunks():
                    spool.write(chunk)
        except BaseException:
            spool.discard()
            raise
        return spool

    def digest(self) -> bytes | None:
        """SHA-256 of the dataset if it is known already."""
        return None if self._spool is None else self._spool.digest()

    def discard(self) -> None:
        """Let go of it; nothing is left behind. Never raises."""
        self._buffer = bytearray()
        if self._spool is not None:
            self._spool.discard()
            self._spool = None


def header_of(announced: AnnouncedObject, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """What stands before the dataset in its file. Raises `InvalidObjectError` for unusable UIDs."""
    return encode_header(
        sop_class_uid=announced.sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        calling_ae_title=announced.calling_ae_title,
        called_ae_title=announced.called_ae_title,
    )
