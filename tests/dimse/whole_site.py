"""A whole archive in this process: every service and worker, on real files, with a moved clock."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.builders import make_dataset
from tests.dimse.archive import ADMIN
from tests.dimse.hostile_acceptor import QUICK
from tests.dimse.raw_peer import EXPLICIT
from tests.waiting import eventually
from tuipacs.bootstrap import Archive, create_archive
from tuipacs.config import Config, DicomSettings
from tuipacs.domain.clock import system_clock
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import GIVEN_SERVICES, NodeService
from tuipacs.domain.uid import new_uid
from tuipacs.index import audit, lookup
from tuipacs.index.database import Index
from tuipacs.lock import ArchiveLock
from tuipacs.paths import ArchivePaths
from tuipacs.schema.commit_messages import CommitRequest, StudyCommitmentsRequest
from tuipacs.schema.messages import Empty, JobRequest, UidRequest
from tuipacs.schema.node_messages import NodeAddRequest, NodeEditRequest, NodeRemoveRequest
from tuipacs.scu.c_store import store_datasets
from tuipacs.scu.requestor import Context, Peer
from tuipacs.services.password_hash import PasswordHasher

CT = "1.2.840.10008.5.1.4.1.1.2"
OWNER = "ada"
T = TypeVar("T")
Pairs = list[tuple[str, str]]
HASHER = PasswordHasher(memory_kib=64, iterations=1)
_ACTOR = msgspec.structs.replace(ADMIN, name=OWNER)


class Clock:
    """The time of day, and as much more as a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return system_clock() + self.ahead


class WholeSite:
    """An archive that can be stopped and started again on its folder."""

    def __init__(self, folder: Path) -> None:
        self.paths = ArchivePaths(folder / "a")
        self.clock = Clock()
        self.config = Config(dicom=DicomSettings(port=0))
        create_archive(self.paths, self.config, OWNER, "four clear words", hasher=HASHER)
        self.index = Index(self.paths.index)  # our own look at it
        self.start()

    def start(self) -> None:
        """Run."""
        self._lock = ArchiveLock(self.paths.lock)
        self._lock.__enter__()
        self.archive = Archive(self.paths, self.config, clock=self.clock, hasher=HASHER)
        self.archive.recover()
        self.archive.start()

    def stop(self) -> None:
        """End, and let all go on at the next `start`."""
        self.archive.stop(5.0)
        self.archive.close()
        self._lock.__exit__(None, None, None)

    def close(self) -> None:
        """End for good."""
        self.stop()
        self.index.close()

    @property
    def port(self) -> int:
        return self.archive.services.system.health(Empty()).port

    def peer(self, title: str) -> Peer:
        """The archive, as a node of that title calls it."""
        return Peer("127.0.0.1", self.port, "TUIPACS", title, settings=QUICK)

    def know(
        self, title: str, *services: NodeService, port: int = 0, here: bool = False
    ) -> NodeRecord:
        """Add a node that may do everything, or these; that can be called at ``port``.

        ``here``: it is reported to where it asks.
        """
        call = NodeCall(report_on_same_association=here)
        if port:
            call = msgspec.structs.replace(
                call, host="127.0.0.1", port=port, services=tuple(CallService), dimse_timeout=5.0
            )
        request = NodeAddRequest(
            ae_title=title, address="", services=services or GIVEN_SERVICES, call=call
        )
        return self.archive.services.nodes.add(ADMIN, request)

    def forget(self, node: NodeRecord) -> None:
        """Remove a node."""
        self.archive.services.nodes.remove(ADMIN, NodeRemoveRequest(key=node.key))

    def move(self, node: NodeRecord, port: int) -> NodeRecord:
        """Have a node called at another port."""
        call = msgspec.structs.replace(node.call, port=port)
        wanted = NodeAddRequest(
            ae_title=node.ae_title, address=node.address, services=node.services, call=call
        )
        return self.archive.services.nodes.edit(ADMIN, NodeEditRequest(seen=node, node=wanted))

    def put(self, title: str, count: int) -> tuple[str, Pairs]:
        """A new study, stored by a node: its UID, SOP Class and Instance UIDs."""
        study, series = new_uid(), new_uid()
        datasets = [
            make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number)
            for number in range(1, count + 1)
        ]
        for dataset in datasets:
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        outcomes = store_datasets(self.peer(title), datasets, [Context(CT, EXPLICIT)])
        assert all(outcome.stored for outcome in outcomes)
        return study, [(CT, str(dataset.SOPInstanceUID)) for dataset in datasets]

    def file_of(self, sop_instance_uid: str) -> Path:
        """Where an object lies."""
        with self.index.read() as reader:
            sql = "SELECT id FROM instance WHERE sop_instance_uid = ?"
            stored = lookup.stored_object(reader, reader.scalar(sql, (sop_instance_uid,)))
        assert stored is not None
        return next(self.paths.objects.rglob(f"{Path(stored.blob_key).name}*"))

    def said(self, study: str) -> list[tuple[str, int, int]]:
        """(node, committed, instances) of what nodes have said of a study."""
        services = self.archive.services
        key = services.browse.show(ADMIN, UidRequest(uid=study)).studies[0].key
        found = services.commitments.of_study(ADMIN, StudyCommitmentsRequest(study=key))
        return [(one.node_title, one.committed, one.instances) for one in found.nodes]

    def commit(self, study: str, node: NodeRecord) -> JobRecord:
        """Have a node asked to commit to a study."""
        request = CommitRequest(uids=(study,), node=node.key)
        return self.archive.services.commitments.submit(_ACTOR, request)

    def job(self, job: JobRecord) -> JobRecord:
        """As it is now."""
        return self.archive.services.jobs.show(ADMIN, JobRequest(key=job.key))

    def retry(self, job: JobRecord) -> None:
        """Have it tried again."""
        self.archive.services.jobs.retry(ADMIN, JobRequest(key=job.key))

    def ended(self, job: JobRecord) -> JobRecord:
        """As it is when nothing more happens."""
        return eventually(lambda: now if (now := self.job(job)).state.ended else None)

    def waiting(self, job: JobRecord) -> JobRecord:
        """As it is when it waits."""
        return eventually(lambda: now if (now := self.job(job)).state is JobState.WAITING else None)

    def audited(self, words: str) -> list[tuple[str, str]]:
        """(event, detail) of the audit records that hold ``words``."""
        with self.index.read() as reader:
            return [(r.event, r.detail) for r in audit.page(reader, (words,), 0, 100)]
