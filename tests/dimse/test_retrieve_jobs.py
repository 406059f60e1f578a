"""Retrieve jobs against archives that lie, refuse and vanish: only what has come counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.faulty_peer import FIND, GET, MOVE, Fault
from tests.dimse.image_source import ImageSource, held, question
from tests.unit.jobs.office import TINA, Office
from tests.unit.services.conftest import parts as parts
from tests.unit.services.parts import Parts
from tuipacs.domain.job import ItemState, JobKind, JobRecord, JobState
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import UsageError
from tuipacs.jobs.retrieve import RetrieveObjects
from tuipacs.jobs.retrieve_run import Times
from tuipacs.schema import messages as m
from tuipacs.schema.remote_messages import RetrieveRequest, RetrieveTarget
from tuipacs.services.retrievals import Retrievals

BOTH = (CallService.QUERY, CallService.MOVE, CallService.GET)
BY_GET = (CallService.QUERY, CallService.GET)
BY_MOVE = (CallService.QUERY, CallService.MOVE)


class Fetching(Office):
    """An office whose retrieve jobs are the real ones."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.retrievals = Retrievals(self.index, self.clock, parts.wakeups, self.calling)
        times = Times(settle=0.2, stall=20.0, grace=0.2)
        kind = RetrieveObjects(self.index, self.retrievals, parts.ingest, parts.wakeups, times)
        self.retrievals.on_submit = self.start({JobKind.RETRIEVE: kind}).wake

    def source(self, peer: ImageSource, services: Sequence[CallService] = BY_GET) -> NodeRecord:
        node = self.node(
            "STORE", port=peer.port, services=tuple(services), dimse_timeout=5.0, acse_timeout=5.0
        )
        return self.edit(node, services=(NodeService.STORE,))

    def edit(self, node: NodeRecord, **changes: object) -> NodeRecord:
        from tuipacs.index import nodes

        changed = msgspec.structs.replace(node, **changes)
        with self.index.write() as tx:
            nodes.change_node(tx, changed)
        return changed

    def fetch(self, node: NodeRecord, study: Sequence[Dataset], **more: object) -> JobRecord:
        """Ask for a study."""
        target = RetrieveTarget(study_instance_uid=str(study[0].StudyInstanceUID))
        request = RetrieveRequest(node=node.key, targets=(target,), **more)  # type: ignore[arg-type]
        return self.retrievals.submit(TINA, request)

    def settled(self, job: JobRecord) -> JobRecord:
        """The job when it has ended, or waits."""
        return self.until(job.key, lambda r: r.state.ended or r.state is JobState.WAITING)

    def uids(self) -> set[str]:
        """The SOP instances that are here."""
        return {row[0] for row in self.parts.rows("SELECT sop_instance_uid FROM instance")}


@pytest.fixture
def office(parts: Parts) -> Iterator[Fetching]:
    fetching = Fetching(parts)
    yield fetching
    fetching.stop()


def uids_of(objects: Sequence[Dataset]) -> set[str]:
    return {str(dataset.SOPInstanceUID) for dataset in objects}


def asked_for(peer: ImageSource, field: int) -> list[Dataset]:
    return [question(asked) for asked in peer.asked if asked.field == field]


def test_what_was_not_asked_for_is_refused_and_told(office: Fetching) -> None:
    """The peer sends another patient's picture along, and one object twice."""
    study, other = make_study(1, 3), make_dataset(PatientID="SOMEBODY ELSE")
    sent = [*map(held, study), held(other), held(study[0])]
    with ImageSource(study, objects=sent) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.stored, job.done) == (JobState.DONE, 3, 3)
    assert "1 objects that were not asked for were refused" in job.message
    assert office.uids() == uids_of(study)
    assert [r.operation for r in office.parts.records()].count("ingest.keep_fetched") == 3


def test_only_what_is_missing_is_asked_for_by_its_uids(office: Fetching) -> None:
    study = make_study(2, 3)
    for dataset in study[:2]:
        office.parts.send(dataset)
    with ImageSource(study) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
        gets = asked_for(peer, GET)
    assert (job.state, job.stored, job.duplicate) == (JobState.DONE, 4, 2)
    assert [get.QueryRetrieveLevel for get in gets] == ["IMAGE", "SERIES"]
    assert gets[0].SOPInstanceUID == study[2].SOPInstanceUID
    assert "SOPInstanceUID" not in gets[1]


def test_a_success_without_objects_is_not_believed(office: Fetching) -> None:
    """The peer moves nothing, says that it moved all, and that with good counts."""
    study = make_study(1, 2)
    lie = {"objects": (), "counts": lambda *_: (0, 2, 0, 0), "destinations": {"TUIPACS": 1}}
    with ImageSource(study, **lie) as peer:
        job = office.settled(office.fetch(office.source(peer, BY_MOVE), study))
    assert job.state is JobState.WAITING
    assert "0 of 2 objects are here, 2 did not come" in job.message
    assert {item.state for item in office.items(job.key)} == {ItemState.WAITING}
    assert {item.words for item in office.items(job.key)} == {"said to be sent, and did not come"}


def test_an_unknown_destination_is_tried_by_get_instead(office: Fetching) -> None:
    study = make_study(1, 2)
    with ImageSource(study) as peer:
        job = office.settled(office.fetch(office.source(peer, BOTH), study))
        assert [asked.field for asked in peer.asked if asked.field != FIND] == [MOVE, GET]
    assert (job.state, job.stored) == (JobState.DONE, 2)


def test_an_unknown_destination_without_another_way_is_given_up_with_what_helps(
    office: Fetching,
) -> None:
    study = make_study(1, 2)
    with ImageSource(study) as peer:
        job = office.settled(office.fetch(office.source(peer, BY_MOVE), study))
    assert job.state is JobState.DEAD
    assert "0xA801 the move destination is unknown" in job.message
    assert "it has to know this archive as a destination" in job.message


def test_a_retrieval_that_broke_off_goes_on_with_what_is_missing(office: Fetching) -> None:
    study = make_study(1, 4)
    with ImageSource(study, sends=[None, None, Fault.VANISH]) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
        assert (job.state, job.stored) == (JobState.WAITING, 2)
        office.jobs.resume(TINA, m.JobRequest(key=job.key))
        job = office.ended(job.key)
        last = asked_for(peer, GET)[-1]
    assert (job.state, job.stored) == (JobState.DONE, 4)
    assert set(last.SOPInstanceUID) == uids_of(study[2:])
    assert office.uids() == uids_of(study)


def test_what_the_peer_cannot_send_is_named_and_waits(office: Fetching) -> None:
    study = make_study(1, 3)
    bad = str(study[1].SOPInstanceUID)
    objects = [held(dataset) for dataset in study if dataset.SOPInstanceUID != bad]
    with ImageSource(study, objects=objects, failed_uids=[bad]) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.stored) == (JobState.WAITING, 2)
    (left,) = [item for item in office.items(job.key) if item.state is ItemState.WAITING]
    assert (left.sop_instance_uid, left.words) == (bad, "STORE could not send it")


def test_a_list_with_a_gap_is_no_list(office: Fetching) -> None:
    """An answer that cannot be read may be the one that is missing here."""

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        if asked.QueryRetrieveLevel == "IMAGE":
            found[0].SOPInstanceUID = ""
        return found

    study = make_study(1, 2)
    with ImageSource(study, says) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.total) == (JobState.WAITING, 0)
    assert "cannot be read" in job.message
    assert office.uids() == set()


def test_a_list_that_broke_off_is_no_list(office: Fetching) -> None:
    study = make_study(1, 2)
    with ImageSource(study, find=[0x0000, 0xA700], comment="no memory") as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert job.state is JobState.WAITING
    assert "0xA700 out of resources: no memory" in job.message


def test_a_study_that_the_source_does_not_have_fails_the_job(office: Fetching) -> None:
    with ImageSource(make_study(1, 1)) as peer:
        job = office.settled(office.fetch(office.source(peer), make_study(1, 1)))
    assert job.state is JobState.FAILED
    assert "does not have the study" in job.message


@pytest.mark.parametrize("services", [BY_MOVE, BY_GET])
def test_a_job_whose_peer_is_silent_can_be_cancelled(
    office: Fetching, services: Sequence[CallService]
) -> None:
    study = make_study(1, 2)
    with ImageSource(study, move=[Fault.SILENCE], get=[Fault.SILENCE]) as peer:
        job = office.fetch(office.source(peer, services), study)
        office.until(job.key, lambda record: record.total == 2)
        office.jobs.cancel(TINA, m.JobRequest(key=job.key))
        assert office.ended(job.key).state is JobState.CANCELLED


def test_an_object_of_another_study_is_told(office: Fetching) -> None:
    """The right SOP Instance UID, and a dataset that is of somebody else."""
    study = make_study(1, 1)
    foreign = make_dataset(SOPInstanceUID=study[0].SOPInstanceUID, PatientID="SOMEBODY ELSE")
    with ImageSource(study, objects=[held(foreign)]) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    (item,) = office.items(job.key)
    assert (job.state, job.warned) == (JobState.DONE, 1)
    assert item.state is ItemState.WARNING
    assert "another Study Instance UID" in item.words


def test_all_of_it_comes_again_if_so_wanted(office: Fetching) -> None:
    study = make_study(1, 2)
    for dataset in study:
        office.parts.send(dataset)
    with ImageSource(study) as peer:
        job = office.settled(office.fetch(office.source(peer), study, only_missing=False))
        assert len(asked_for(peer, GET)) == 1
    assert (job.state, job.stored, job.duplicate) == (JobState.DONE, 2, 0)


def test_who_may_not_store_here_cannot_move_here(office: Fetching) -> None:
    """Its objects would be refused at the door: better said at once."""
    with ImageSource() as peer:
        node = office.edit(office.source(peer, BY_MOVE), services=())
        with pytest.raises(UsageError, match="may not store here"):
            office.fetch(node, make_study(1, 1))


def test_the_record_of_what_was_fetched_names_who_asked(office: Fetching) -> None:
    study = make_study(1, 1)
    with ImageSource(study) as peer:
        office.settled(office.fetch(office.source(peer), study))
    (kept,) = [r for r in office.parts.records() if r.operation == "ingest.keep_fetched"]
    assert (kept.actor, kept.sop_instance_uid) == ("tina", study[0].SOPInstanceUID)
