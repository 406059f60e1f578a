"""The archive's own parts on real files, with a clock that stands still until it is told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.ingest import AnnouncedObject, IngestResult
from tuipacs.domain.permissions import MATRIX, Permission, Role
from tuipacs.index import audit
from tuipacs.index.database import Index, Row
from tuipacs.index.migrations import migrate
from tuipacs.services.browse import Browse
from tuipacs.services.ingest import Ingest
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.sessions import Sessions
from tuipacs.services.users import Users
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.blob import BlobStore
from tuipacs.storage.local import LocalStore
from tuipacs.storage.quarantine import Quarantine

NOW = 1_800_000_000.0
PASSWORD = "correct horse battery staple"
PEER = Actor(
    kind=ActorKind.PEER,
    name="CT1",
    permissions=frozenset({Permission.DICOM_ECHO, Permission.DICOM_STORE}),
    origin=Origin(address="192.0.2.7"),
)


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def actor(role: Role, *, session_key: int = 0, name: str = "") -> Actor:
    """A person of that role."""
    return Actor(
        kind=ActorKind.USER,
        name=name or role.value,
        role=role,
        permissions=MATRIX[role],
        session_key=session_key,
    )


def fast_hasher() -> PasswordHasher:
    """Argon2id with the smallest figures: the rules are tested here, not the cost."""
    return PasswordHasher(memory_kib=8, iterations=1)


class Sent(NamedTuple):
    """What a peer sends: the command's words and the dataset."""

    announced: AnnouncedObject
    dataset: bytes


def received(dataset: Dataset | bytes, **other: Any) -> Sent:
    """A dataset as a peer sends it; keywords replace what the command says."""
    data = dataset if isinstance(dataset, bytes) else dataset_bytes(dataset)
    command: dict[str, Any] = {
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "calling_ae_title": "CT1",
        "called_ae_title": "TUIPACS",
    }
    if not isinstance(dataset, bytes):
        command["sop_class_uid"] = dataset.SOPClassUID
        command["sop_instance_uid"] = dataset.SOPInstanceUID
    return Sent(AnnouncedObject(**(command | other)), data)


def take(ingest: Ingest, sent: Sent, *, actor: Actor = PEER, piece: int = 1 << 17) -> IngestResult:
    """Receive one object in pieces, as the association's thread does."""
    reception = ingest.receive(actor, sent.announced)
    try:
        with memoryview(sent.dataset) as whole:
            for start in range(0, len(whole), piece):
                reception.write(whole[start : start + piece])
        return ingest.store(actor, reception)
    finally:
        reception.discard()


class Parts:
    """Index, store, quarantine and the services on them."""

    def __init__(self, folder: Path, store: BlobStore | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.index = Index(folder / "index.sqlite")
        migrate(self.index)
        self.store = store or LocalStore(folder / "objects", reserve=0, fsync=lambda _: None)
        self.quarantine = Quarantine(folder / "quarantine")
        self.wakeups = Wakeups()
        self.ingest = Ingest(self.index, self.clock, self.store, self.quarantine, self.wakeups)
        self.browse = Browse(self.index, self.clock)
        self.hasher = fast_hasher()
        self.sessions = self.new_sessions()
        self.users = Users(self.index, self.clock, self.hasher, self.sessions)

    def new_sessions(self) -> Sessions:
        """The sessions as a restarted daemon sees them."""
        return Sessions(
            self.index, self.clock, self.hasher, lock_after=600.0, command_seconds=3600.0
        )

    def send(self, dataset: Dataset | None = None, **keywords: object) -> IngestResult:
        """Store one object as a peer does."""
        if dataset is None:
            dataset = make_dataset(**keywords)  # type: ignore[arg-type]
        return take(self.ingest, received(dataset))

    def bring(self, data: Dataset | bytes) -> IngestResult:
        """Import one file as a technologist does."""
        whole = data if isinstance(data, bytes) else part10_bytes(data)
        return self.ingest.import_file(actor(Role.TECHNOLOGIST), io.BytesIO(whole))

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        """Rows of the index."""
        with self.index.read() as reader:
            return reader.all(sql, parameters)

    def files(self) -> list[Path]:
        """All stored files."""
        return sorted(path for path in (self.folder / "objects").rglob("*") if path.is_file())

    def records(self) -> list[AuditRecord]:
        """The audit log, oldest first."""
        with self.index.read() as reader:
            return audit.page(reader, (), 0, 10_000)[::-1]

    def last_record(self) -> AuditRecord:
        """The newest record of the audit log."""
        return self.records()[-1]


@contextmanager
def opened(folder: Path, store: BlobStore | None = None) -> Iterator[Parts]:
    """Parts in a folder, closed at the end."""
    parts = Parts(folder, store)
    try:
        yield parts
    finally:
        parts.index.close()
