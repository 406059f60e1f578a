"""Daemons that route to one another: what comes of it is finite, and survives kill -9."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.builders import make_study
from tests.e2e.daemon_fixture import RunningArchive, new_archive
from tests.ports import unused_port
from tests.waiting import eventually
from tuipacs.client.connection import Connection
from tuipacs.domain.job import JobKind, JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.route import RouteRule
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import JobsRequest
from tuipacs.schema.messages import Empty, FindRequest, JobRequest
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.schema.route_messages import RouteAddRequest, RouteExplanation, RouteStudyRequest
from tuipacs.scu.c_store import store_datasets
from tuipacs.scu.requestor import Context, Peer

PATIENCE = 30.0  # seconds


@dataclass
class Site:
    """One archive, by its AE title."""

    title: str
    port: int
    archive: RunningArchive
    login: tuple[int, Connection] | None = None  # and with which process

    @property
    def admin(self) -> Connection:
        if self.login is None or self.login[0] != self.archive.pid:
            self.login = (self.archive.pid, self.archive.connect())
        return self.login[1]

    def know(self, other: Site) -> int:
        """Let another archive store here, and be sent to."""
        request = NodeAddRequest(
            ae_title=other.title,
            address="",
            services=(NodeService.ECHO, NodeService.STORE),
            call=NodeCall(host="127.0.0.1", port=other.port, services=(CallService.SEND,)),
        )
        return self.admin.call(op.NODE_ADD, request).key

    def route_to(self, other: Site) -> None:
        """Send everything on."""
        rule = RouteRule(name=f"to {other.title}", nodes=(self.know(other),))
        self.admin.call(op.ROUTE_ADD, RouteAddRequest(rule=rule))

    def get(self, count: int, calling: str = "CT1") -> str:
        """Receive a new study; its UID."""
        datasets = make_study(1, count)
        for dataset in datasets:
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        peer = Peer("127.0.0.1", self.port, self.title, calling)
        contexts = [Context(CTImageStorage, ExplicitVRLittleEndian)]
        assert all(outcome.stored for outcome in store_datasets(peer, datasets, contexts))
        return str(datasets[0].StudyInstanceUID)

    def holds(self, study: str) -> int:
        """How many objects of a study are here."""
        found = self.admin.call(op.FIND, FindRequest(filter=f"uid:{study}"))
        return sum(row.number_of_study_related_instances for row in found.studies)

    def sends(self) -> tuple[JobRecord, ...]:
        """Its jobs that send."""
        jobs = self.admin.call(op.JOBS, JobsRequest()).jobs
        return tuple(job for job in jobs if job.kind is JobKind.SEND)

    def explain(self, study: str) -> RouteExplanation:
        request = RouteStudyRequest(study_instance_uid=study)
        (found,) = self.admin.call(op.ROUTE_EXPLAIN, request).studies
        return found

    def rests(self, study: str) -> bool:
        """Whether nothing more will come of a study that is here, unless something arrives."""
        return (
            self.holds(study) > 0
            and not self.explain(study).waits
            and all(job.state.ended for job in self.sends())
        )


@pytest.fixture
def site() -> Iterator[Callable[[str], Site]]:
    """Make and start archives that take a study for complete after one second."""
    base = Path(tempfile.mkdtemp(prefix="tp"))
    made: list[Site] = []

    def make(title: str) -> Site:
        port = unused_port()
        archive = new_archive(base / title, ae_title=title, port=port)
        config = archive.paths.config
        text = config.read_text().replace("quiet_seconds = 60", "quiet_seconds = 1")
        config.write_text(text)
        made.append(Site(title, port, archive))
        archive.start()
        return made[-1]

    yield make
    for each in made:
        each.archive.close()
    shutil.rmtree(base)


def test_two_archives_that_forward_to_each_other_come_to_rest(
    site: Callable[[str], Site],
) -> None:
    one, two = site("ONE"), site("TWO")
    one.route_to(two)
    two.route_to(one)
    study = one.get(4)
    eventually(lambda: two.holds(study) == 4 and one.rests(study) and two.rests(study), PATIENCE)
    assert [(job.state, job.done) for job in one.sends()] == [(JobState.DONE, 4)]
    assert two.sends() == ()
    assert [d.reason for d in two.explain(study).decisions] == ["all that is new came from ONE"]


def test_a_ring_of_three_archives_comes_to_rest_with_each_object_once(
    site: Callable[[str], Site],
) -> None:
    """The third sends it back to the first, which has it: that is no arrival."""
    ring = [site("ONE"), site("TWO"), site("THREE")]
    for here, there in zip(ring, [*ring[1:], ring[0]], strict=True):
        here.route_to(there)
        there.know(here)
    study = ring[0].get(3)
    eventually(lambda: ring[2].holds(study) == 3, PATIENCE)
    eventually(
        lambda: len(ring[2].sends()) == 1 and all(each.rests(study) for each in ring), PATIENCE
    )
    assert [len(each.sends()) for each in ring] == [1, 1, 1]
    assert [each.holds(study) for each in ring] == [3, 3, 3]
    assert all(job.state is JobState.DONE for each in ring for job in each.sends())


def test_a_killed_archive_routes_what_waited_and_sends_what_it_had_decided(
    site: Callable[[str], Site],
) -> None:
    one, two = site("ONE"), site("TWO")
    one.route_to(two)
    two.know(one)
    two.archive.stop()
    waiting = one.get(3)
    one.archive.kill()
    one.archive.start()
    eventually(lambda: len(one.sends()) == 1, PATIENCE)  # nobody there yet
    one.archive.kill()
    two.archive.start()
    one.archive.start()
    (job,) = one.sends()
    if job.state is JobState.WAITING:
        one.admin.call(op.JOB_PAUSE, JobRequest(key=job.key))
        one.admin.call(op.JOB_RESUME, JobRequest(key=job.key))  # at once, not in half a minute
    eventually(lambda: two.holds(waiting) == 3 and one.rests(waiting), PATIENCE)
    (job,) = one.sends()
    assert (job.state, job.done, job.failed) == (JobState.DONE, 3, 0)
    assert [d.reason for d in one.explain(waiting).decisions] == ["3 objects to TWO"]
    assert one.admin.call(op.ROUTES, Empty()).waiting == 0
