"""Storage commitment with Orthanc in both directions, and retrieves from it by our own asker."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from tests.dimse.faulty_peer import FaultyPeer
from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.orthanc import Orthanc, running_orthanc
from tests.interop.samples import as_one_study
from tests.waiting import eventually
from tuipacs.client.connection import Connection
from tuipacs.dicom.part10 import split_part10
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.schema import operations
from tuipacs.schema.commit_messages import CommitRequest, StudyCommitmentsRequest
from tuipacs.schema.job_messages import SendRequest
from tuipacs.schema.messages import JobRequest, UidRequest
from tuipacs.schema.node_messages import NodeAddRequest, NodeRemoveRequest
from tuipacs.scu.c_get import get
from tuipacs.scu.c_move import move
from tuipacs.scu.c_store import store_files
from tuipacs.scu.requestor import Context, Peer

pytestmark = pytest.mark.orthanc
T = TypeVar("T")
FILES = ["CT_small.dcm", "MR_small_RLE.dcm", "test-SR.dcm", "JPEG2000.dcm"]


@dataclass(frozen=True)
class Site:
    """Our archive and an Orthanc that know each other. ``files`` of one study are in Orthanc."""

    archive: RunningArchive
    orthanc: Orthanc
    node: NodeRecord
    connection: Connection
    study: str
    files: dict[str, Path]

    @property
    def peer(self) -> Peer:
        """Orthanc, as our own asker calls it."""
        return Peer("127.0.0.1", self.orthanc.dicom_port, "ORTHANC2", "ASKER")

    def ended(self, job: JobRecord) -> JobRecord:
        """The job when nothing more happens to it."""

        def look() -> JobRecord | None:
            now = self.connection.call(operations.JOB, JobRequest(key=job.key))
            return now if now.state.ended else None

        return eventually(look)


@pytest.fixture(scope="module")
def site(archive: RunningArchive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("files")
    study, files = as_one_study(folder, FILES)
    with running_orthanc(
        tmp_path_factory.mktemp("orthanc"), {"DicomAet": "ORTHANC2", "DicomAlwaysAllowGet": True}
    ) as orthanc:
        orthanc.know("archive", "TUIPACS", archive.port)
        orthanc.know("asker", "ASKER", archive.port)
        call = NodeCall(host="127.0.0.1", port=orthanc.dicom_port, services=tuple(CallService))
        request = NodeAddRequest(
            ae_title="ORTHANC2",
            address="127.0.0.1",
            services=(NodeService.STORE, NodeService.COMMIT),
            call=call,
        )
        connection = archive.connect()
        node = connection.call(operations.NODE_ADD, request)
        for path in files.values():
            orthanc.ask("POST", "/instances", path.read_bytes())
        yield Site(archive, orthanc, node, connection, study, files)
        connection.call(operations.NODE_REMOVE, NodeRemoveRequest(key=node.key))


def put(site: Site, folder: Path, names: list[str]) -> tuple[str, dict[str, Path]]:
    """A new study in our archive alone."""
    study, files = as_one_study(folder, names)
    peer = Peer("127.0.0.1", site.archive.port, "TUIPACS", "ODIL")
    assert all(outcome.stored for outcome in store_files(peer, list(files.values())))
    return study, files


def said_of(site: Site, study: str) -> list[tuple[str, int, int]]:
    shown = site.connection.call(operations.SHOW, UidRequest(uid=study))
    key = shown.studies[0].key
    found = site.connection.call(operations.STUDY_COMMITMENTS, StudyCommitmentsRequest(study=key))
    return [(one.node_title, one.committed, one.instances) for one in found.nodes]


# -- we ask


def test_what_was_sent_is_committed_to_by_orthanc(site: Site, tmp_path: Path) -> None:
    study, files = put(site, tmp_path, FILES)
    assert said_of(site, study) == []
    request = SendRequest(uids=(study,), node=site.node.key, commit=True)
    job = site.ended(site.connection.call(operations.SEND, request))
    assert job.state is JobState.DONE, job.message
    assert said_of(site, study) == [("ORTHANC2", len(files), len(files))]


def test_what_orthanc_does_not_have_it_does_not_commit_to(site: Site, tmp_path: Path) -> None:
    study, _ = put(site, tmp_path, FILES[:2])
    request = CommitRequest(uids=(study,), ae_title="ORTHANC2")
    job = site.ended(site.connection.call(operations.COMMIT, request))
    assert job.state is JobState.DEAD
    assert "committed to 0 of 2 objects; 2 times: 0x0112" in job.message
    assert said_of(site, study) == []


# -- Orthanc asks


def _commitment(site: Site, instances: list[list[str]]) -> dict[str, Any]:
    """What Orthanc knows when our report has come."""
    asked = site.orthanc.ask(
        "POST", "/modalities/archive/storage-commitment", {"DicomInstances": instances}
    )

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = site.orthanc.ask("GET", asked["Path"])
        return found if found["Status"] != "Pending" else None

    return eventually(look)


def _names(files: dict[str, Path]) -> list[list[str]]:
    classes = [str(pydicom.dcmread(p, stop_before_pixels=True).SOPClassUID) for p in files.values()]
    return [[sop_class, uid] for sop_class, uid in zip(classes, files, strict=True)]


def test_we_commit_to_what_is_here_byte_for_byte(site: Site, tmp_path: Path) -> None:
    _, files = put(site, tmp_path, FILES)
    report = _commitment(site, _names(files))
    assert report["Status"] == "Success"
    assert sorted(one["SOPInstanceUID"] for one in report["Success"]) == sorted(files)
    assert report["Failures"] == []


def test_we_do_not_commit_to_what_is_missing_or_of_another_class(
    site: Site, tmp_path: Path
) -> None:
    _, files = put(site, tmp_path, FILES[:1])
    good = _names(files)[0]
    wrong = ["1.2.840.10008.5.1.4.1.1.4", good[1]]
    report = _commitment(site, [["1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6"], wrong])
    assert report["Status"] == "Failure"
    reasons = {one["SOPInstanceUID"]: one["FailureReason"] for one in report["Failures"]}
    assert reasons == {"1.2.3.4.5.6": 0x0112, good[1]: 0x0119}


# -- our askers


def _study(site: Site) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = site.study
    return identifier


class Taking:
    """Keeps one object that a C-GET brings."""

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


def _contexts(site: Site) -> list[Context]:
    found = []
    for (sop_class, _), path in zip(_names(site.files), site.files.values(), strict=True):
        found.append(Context(sop_class, split_part10(path.read_bytes()).transfer_syntax_uid))
    return found


def test_a_get_brings_all_that_orthanc_has_of_a_study(site: Site) -> None:
    kept: dict[str, bytes] = {}
    with get(
        site.peer, STUDY_ROOT_GET, _study(site), _contexts(site), lambda r: Taking(kept, r)
    ) as getting:
        list(getting)
    assert getting.final is not None
    assert (getting.final.status, getting.final.comment) == (0, "")
    assert getting.counts is not None
    assert (getting.counts.completed, getting.counts.failed) == (len(FILES), 0)
    assert set(kept) == set(site.files)
    for uid, path in site.files.items():  # DCMTK writes anew what it sends: the elements count
        expected = pydicom.dcmread(path)
        implicit, little = expected.original_encoding
        assert implicit is not None and little is not None
        came = read_dataset(io.BytesIO(kept[uid]), implicit, little)
        assert _elements(came) == _elements(expected)


def _elements(dataset: Dataset) -> dict[int, object]:
    """All but what is only for the layout: group lengths, and trailing padding."""
    return {int(e.tag): e.value for e in dataset if e.tag.element and e.tag != 0xFFFCFFFC}


def test_a_move_makes_orthanc_send_a_study_to_a_third_node(site: Site) -> None:
    with FaultyPeer(title="THIRD") as third:
        site.orthanc.know("third", "THIRD", third.port)
        with move(site.peer, STUDY_ROOT_MOVE, _study(site), "THIRD") as moving:
            list(moving)
    assert moving.final is not None
    assert moving.final.status == 0
    assert {held.sop_instance_uid for held in third.stored} == set(site.files)
    assert {held.originator[0] for held in third.stored if held.originator} == {"ASKER"}
