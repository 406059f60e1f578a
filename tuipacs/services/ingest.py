"""Objects come in: from peers, from files, and from what a crash left behind.

The order is the promise: the file is durable, then the rows, the change and the audit record commit
together, and only then does anyone hear that it was stored (PS3.4 B.2.3).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.part10 import Part10Parts, encode_header, read_part10
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.attributes import IndexedAttributes, InstanceAttributes
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.clock import Clock
from tuipacs.domain.ingest import AnnouncedObject, ExpectedObjects, IngestResult
from tuipacs.domain.permissions import Permission
from tuipacs.domain.uid import MAX_UID_LENGTH, strip_uid
from tuipacs.errors import InvalidObjectError, StorageFailedError, UidMismatchError
from tuipacs.index import healing
from tuipacs.index import ingest as rows
from tuipacs.index.changes import last_seq
from tuipacs.index.database import Index, Transaction
from tuipacs.index.ingest import Added, Arrival
from tuipacs.services.guard import Service, about, before_login, guarded
from tuipacs.services.kept_bytes import fault_of
from tuipacs.services.mapped import mapped
from tuipacs.services.reception import Reception, header_of
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.blob import BlobStore, Spool
from tuipacs.storage.quarantine import Quarantine

log = logging.getLogger(__name__)

_CHUNK = 1 << 20
InTransaction = Callable[[Transaction, IngestResult], None]


class Ingest(Service):
    """The only writer of objects."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        store: BlobStore,
        quarantine: Quarantine,
        wakeups: Wakeups,
    ) -> None:
        super().__init__(index, clock)
        self._store = store
        self._quarantine = quarantine
        self._wakeups = wakeups

    @guarded(
        Permission.DICOM_STORE,
        AuditEvent.INSTANCES_TRANSFERRED,
        only_refusals="the record is written with the object",
    )
    def receive(self, actor: Actor, announced: AnnouncedObject) -> Reception:
        """Begin to take an object from a peer: write its dataset into the answer, then `store`."""
        return Reception(announced, self._store)

    @guarded(Permission.DICOM_STORE, AuditEvent.INSTANCES_TRANSFERRED)
    def store(self, actor: Actor, reception: Reception) -> IngestResult:
        """Keep one object as a peer sent it; durable when this returns.

        Raises `InvalidObjectError` (the bytes are in quarantine), `UidMismatchError` when the
        command names other UIDs than the dataset, `StorageFullError` and `StorageFailedError`.
        """
        return self._keep_whole(reception)

    def _keep_whole(
        self, reception: Reception, expected: ExpectedObjects | None = None
    ) -> IngestResult:
        try:
            if reception.error is not None:
                about(sop_instance_uid=reception.announced.sop_instance_uid[:64])
                raise reception.error
            attributes = self._look_at(reception)
            if expected is not None and (fault := expected.fault(attributes)):
                log.warning("a fetched object was refused: %s", fault)
                raise UidMismatchError(fault)
            return self._store_received(reception, attributes)
        finally:
            reception.discard()

    @guarded(
        Permission.RETRIEVE,
        AuditEvent.INSTANCES_TRANSFERRED,
        only_refusals="the record is written with the object",
    )
    def fetch(self, actor: Actor, announced: AnnouncedObject) -> Reception:
        """As `receive`, of an object that this actor has asked a node for (C-GET)."""
        return Reception(announced, self._store)

    @guarded(Permission.RETRIEVE, AuditEvent.INSTANCES_TRANSFERRED)
    def keep_fetched(
        self, actor: Actor, reception: Reception, expected: ExpectedObjects
    ) -> IngestResult:
        """As `store`, with the actor who asked for it in the record.

        The sender needs no right to store here: what is none of what was ``expected`` is not kept,
        and not in quarantine either. Raises `UidMismatchError` for it.
        """
        return self._keep_whole(reception, expected)

    def _look_at(self, reception: Reception) -> IndexedAttributes:
        announced = reception.announced
        try:
            with reception.view() as dataset:
                attributes = read_attributes(dataset, announced.transfer_syntax_uid)
            _check_command(attributes, announced)
        except InvalidObjectError as error:
            name = self._quarantine.take(reception.chunks(), reception.size, error.message)
            about(sop_instance_uid=announced.sop_instance_uid[:64], detail=error.message)
            log.warning("object refused: %s (quarantine %s)", error.message, name or "not kept")
            raise
        _about(attributes)
        return attributes

    def _store_received(self, reception: Reception, attributes: IndexedAttributes) -> IngestResult:
        instance, announced = attributes.instance, reception.announced
        with self._index.glance() as reader:
            versions = rows.versions(reader, instance.sop_instance_uid)
        lost = ""
        if versions and (digest := _digest(reception)) in versions:
            lost = self._lost(instance.sop_instance_uid, digest)
            if not lost:
                about(detail="identical object received again")
                return IngestResult.DUPLICATE
        header = header_of(announced, instance.sop_instance_uid, instance.transfer_syntax_uid)
        spool = reception.spool(header)
        return self._keep(spool, attributes, announced.calling_ae_title, lost=lost)

    def _lost(self, sop_instance_uid: str, dataset_sha256: bytes) -> str:
        """The key of the file of known bytes if they are not there any more; else empty.

        "Known" is a row; what a sender may rely on, and delete its own copy for, is the file.
        """
        with self._index.glance() as reader:
            kept = healing.kept(reader, sop_instance_uid, dataset_sha256)
        fault = fault_of(self._store, kept) if kept is not None else ""
        if kept is None or not fault:
            return ""
        log.error("the stored file %s is %s; the same bytes have come again", kept.key, fault)
        about(detail=f"known, but its file {kept.key} was {fault}: kept anew")
        return kept.key

    @guarded(Permission.IMPORT, AuditEvent.IMPORT)
    def import_file(
        self, actor: Actor, file: BinaryIO, in_transaction: InTransaction | None = None
    ) -> IngestResult:
        """Keep the object in an open file, which is stored byte for byte.

        A dataset without preamble and meta information gets them. ``in_transaction`` runs in the
        transaction that stores it, or in one of its own for a duplicate. Raises as `store` does.
        """
        parts = read_part10(file)
        if parts.is_directory:
            raise InvalidObjectError("this is a DICOMDIR: an index of other files, no object")
        file.seek(0)
        head = file.read(parts.dataset_offset)
        is_complete = parts.has_preamble and bool(parts.media_storage_sop_instance_uid)
        spool = self._store.spool(head if is_complete else b"")
        try:
            while chunk := file.read(_CHUNK):
                spool.write(chunk)
            with spool.view() as dataset:
                attributes = _attributes_of_file(dataset, parts)
                _about(attributes)
                instance = attributes.instance
                with self._index.glance() as reader:
                    duplicate = spool.digest() in rows.versions(reader, instance.sop_instance_uid)
            lost = self._lost(instance.sop_instance_uid, spool.digest()) if duplicate else ""
            duplicate = duplicate and not lost
            if not duplicate and not is_complete:
                spool = self._with_header(spool, instance)
        except BaseException:
            spool.discard()
            raise
        if not duplicate:
            return self._keep(spool, attributes, "", in_transaction, lost=lost)
        spool.discard()
        about(detail="identical object imported again")
        with self.transaction() as tx:
            if in_transaction is not None:
                in_transaction(tx, IngestResult.DUPLICATE)
        return IngestResult.DUPLICATE

    def _with_header(self, bare: Spool, instance: InstanceAttributes) -> Spool:
        header = encode_header(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
        )
        spool = self._store.spool(header)
        try:
            for chunk in bare.chunks():
                spool.write(chunk)
        except BaseException:
            spool.discard()
            raise
        bare.discard()
        return spool

    def _keep(
        self,
        spool: Spool,
        attributes: IndexedAttributes,
        calling_ae_title: str,
        in_transaction: InTransaction | None = None,
        *,
        lost: str = "",
    ) -> IngestResult:
        """``lost``: the key of the damaged or missing file that this one replaces."""
        blob = spool.keep()
        try:
            result, seq = self._commit(blob, attributes, calling_ae_title, in_transaction, lost)
        except StorageFailedError as error:
            # A commit that broke on the disk may be found there after a crash: the file has to stay
            # for its row. The next start adopts it or finds it known.
            self._store.fail(f"the index could not be written: {error.message}")
            raise
        except BaseException:
            self._forget(blob.key)
            raise
        if result is IngestResult.DUPLICATE:
            self._forget(blob.key)
        else:
            self._wakeups.content(seq)
        return result

    def _commit(
        self,
        blob: StoredBlob,
        attributes: IndexedAttributes,
        calling_ae_title: str,
        in_transaction: InTransaction | None,
        lost: str,
    ) -> Added:
        arrival = Arrival(attributes, blob, calling_ae_title, self._clock())
        if lost:  # before the commit: after a crash it must not be found and taken for a version
            self._store.set_aside(lost)

        def write(tx: Transaction) -> Added:
            # a duplicate if another association was quicker
            added = healing.heal(tx, arrival, lost) if lost else rows.add(tx, arrival)
            if added.result is IngestResult.CONFLICT:
                about(detail="other bytes under a known SOP Instance UID: both are kept")
            if in_transaction is not None:
                in_transaction(tx, added.result)
            return added

        return self.together(write)

    def _forget(self, key: str) -> None:
        try:
            self._store.remove(key)
        except StorageFailedError as error:  # an orphan: the next start finds it
            log.warning("object %s stays without a row: %s", key, error.message)

    @before_login("runs at start, before anyone can log in")
    def recover(self) -> tuple[int, int]:
        """Adopt finished objects that lost their row in a crash, and sweep unfinished ones.

        Returns (adopted, swept). An object that cannot be indexed goes to quarantine, or
        stays where it is if there is no room.
        """
        swept = self._store.sweep()
        with self._index.read() as reader:
            orphans = [key for key in self._store.recent() if not rows.has_blob(reader, key)]
        adopted = sum(self._adopt(key) for key in orphans)
        self._store.settled()
        with self._index.read() as reader:
            self._wakeups.content(last_seq(reader))
        if orphans or swept:
            log.warning("recovery: %d objects adopted, %d unfinished ones swept", adopted, swept)
        return adopted, swept

    def _adopt(self, key: str) -> bool:
        with self._store.open(key) as file, mapped(file) as data:
            try:
                parts = read_part10(file)
                with data[parts.dataset_offset :] as dataset:
                    attributes = read_attributes(dataset, parts.transfer_syntax_uid)
                    blob = StoredBlob(
                        key=key,
                        header_size=parts.dataset_offset,
                        header_sha256=hashlib.sha256(data[: parts.dataset_offset]).digest(),
                        dataset_size=len(dataset),
                        dataset_sha256=hashlib.sha256(dataset).digest(),
                    )
            except InvalidObjectError as error:
                log.error("object %s cannot be indexed: %s", key, error.message)
                if self._quarantine.put(data, f"found at start: {error.message}"):
                    self._forget(key)
                return False
        return self.adopt(_SYSTEM, blob, attributes, parts.source_ae_title)

    @guarded(Permission.DICOM_STORE, AuditEvent.INSTANCES_TRANSFERRED)
    def adopt(
        self, actor: Actor, blob: StoredBlob, attributes: IndexedAttributes, source: str
    ) -> bool:
        """Index a durable object that has no row; False if it is known and was removed."""
        _about(attributes)
        about(detail="found at start without a row")
        lost = self._lost(attributes.instance.sop_instance_uid, blob.dataset_sha256)
        result, _ = self._commit(blob, attributes, source, None, lost)
        if result is IngestResult.DUPLICATE:
            self._forget(blob.key)
            return False
        return True


_SYSTEM = Actor(
    kind=ActorKind.SYSTEM, name="tuipacs", permissions=frozenset({Permission.DICOM_STORE})
)


def _about(attributes: IndexedAttributes) -> None:
    about(
        patient_id=attributes.patient.patient_id[:64],
        study_instance_uid=attributes.study.study_instance_uid,
        sop_instance_uid=attributes.instance.sop_instance_uid,
    )


def _digest(reception: Reception) -> bytes:
    known = reception.digest()
    if known is not None:
        return known
    with reception.view() as dataset:
        return hashlib.sha256(dataset).digest()


def _check_command(attributes: IndexedAttributes, announced: AnnouncedObject) -> None:
    """DCMTK cuts a UID of more than 64 characters in the command and sends the dataset as it is."""
    instance = attributes.instance
    named = strip_uid(announced.sop_instance_uid)
    if strip_uid(announced.sop_class_uid) != instance.sop_class_uid or named not in (
        instance.sop_instance_uid,
        instance.sop_instance_uid[:MAX_UID_LENGTH],
    ):
        raise UidMismatchError("the command names another SOP class or instance than the dataset")


def _attributes_of_file(dataset: memoryview, parts: Part10Parts) -> IndexedAttributes:
    """What the dataset says, with what is odd about the file around it."""
    attributes = read_attributes(dataset, parts.transfer_syntax_uid)
    remarks = (*parts.remarks, *attributes.remarks)
    meta_uid = strip_uid(parts.media_storage_sop_instance_uid)
    if meta_uid and meta_uid != attributes.instance.sop_instance_uid:
        remarks = (*remarks, "the file meta information names another SOP instance")
    return msgspec.structs.replace(attributes, remarks=remarks)
