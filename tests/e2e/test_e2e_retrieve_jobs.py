"""Kill -9 while a study is retrieved: the next daemon goes on, nothing is lost and nothing doubled.

The oracle is the source: what it was asked for, and the archive's own count of what is there.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_study
from tests.dimse.faulty_peer import ACTION, FIND, GET, MOVE, Fault
from tests.dimse.image_source import ImageSource, held, question
from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.ports import unused_port
from tests.waiting import eventually
from tuipacs.domain.job import ItemState, JobRecord, JobState
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.schema import commit_messages as c
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op
from tuipacs.schema import remote_messages as r

COUNT = 8
HALF = COUNT // 2


class Site:
    """An archive that retrieves, and can be killed."""

    def __init__(self, archive: RunningArchive) -> None:
        self.archive = archive
        self.connection = archive.connect()
        self._titles = 0

    def node(self, peer: ImageSource, *services: CallService) -> NodeRecord:
        self._titles += 1
        request = n.NodeAddRequest(
            ae_title=f"SOURCE{self._titles}",
            address="127.0.0.1",
            services=(NodeService.STORE,),
            call=NodeCall(host="127.0.0.1", port=peer.port, services=services),
        )
        peer.title = request.ae_title
        peer.destinations = {"TUIPACS": self.archive.port}
        return self.connection.call(op.NODE_ADD, request)

    def retrieve(self, study: Sequence[Dataset], node: NodeRecord) -> int:
        target = r.RetrieveTarget(study_instance_uid=str(study[0].StudyInstanceUID))
        request = r.RetrieveRequest(node=node.key, targets=(target,))
        return self.connection.call(op.RETRIEVE, request).key

    def until(self, key: int, holds: Callable[[JobRecord], bool]) -> JobRecord:
        return eventually(lambda: record if holds(record := self.show(key)) else None)

    def show(self, key: int) -> JobRecord:
        return self.connection.call(op.JOB, m.JobRequest(key=key))

    def restart(self) -> None:
        """Kill -9, and the next daemon."""
        self.archive.kill()
        self.archive.start()
        self.connection = self.archive.connect()

    def done(self, key: int, study: Sequence[Dataset]) -> None:
        """The job has ended well, each object is one item, and is here once."""
        record = self.until(key, lambda record: record.state.ended)
        assert (record.state, record.done, record.total) == (JobState.DONE, COUNT, COUNT), record
        asked = j.JobItemsRequest(key=key, limit=100)
        items = self.connection.call(op.JOB_ITEMS, asked).items
        assert {item.state for item in items} == {ItemState.DONE}
        wanted = [str(dataset.SOPInstanceUID) for dataset in study]
        assert sorted(item.sop_instance_uid for item in items) == sorted(wanted)
        each = r.HoldingsRequest(level=Level.INSTANCE, uids=tuple(wanted))
        assert self.connection.call(op.REMOTE_HERE, each).counts == (1,) * COUNT
        whole = r.HoldingsRequest(level=Level.STUDY, uids=(str(study[0].StudyInstanceUID),))
        assert self.connection.call(op.REMOTE_HERE, whole).counts == (COUNT,)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="tp"))
    archive = new_archive(base / "a", port=unused_port())
    try:
        archive.start()
        yield Site(archive)
    finally:
        archive.close()
        shutil.rmtree(base)


def asked_for(peer: ImageSource, field: int) -> list[Dataset]:
    return [question(asked) for asked in peer.asked if asked.field == field]


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_killed_while_the_source_is_listed(site: Site, answered: int) -> None:
    study = make_study(2, HALF)
    deeds = [0x0000] * answered + [Fault.SILENCE]
    with ImageSource(study, find=deeds) as peer:
        key = site.retrieve(study, site.node(peer, CallService.QUERY, CallService.GET))
        eventually(lambda: len(asked_for(peer, FIND)) == answered + 1)
        site.restart()
        site.done(key, study)
        assert len(asked_for(peer, GET)) == 2  # a request for each series


def test_killed_while_objects_come_by_c_get(site: Site) -> None:
    """In the middle of one: that one comes again, and those that came are not asked for again."""
    study = make_study(1, COUNT)
    with ImageSource(study, sends=[*[None] * HALF, Fault.SILENCE]) as peer:
        key = site.retrieve(study, site.node(peer, CallService.QUERY, CallService.GET))
        uids = tuple(str(dataset.SOPInstanceUID) for dataset in study)
        here = r.HoldingsRequest(level=Level.INSTANCE, uids=uids)
        eventually(lambda: sum(site.connection.call(op.REMOTE_HERE, here).counts) == HALF)
        site.restart()
        site.done(key, study)
        first, second = asked_for(peer, GET)
        assert first.QueryRetrieveLevel == "SERIES"
        assert list(second.SOPInstanceUID) == list(uids[HALF:])
        levels = [find.QueryRetrieveLevel for find in asked_for(peer, FIND)]
        assert levels.count("IMAGE") == 1  # listed once


def test_killed_while_it_waits_for_objects_of_a_c_move(site: Site) -> None:
    """The source has said its last word, and half of it has come."""
    study = make_study(1, COUNT)
    objects = [held(dataset) for dataset in study]
    told = (0, COUNT, 0, 0)
    with ImageSource(study, objects=objects[:HALF], counts=lambda *_: told) as peer:
        key = site.retrieve(study, site.node(peer, CallService.QUERY, CallService.MOVE))
        site.until(key, lambda record: record.done == HALF)
        assert site.show(key).state is JobState.RUNNING
        peer.objects = objects
        site.restart()
        site.done(key, study)
        moves = asked_for(peer, MOVE)
    assert [move.QueryRetrieveLevel for move in moves] == ["SERIES", "IMAGE"]
    assert list(moves[1].SOPInstanceUID) == [str(each.SOPInstanceUID) for each in study[HALF:]]


def test_killed_while_a_commitment_waits_for_its_next_try(site: Site) -> None:
    """The node had no room for one: only that is asked about again."""
    study = make_study(1, COUNT)
    with ImageSource(study, report_here=True) as peer:
        peer.outcome = lambda uid, items: (uid, items[1:], [(*items[0], 0x0213)])
        services = (CallService.QUERY, CallService.GET, CallService.COMMIT)
        node = site.node(peer, *services)
        site.done(site.retrieve(study, node), study)
        asked = c.CommitRequest(uids=(str(study[0].StudyInstanceUID),), node=node.key)
        key = site.connection.call(op.COMMIT, asked).key
        site.until(key, lambda record: "0x0213" in record.message)
        site.restart()
        record = site.show(key)
        assert (record.state, record.done, record.attempts) == (JobState.WAITING, COUNT - 1, 1)
        peer.outcome = lambda uid, items: (uid, items, [])
        site.connection.call(op.JOB_RESUME, m.JobRequest(key=key))
        record = site.until(key, lambda record: record.state.ended)
        assert (record.state, record.done, record.failed) == (JobState.DONE, COUNT, 0)
        actions = [one for one in peer.asked if one.field == ACTION]
    first, last = (one.dataset.count(b"\x08\x00\x55\x11UI") for one in actions)
    assert (first, last) == (COUNT, 1)
