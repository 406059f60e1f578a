"""Retrieve jobs against archives that lie, refuse and vanish: only what has come counts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.faulty_peer import FIND, GET, MOVE, Fault, FaultyPeer
from tests.dimse.image_source import ImageSource, held, question, with_uid
from tests.unit.jobs.office import TINA, Office
from tests.unit.services.conftest import parts as parts
from tests.unit.services.parts import Parts
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import PATIENT_ROOT_FIND
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

    def fetch_all(self, node: NodeRecord, *studies: Sequence[Dataset]) -> JobRecord:
        """Ask for several studies in one job."""
        targets = tuple(
            RetrieveTarget(study_instance_uid=str(study[0].StudyInstanceUID)) for study in studies
        )
        return self.retrievals.submit(TINA, RetrieveRequest(node=node.key, targets=targets))

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


LONG = "1.2.826.0.1.3680043.2.1143." + "7" * 40  # 67 characters: seen in the field


@pytest.mark.parametrize(
    ("uid", "shown", "why"),
    [
        ("", "", "no SOP Instance UID"),
        ("1." * 70 + "1", "1." * 63 + "1\N{HORIZONTAL ELLIPSIS}", "a SOP Instance UID of 141"),
        ("1.2\x1b[2J", "1.2\N{SYMBOL FOR ESCAPE}[2J", "with characters that none has"),
    ],
)
def test_what_nobody_can_ask_for_fails_at_once_and_holds_up_nothing(
    office: Fetching, uid: str, shown: str, why: str
) -> None:
    """Beside it two others of its series and another study are good."""
    study, other = make_study(1, 3), make_study(1, 2)
    with_uid(study[0], uid)
    objects = [held(dataset) for dataset in (*study[1:], *other)]
    with ImageSource([*study, *other], objects=objects) as peer:
        job = office.settled(office.fetch_all(office.source(peer), study, other))
        asked = [str(get.get("SOPInstanceUID", "")) for get in asked_for(peer, GET)]
    assert (job.state, job.total, job.stored, job.failed) == (JobState.DEAD, 5, 4, 1)
    assert "1 failed, it: the source lists it with" in job.message
    assert why in job.message
    (item,) = [item for item in office.items(job.key) if item.state is ItemState.FAILED]
    assert item.sop_instance_uid == shown
    assert why in item.words
    assert office.uids() == uids_of([*study[1:], *other])
    assert len(asked) == 2


def test_a_uid_of_67_characters_is_fetched_as_it_is(office: Fetching) -> None:
    """It is kept here, so it can be had; DCMTK cuts it in its command."""
    study = make_study(1, 3)
    odd = with_uid(study[1], LONG)
    with ImageSource(study, objects=[held(study[0]), odd, held(study[2])]) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.stored) == (JobState.DONE, 3)
    assert LONG in office.uids()


def test_what_has_too_long_a_uid_is_asked_for_alone(office: Fetching) -> None:
    """A source that does not take such a question gives the others."""
    study = make_study(1, 4)
    office.parts.send(study[0])
    odd = with_uid(study[1], LONG)
    with ImageSource(study, objects=[odd, *map(held, study[2:])]) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
        gets = [asked.dataset for asked in peer.asked if asked.field == GET]
    assert (job.state, job.stored, job.duplicate) == (JobState.DONE, 3, 1)
    assert [LONG.encode() in get for get in gets] == [True, False]
    assert all(str(each.SOPInstanceUID).encode() in gets[1] for each in study[2:])


def test_a_list_with_a_gap_is_asked_for_again_and_holds_up_no_other_study(
    office: Fetching,
) -> None:
    """One answer is garbage the first time; what it stood for comes later, and nothing twice."""
    study, other = make_study(2, 2), make_study(1, 2)
    garbage = [b"no dataset"]

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset | bytes]:
        is_gap = asked.QueryRetrieveLevel == "IMAGE" and garbage
        return [garbage.pop(), *found[1:]] if is_gap else [*found]

    with ImageSource([*study, *other], says) as peer:
        job = office.settled(office.fetch_all(office.source(peer), study, other))
        assert (job.state, job.total, job.stored) == (JobState.WAITING, 5, 5)
        assert "5 of 5 objects are here; " in job.message
        assert f"not all of the study {study[0].StudyInstanceUID} is listed" in job.message
        assert "1 answer cannot be read" in job.message
        office.later(60)
        job = office.ended(job.key)
        finds = [question(asked) for asked in peer.asked if asked.field == FIND]
    assert (job.state, job.total, job.done, job.stored) == (JobState.DONE, 6, 6, 6)
    assert office.uids() == uids_of([*study, *other])
    ids = [item.sop_instance_uid for item in office.items(job.key)]
    assert len(ids) == len(set(ids)) == 6
    again = [str(other[0].StudyInstanceUID) == find.StudyInstanceUID for find in finds]
    assert again.count(True) == 3  # whose it is, its series, and the instances of one: once


def test_a_study_whose_list_is_garbage_each_time_is_given_up_alone(office: Fetching) -> None:
    study, other = make_study(1, 2), make_study(1, 2)
    uid = str(study[0].StudyInstanceUID)

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset | bytes]:
        return [b"no dataset"] if asked.StudyInstanceUID == uid else [*found]

    with ImageSource([*study, *other], says) as peer:
        job = office.settled(office.fetch_all(office.source(peer), study, other))
        for attempt in range(2, 12):
            office.later(700)
            job = office.until(
                job.key,
                lambda r, n=attempt: (
                    r.state.ended or (r.state is JobState.WAITING and r.attempts == n)
                ),
            )
    assert (job.state, job.stored, job.total) == (JobState.DEAD, 2, 2)
    assert f"not all of the study {uid} is listed: its list of series has gaps" in job.message


def test_a_study_that_breaks_the_association_is_listed_last(office: Fetching) -> None:
    study, other = make_study(1, 2), make_study(1, 2)
    with ImageSource([*study, *other], find=[Fault.ABORT]) as peer:
        job = office.settled(office.fetch_all(office.source(peer), study, other))
        assert (job.state, job.total) == (JobState.WAITING, 0)
        office.later(60)
        job = office.ended(job.key)
        finds = [question(asked) for asked in peer.asked if asked.field == FIND]
    assert (job.state, job.stored) == (JobState.DONE, 4)
    assert finds[1].StudyInstanceUID == other[0].StudyInstanceUID


def test_a_study_that_is_gone_fails_alone_and_comes_when_it_is_back(office: Fetching) -> None:
    study, gone = make_study(1, 2), make_study(1, 2)
    with ImageSource(study, objects=[held(each) for each in (*study, *gone)]) as peer:
        job = office.settled(office.fetch_all(office.source(peer), gone, study))
        assert (job.state, job.stored, job.failed) == (JobState.DEAD, 2, 1)
        assert f"does not have the study {gone[0].StudyInstanceUID}" in job.message
        peer.has += gone
        office.jobs.retry(TINA, m.JobRequest(key=job.key))
        job = office.until(job.key, lambda r: r.state.ended and r.state is not JobState.DEAD)
    assert (job.state, job.stored, job.total, job.failed) == (JobState.DONE, 4, 4, 0)


def test_a_list_that_broke_off_is_no_list(office: Fetching) -> None:
    study = make_study(1, 2)
    with ImageSource(study, find=[0x0000, 0xA700], comment="no memory") as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert job.state is JobState.WAITING
    assert "0xA700 out of resources: no memory" in job.message


def test_a_node_of_patient_root_alone_is_told_with_what_helps(office: Fetching) -> None:
    study = make_study(1, 1)
    with ImageSource(study, takes=lambda abstract, _: abstract == PATIENT_ROOT_FIND) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert job.state is JobState.FAILED
    assert "STORE takes Patient Root queries only" in job.message
    assert "switch on the Study Root models" in job.message
    assert peer.asked == []


def test_a_node_that_takes_no_queries_is_not_asked_again_and_again(office: Fetching) -> None:
    study = make_study(1, 1)
    with ImageSource(study, takes=lambda *_: False) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert job.state is JobState.DEAD
    assert "accepted none of the presentation contexts" in job.message


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


def test_a_removed_destination_gets_nothing_more(office: Fetching) -> None:
    """In the middle of a move that never ends."""
    study = make_study(1, 2)
    with ImageSource(study, move=[Fault.SILENCE]) as peer:
        to = office.node("THIRD", services=())
        job = office.fetch(office.source(peer, BY_MOVE), study, destination=to.key)
        eventually(lambda: asked_for(peer, MOVE))
        office.remove(to)
        job = office.ended(job.key)
        assert len(asked_for(peer, MOVE)) == 1
    assert job.state is JobState.FAILED
    assert "it was to go to is not there any more" in job.message


def test_a_changed_destination_is_asked_for_by_what_it_is_now(office: Fetching) -> None:
    study = make_study(1, 2)
    with FaultyPeer() as third, ImageSource(study, move=[Fault.SILENCE]) as peer:
        peer.destinations = {"OTHER": third.port}
        to = office.node("THIRD", services=())
        job = office.fetch(office.source(peer, BY_MOVE), study, destination=to.key)
        eventually(lambda: asked_for(peer, MOVE))
        office.edit(to, ae_title="OTHER")
        job = office.settled(job)
        assert {kept.sop_instance_uid for kept in third.stored} == uids_of(study)
    assert (job.state, job.done) == (JobState.DONE, 2)
    assert "are at OTHER" in job.message


def _other(dataset: Dataset, **changes: object) -> Dataset:
    """The same, but for this."""
    other = copy.deepcopy(dataset)
    other.update(Dataset())
    for keyword, value in changes.items():
        setattr(other, keyword, value)
    return other


OTHERS = [
    ({"StudyInstanceUID": "1.2.3.4"}, "it is of another study than was asked for"),
    ({"SeriesInstanceUID": "1.2.3.4"}, "it is of another series than was asked for"),
    ({"PatientID": "SOMEBODY ELSE"}, "it is of another patient than the source said"),
    ({"PatientID": ""}, "it is of another patient than the source said"),
    ({"IssuerOfPatientID": "CLINIC B"}, "it is of another patient than the source said"),
]


@pytest.mark.parametrize(("changes", "words"), OTHERS)
def test_what_is_not_what_was_asked_for_is_not_kept(
    office: Fetching, changes: dict[str, object], words: str
) -> None:
    """The right SOP Instance UID, and a dataset that is of something else: no right to store."""
    study = make_study(1, 2, PatientID="WANTED", IssuerOfPatientID="CLINIC A")
    sent = [held(_other(study[0], **changes)), held(study[1])]
    with ImageSource(study, objects=sent) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
        assert peer.replies == [0xA900, 0x0000]
    assert (job.state, job.stored, job.failed) == (JobState.DEAD, 1, 1)
    assert job.message == f"1 of 2 objects are here; 1 failed, it: {words}"
    failed, done = office.items(job.key)
    assert (failed.state, failed.words) == (ItemState.FAILED, words)
    assert done.state is ItemState.DONE
    assert office.uids() == uids_of(study[1:])
    assert not list((office.parts.folder / "quarantine").glob("*"))


def test_an_object_that_is_moved_here_for_another_patient_is_told(office: Fetching) -> None:
    """It comes through the door of all objects, so it is kept."""
    study = make_study(1, 2, PatientID="WANTED")

    def sent(*_: int) -> tuple[int, int, int, int]:
        office.parts.send(_other(study[0], PatientID="SOMEBODY ELSE"))
        office.parts.send(study[1])
        return 0, 2, 0, 0

    with ImageSource(study, objects=(), counts=sent, destinations={"TUIPACS": 1}) as peer:
        job = office.settled(office.fetch(office.source(peer, BY_MOVE), study))
    assert (job.state, job.warned, job.done) == (JobState.DONE, 1, 2)
    assert "1 with a warning, it: it came for another patient" in job.message
    assert "SOMEBODY" not in job.message
    states = {item.sop_instance_uid: item.state for item in office.items(job.key)}
    assert states[str(study[0].SOPInstanceUID)] is ItemState.WARNING
    assert states[str(study[1].SOPInstanceUID)] is ItemState.DONE


def test_an_object_that_is_moved_here_of_another_study_is_told(office: Fetching) -> None:
    study = make_study(1, 1)

    def sent(*_: int) -> tuple[int, int, int, int]:
        office.parts.send(_other(study[0], StudyInstanceUID="1.2.3.4"))
        return 0, 1, 0, 0

    with ImageSource(study, objects=(), counts=sent, destinations={"TUIPACS": 1}) as peer:
        job = office.settled(office.fetch(office.source(peer, BY_MOVE), study))
    (item,) = office.items(job.key)
    assert (job.state, job.warned) == (JobState.DONE, 1)
    assert "another Study Instance UID" in item.words


@pytest.mark.parametrize("said", ["nobody", "refused", "two"])
def test_a_source_that_does_not_say_whose_it_is_is_taken_at_its_objects(
    office: Fetching, said: str
) -> None:
    """It names no patient, refuses to, or names two."""
    study = make_study(1, 2, PatientID="WANTED")

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        if asked.QueryRetrieveLevel != "STUDY":
            return found
        if said == "two":
            return [*found, _other(found[0], PatientID="SOMEBODY ELSE")]
        return [_other(found[0], PatientID="")]

    find = [0xA900] if said == "refused" else []
    objects = [held(_other(each, PatientID="SOMEBODY ELSE")) for each in study]
    with ImageSource(study, says, objects=objects, find=find) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.stored, job.warned) == (JobState.DONE, 2, 0)


def test_a_patient_id_is_the_same_however_it_is_padded(office: Fetching) -> None:
    study = make_study(1, 1, PatientID="ODD")
    with ImageSource(
        study, lambda _, found: [_other(each, PatientID=" ODD  ") for each in found]
    ) as peer:
        job = office.settled(office.fetch(office.source(peer), study))
    assert (job.state, job.stored) == (JobState.DONE, 1)


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
