"""Our own askers against DCMTK's archive: C-MOVE and C-GET."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.dimse.faulty_peer import FaultyPeer
from tests.e2e.proof import dataset_of
from tests.interop.samples import ANY, as_one_study
from tests.ports import unused_port
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.syntaxes import PATIENT_ROOT_MOVE, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tuipacs.scu.c_get import get
from tuipacs.scu.c_move import move
from tuipacs.scu.c_store import store_files
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import file_source

pytestmark = pytest.mark.dcmtk
SETTINGS = """NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
asker = (ASKER, 127.0.0.1, {here})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (200, 1024mb) ANY
AETable END
"""


@dataclass(frozen=True)
class Qrscp:
    """A running dcmqrscp that holds one study, and where it moves to."""

    peer: Peer
    here: int
    folder: Path
    study: str
    files: dict[str, Path]

    @property
    def question(self) -> Dataset:
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = self.study
        return identifier


@pytest.fixture(scope="module")
def qrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qrscp]:
    folder = tmp_path_factory.mktemp("qrscp")
    (folder / "db").mkdir()
    port, here = unused_port(), unused_port()
    text = SETTINGS.format(port=port, here=here, folder=folder / "db")
    (folder / "qrscp.cfg").write_text(text)
    command = ["dcmqrscp", "-c", "qrscp.cfg"]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        # A group of its own: the child of each association would outlive it.
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        stack.callback(process.wait)
        stack.callback(os.killpg, process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not _listens(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        peer = Peer("127.0.0.1", port, "QRSCP", "ASKER")
        study, files = as_one_study(folder, [ANY["explicit little endian"]] * 2)
        assert all(outcome.stored for outcome in store_files(peer, list(files.values())))
        yield Qrscp(peer, here, folder / "db", study, files)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Taking:
    """Keeps one object."""

    def __init__(self, kept: dict[str, bytes], request: Request) -> None:
        self._kept, self._uid = kept, request.command.sop_instance_uid
        self._data = bytearray()

    def write(self, fragment: memoryview) -> None:
        self._data += fragment

    def finish(self, _: object) -> Answer:
        self._kept[self._uid] = bytes(self._data)
        return Answer(0x0000, "Success")

    def discard(self) -> None:
        self._data = bytearray()


def test_a_get_brings_what_was_stored(qrscp: Qrscp) -> None:
    kept: dict[str, bytes] = {}
    contexts = sorted({file_source(path).context for path in qrscp.files.values()})
    with get(
        qrscp.peer, STUDY_ROOT_GET, qrscp.question, contexts, lambda r: Taking(kept, r)
    ) as getting:
        steps = [step.completed for step in getting]
    assert getting.final is not None
    assert getting.final.status == 0
    assert steps == [1, 2]
    # It keeps what it takes in its own layout (without trailing padding): that is what it sends.
    stored = [dataset_of(path.read_bytes()) for path in qrscp.folder.glob("*.dcm")]
    assert set(kept) == set(qrscp.files)
    assert sorted(kept.values()) == sorted(stored)


@pytest.mark.parametrize("model", [STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE])
def test_a_move_brings_it_to_a_third_node(qrscp: Qrscp, model: str) -> None:
    identifier = qrscp.question
    if model == PATIENT_ROOT_MOVE:
        identifier.PatientID = f"INTEROP-{qrscp.study[-12:]}"
    with (
        FaultyPeer(title="ASKER", port=qrscp.here) as here,
        move(qrscp.peer, model, identifier, "ASKER") as moving,
    ):
        list(moving)
    assert moving.final is not None
    assert moving.final.status == 0
    assert {held.sop_instance_uid for held in here.stored} == set(qrscp.files)


def test_its_failures_are_told_as_such(qrscp: Qrscp) -> None:
    """Nobody listens at the destination; and one that it does not know."""
    with move(qrscp.peer, STUDY_ROOT_MOVE, qrscp.question, "ASKER") as moving:
        list(moving)
    assert moving.final is not None
    assert moving.final.status in (0xA702, 0xB000)
    assert set(moving.failed_uids) == set(qrscp.files)
    with move(qrscp.peer, STUDY_ROOT_MOVE, qrscp.question, "NOBODY") as moving:
        list(moving)
    assert moving.final is not None
    assert moving.final.status == 0xA801
