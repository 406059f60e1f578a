"""Looking at stored objects: pictures, data elements, documents, and the bytes themselves."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tuipacs.dicom.documents import read_document, read_encapsulated
from tuipacs.dicom.elements import read_elements
from tuipacs.dicom.pixels.process import PixelWorkers
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.content import Document, ElementList
from tuipacs.domain.frame import Frame
from tuipacs.domain.permissions import Permission
from tuipacs.errors import NotFoundError, StorageFailedError, UsageError
from tuipacs.index import lookup, rows
from tuipacs.index.database import Index
from tuipacs.index.lookup import StoredObject
from tuipacs.schema.messages import (
    ExportPlan,
    ExportRequest,
    FrameRequest,
    InstanceRequest,
    Representative,
    RepresentativeRequest,
)
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.recent import Recent
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

MAX_EXPORT_UIDS = 10_000
_CHUNK = 256 * 1024
_SAME_VIEW_SECONDS = 600.0  # one record for looking through one study
_VERIFIED_SECONDS = 3600.0
_VERIFY_BEFORE_VIEWING = 256 << 20  # bytes; larger ones are verified by export and by the scrub
_PREAMBLE = 128
_PROGRAM_STARTS = (b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


@dataclass(frozen=True)
class ObjectStream:
    """Bytes on their way out, ``size`` of them in all.

    ``chunks`` is iterated over once, by one thread at a time; an error in between cuts it short.
    """

    size: int
    chunks: Iterator[bytes]


class Objects(Service):
    """Reading objects on behalf of people. Damaged bytes are never served silently."""

    def __init__(
        self, index: Index, clock: Clock, store: BlobStore, pictures: PixelWorkers
    ) -> None:
        super().__init__(index, clock)
        self._store = store
        self._pictures = pictures
        self._viewed = Recent(seconds=_SAME_VIEW_SECONDS)
        self._verified = Recent(seconds=_VERIFIED_SECONDS)

    def _stored(self, key: int) -> StoredObject:
        with self._index.read() as reader:
            stored = lookup.stored_object(reader, key)
        if stored is None:
            raise NotFoundError("there is no such object")
        about(
            patient_id=stored.patient_id[:64],
            study_instance_uid=stored.study_instance_uid,
            sop_instance_uid=stored.sop_instance_uid,
        )
        return stored

    def _view(self, actor: Actor, key: int, how: str) -> Path:
        """The file to be looked at; recorded once for a study that is being looked through."""
        stored = self._stored(key)
        about(detail=how)
        now = self._clock()
        path = self._store.path(stored.blob_key)
        version = (key, *_version(path))  # a file changed since has to be verified again
        if not self._verified.has(version, now):
            if stored.dataset_size <= _VERIFY_BEFORE_VIEWING:
                for _ in self._verified_chunks(stored):
                    pass
            self._verified.add(version, now)
        view = (actor.session_key, stored.study_key, how)
        if self._viewed.has(view, now):
            covered()
        else:
            with self.transaction():  # the record, before anything relies on its being there
                pass
            self._viewed.add(view, now)
        return path

    def _verified_chunks(self, stored: StoredObject) -> Iterator[bytes]:
        """The stored file. Raises `StorageFailedError` before its last chunk if it was damaged."""
        header_hash, dataset_hash = hashlib.sha256(), hashlib.sha256()
        with self._store.open(stored.blob_key) as file:
            held = _read(file, stored.header_size)
            header_hash.update(held)
            while chunk := _read(file, _CHUNK):
                dataset_hash.update(chunk)
                yield held
                held = chunk
        if (header_hash.digest(), dataset_hash.digest()) != (
            stored.header_sha256,
            stored.dataset_sha256,
        ):
            log.error("the stored file of object %d (%s) is damaged", stored.key, stored.blob_key)
            raise StorageFailedError(
                f"the stored file of object {stored.key} is damaged",
                remedy="restore it from another copy; it is not served",
            )
        yield held

    @guarded(
        Permission.VIEW_OBJECTS,
        AuditEvent.INSTANCES_ACCESSED,
        only_refusals="names an object; looking at it is recorded",
    )
    def representative(self, actor: Actor, request: RepresentativeRequest) -> Representative:
        """The object that stands for a row in a preview."""
        with self._index.read() as reader:
            found = lookup.representative(reader, request.level, request.key)
            if found is None:
                return Representative(instance=None)
            key, position, count = found
            instance = rows.instances(reader, [key])[0]
        frame = max(1, (instance.number_of_frames + 1) // 2)
        return Representative(instance=instance, frame_number=frame, position=position, count=count)

    @guarded(Permission.VIEW_OBJECTS, AuditEvent.INSTANCES_ACCESSED)
    def frame(self, actor: Actor, request: FrameRequest) -> Frame:
        """One frame as a picture. Raises `DecodeError` saying why there is none."""
        path = self._view(actor, request.key, "picture")
        return self._pictures.render(path, request.frame_number, request.window)

    @guarded(Permission.VIEW_OBJECTS, AuditEvent.INSTANCES_ACCESSED)
    def elements(self, actor: Actor, request: InstanceRequest) -> ElementList:
        """All data elements."""
        return read_elements(self._view(actor, request.key, "data elements"))

    @guarded(Permission.VIEW_OBJECTS, AuditEvent.INSTANCES_ACCESSED)
    def document(self, actor: Actor, request: InstanceRequest) -> Document:
        """A readable view of a report, an encapsulated document, or what is no picture."""
        return read_document(self._view(actor, request.key, "document"))

    @guarded(Permission.EXPORT, AuditEvent.EXPORT)
    def export_plan(self, actor: Actor, request: ExportRequest) -> ExportPlan:
        """The objects below these UIDs, each once. Raises `NotFoundError` for an unknown one."""
        if not 1 <= len(request.uids) <= MAX_EXPORT_UIDS:
            raise UsageError(f"an export takes 1 to {MAX_EXPORT_UIDS} UIDs")
        entries = {}
        with self._index.read() as reader:
            for uid in dict.fromkeys(uid.strip() for uid in request.uids):
                found = lookup.export_entries(reader, uid)
                if not found:
                    raise NotFoundError(f"nothing in the archive has the UID {uid[:64]}")
                entries.update({entry.key: entry for entry in found})
        about(
            study_instance_uid=request.uids[0][:64],
            detail=f"{len(entries)} objects of {len(request.uids)} UIDs",
        )
        return ExportPlan(entries=tuple(entries.values()))

    @guarded(Permission.EXPORT, AuditEvent.EXPORT)
    def open_object(self, actor: Actor, key: int) -> ObjectStream:
        """The stored bytes, verified on the way; a preamble that is a program leaves as zeros."""
        stored = self._stored(key)
        chunks = self._verified_chunks(stored)
        first = next(chunks)  # before the answer begins: a missing file is an error, not a cut
        if first.startswith(_PROGRAM_STARTS):
            about(detail="the preamble was a program and was zeroed")
            first = bytes(_PREAMBLE) + first[_PREAMBLE:]
        return ObjectStream(
            size=stored.header_size + stored.dataset_size, chunks=_chain(first, chunks)
        )

    @guarded(Permission.EXPORT, AuditEvent.EXPORT)
    def open_document(self, actor: Actor, key: int) -> ObjectStream:
        """The document encapsulated in an object. Raises `DecodeError` if there is none."""
        stored = self._stored(key)
        for _ in self._verified_chunks(stored):
            pass
        about(detail="encapsulated document")
        data = read_encapsulated(self._store.path(stored.blob_key))
        return ObjectStream(
            size=len(data),
            chunks=(data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)),
        )


def _version(path: Path) -> tuple[int, ...]:
    """What tells this file from another in its place; no program can set the time of change."""
    try:
        about_it = path.lstat()
    except OSError as error:
        raise StorageFailedError(f"reading a stored file failed: {error.strerror}") from error
    return about_it.st_dev, about_it.st_ino, about_it.st_size, about_it.st_ctime_ns


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise StorageFailedError(f"reading a stored file failed: {error.strerror}") from error


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
