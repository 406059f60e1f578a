"""Kill -9 while storage commitment is under way, in both directions: nothing is lost or made up."""

from __future__ import annotations

from typing import TypeVar

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.builders import make_dataset
from tests.dimse.faulty_peer import EVENT, Fault, FaultyPeer
from tests.dimse.hostile_acceptor import QUICK
from tests.dimse.raw_peer import EXPLICIT
from tests.e2e.daemon_fixture import ArchiveFactory, RunningArchive
from tests.waiting import eventually
from tuipacs.dicom.commitment import CommitmentDataset, read_commitment
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import GIVEN_SERVICES
from tuipacs.domain.uid import new_uid
from tuipacs.schema import operations
from tuipacs.schema.commit_messages import CommitRequest, StudyCommitmentsRequest
from tuipacs.schema.messages import JobRequest, UidRequest
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.scu.c_store import store_datasets
from tuipacs.scu.n_action import request_commitment
from tuipacs.scu.n_event_report import report_commitment
from tuipacs.scu.requestor import Context, Peer

CT = "1.2.840.10008.5.1.4.1.1.2"
ACTION = 0x0130
T = TypeVar("T")
Pairs = list[tuple[str, str]]


@pytest.fixture
def archive(running_archive: ArchiveFactory) -> RunningArchive:
    return running_archive()


def know(archive: RunningArchive, node: FaultyPeer) -> NodeRecord:
    call = NodeCall(host="127.0.0.1", port=node.port, services=tuple(CallService))
    request = NodeAddRequest(ae_title=node.title, address="", services=GIVEN_SERVICES, call=call)
    return archive.connect().call(operations.NODE_ADD, request)


def put(archive: RunningArchive, title: str) -> tuple[str, Pairs]:
    """A study of two objects, stored by a node."""
    study = new_uid()
    datasets = [make_dataset(StudyInstanceUID=study) for _ in range(2)]
    for dataset in datasets:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    outcomes = store_datasets(called_by(archive, title), datasets, [Context(CT, EXPLICIT)])
    assert all(outcome.stored for outcome in outcomes)
    return study, [(CT, str(dataset.SOPInstanceUID)) for dataset in datasets]


def called_by(archive: RunningArchive, title: str) -> Peer:
    return Peer("127.0.0.1", archive.port, "TUIPACS", title, settings=QUICK)


def lists(node: FaultyPeer, field: int) -> list[CommitmentDataset]:
    return [read_commitment(a.dataset, EXPLICIT) for a in node.asked if a.field == field]


def test_a_job_that_was_killed_asks_once_more_and_waits_on(archive: RunningArchive) -> None:
    """Killed before the answer to its request, and again while the report is due."""
    with FaultyPeer(title="PACS2", commit=[Fault.SILENCE]) as pacs:
        node = know(archive, pacs)
        study, items = put(archive, "PACS2")
        request = CommitRequest(uids=(study,), node=node.key)
        job = archive.connect().call(operations.COMMIT, request)
        eventually(lambda: lists(pacs, ACTION))
        archive.kill()
        archive.start()
        eventually(lambda: len(lists(pacs, ACTION)) == 2)
        eventually(lambda: shown(archive, job).state is JobState.WAITING)
        archive.kill()
        archive.start()
        assert said(archive, study) == []
        first, second = (one.transaction_uid for one in lists(pacs, ACTION))
        assert first != second
        reporter = called_by(archive, "PACS2")
        assert report_commitment(reporter, second, items, []).status == 0x0000
        eventually(lambda: shown(archive, job).state is JobState.DONE)
        assert said(archive, study) == [("PACS2", 2, 2)]
        assert report_commitment(reporter, first, items, []).status == 0x0000
        assert len(lists(pacs, ACTION)) == 2


def shown(archive: RunningArchive, job: JobRecord) -> JobRecord:
    return archive.connect().call(operations.JOB, JobRequest(key=job.key))


def said(archive: RunningArchive, study: str) -> list[tuple[str, int, int]]:
    connection = archive.connect()
    key = connection.call(operations.SHOW, UidRequest(uid=study)).studies[0].key
    found = connection.call(operations.STUDY_COMMITMENTS, StudyCommitmentsRequest(study=key))
    return [(one.node_title, one.committed, one.instances) for one in found.nodes]


def test_what_a_node_asked_is_reported_by_the_next_daemon(archive: RunningArchive) -> None:
    with FaultyPeer(title="CT1", reject=[Fault.SILENCE]) as modality:
        know(archive, modality)
        _, items = put(archive, "CT1")
        uid = new_uid()
        assert request_commitment(called_by(archive, "CT1"), uid, items).status == 0x0000
        eventually(lambda: modality.attempts == 1)
        archive.kill()
        archive.start()
        (report,) = eventually(lambda: lists(modality, EVENT))
        assert (report.transaction_uid, report.referenced) == (uid, items)
