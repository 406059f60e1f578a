"""A listening archive with real files, from which objects are retrieved, and who receives them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.builders import dataset_bytes
from tests.dimse.archive import ADMIN, Archive
from tests.ports import unused_port
from tuipacs.dicom.part10 import split_part10
from tuipacs.dicom.transcoding.process import Transcoder, Transcoders
from tuipacs.dimse.contract import ServiceProvider
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.clock import system_clock
from tuipacs.domain.ingest import AnnouncedObject
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import NODE_RIGHTS, NodeService
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.scp.c_get import GetProvider
from tuipacs.scp.c_move import MoveProvider
from tuipacs.services.calling import Calling
from tuipacs.services.ingest import Ingest
from tuipacs.services.own_address import Listening
from tuipacs.services.retrieve import Retrieve
from tuipacs.services.transfer import Transfer
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.local import LocalStore
from tuipacs.storage.quarantine import Quarantine

EXPLICIT = "1.2.840.10008.1.2.1"
SENDER = Actor(
    kind=ActorKind.PEER,
    name="MODALITY",
    permissions=frozenset({NODE_RIGHTS[NodeService.STORE]}),
)


class Source(Archive):
    """An `Archive` with objects, and C-MOVE and C-GET as the daemon has them."""

    def __init__(self, folder: Path, *, grace: float = 0.2, **settings: object) -> None:
        self._grace = grace
        self.folder = folder
        super().__init__(folder, ingest=self._new_ingest, build=self._providers, **settings)  # type: ignore[arg-type]

    def _new_ingest(self, index: Index, folder: Path) -> Ingest:
        self.store = LocalStore(folder / "objects", reserve=0)
        quarantine = Quarantine(folder / "quarantine")
        self.ingest = Ingest(index, system_clock, self.store, quarantine, Wakeups())
        return self.ingest

    def _providers(self, archive: Archive) -> Sequence[ServiceProvider]:
        self.transfer = Transfer(
            self.index, self.store, Transcoders([Transcoder()]), folder=self.folder
        )
        self.calling = Calling(self.index, "TUIPACS", None)
        self.calling.listening = lambda: Listening("127.0.0.1", (self.listener.port,))
        self.retrieve = Retrieve(self.index, system_clock, self.transfer, self.calling, "TUIPACS")
        return (
            MoveProvider(
                self.nodes, self.retrieve, self.index.close, grace=self._grace, alive_every=0.2
            ),
            GetProvider(self.nodes, self.retrieve),
        )

    def keep(self, data: bytes, syntax: str, sop_class: str, uid: str) -> None:
        """Store the bytes of one dataset as if a peer had sent it."""
        announced = AnnouncedObject(
            transfer_syntax_uid=syntax,
            sop_class_uid=sop_class,
            sop_instance_uid=uid,
            calling_ae_title="MODALITY",
            called_ae_title="TUIPACS",
        )
        reception = self.ingest.receive(SENDER, announced)
        reception.write(data)
        self.ingest.store(SENDER, reception)

    def keep_all(self, objects: Sequence[Dataset], syntax: str = EXPLICIT) -> dict[str, bytes]:
        """Store datasets; SOP Instance UID to the bytes that are kept."""
        kept = {}
        for one in objects:
            uid = str(one.SOPInstanceUID)
            kept[uid] = dataset_bytes(one, syntax)
            self.keep(kept[uid], syntax, str(one.SOPClassUID), uid)
        return kept

    def keep_file(self, path: Path) -> tuple[str, bytes]:
        """Store a Part 10 file; its SOP Instance UID and the bytes of its dataset."""
        data = path.read_bytes()
        parts = split_part10(data)
        found = dcmread(path, stop_before_pixels=True)
        uid, dataset = str(found.SOPInstanceUID), data[parts.dataset_offset :]
        self.keep(dataset, parts.transfer_syntax_uid, str(found.SOPClassUID), uid)
        return uid, dataset

    def destination(
        self,
        ae_title: str,
        port: int,
        *,
        may: tuple[NodeService, ...] = (NodeService.ECHO,),
        **call: object,
    ) -> int:
        """Add a node that objects can be sent to, and what it may ask for itself."""
        given = {"host": "127.0.0.1", "port": port, "services": (CallService.SEND,)} | call
        request = NodeAddRequest(
            ae_title=ae_title,
            address="",
            services=may,
            call=NodeCall(**given),  # type: ignore[arg-type]
        )
        return self.nodes.add(ADMIN, request).key

    def audit_of(self, operation: str, code: str, studies: Sequence[str]) -> list[AuditRecord]:
        """Audit records of these studies, oldest first."""
        with self.index.read() as reader:
            found = audit.page(reader, (operation, code), 0, 10_000)[::-1]
        return [record for record in found if record.study_instance_uid in studies]

    def close(self) -> None:
        super().close()
        self.transfer.close()


@dataclass
class Receiver:
    """A running storescp."""

    port: int
    folder: Path

    def received(self) -> dict[str, bytes]:
        """SOP Instance UID to the bytes of the dataset as it was received."""
        return received(self.folder)


def received(folder: Path) -> dict[str, bytes]:
    """What DCMTK has written bit by bit (``+B``): UID to the bytes of the dataset."""
    found = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        meta = dcmread(path, stop_before_pixels=True).file_meta
        uid = str(meta.MediaStorageSOPInstanceUID)
        found[uid] = data[split_part10(data).dataset_offset :]
    return found


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Receiver]:
    """DCMTK's receiver, which writes what it gets as it comes."""
    folder.mkdir()
    port = unused_port()
    process = subprocess.Popen(
        ["storescp", "+B", "-od", str(folder), *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield Receiver(port, folder)
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.02)
