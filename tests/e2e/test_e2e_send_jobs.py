"""Send jobs of a real daemon: killed in each state of a job, destinations that come and go.

The oracle is the receiver: what it acknowledged, byte for byte, and how often each object came.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.dimse.faulty_peer import STORE, Fault, FaultyPeer
from tests.e2e.cli_harness import Cli
from tests.e2e.daemon_fixture import ADMIN, PATIENCE, RunningArchive, new_archive
from tests.ports import unused_port
from tuipacs.cli.session import save_login
from tuipacs.client.connection import Connection
from tuipacs.dicom.part10 import split_part10
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op

COUNT = 40
BATCH = 32  # objects that may be sent and not yet noted when the power goes


class Site:
    """An archive with one study, which can be killed."""

    def __init__(self, archive: RunningArchive, base: Path) -> None:
        self.archive = archive
        self.base = base
        self.cli = Cli(archive.paths.root, base / "state")
        self.log_in()
        study, series = make_dataset(), make_dataset()
        self.study = str(study.StudyInstanceUID)
        self.datasets: dict[str, bytes] = {}
        folder = base / "study"
        folder.mkdir()
        for number in range(COUNT):
            dataset = make_dataset(
                StudyInstanceUID=self.study,
                SeriesInstanceUID=series.SeriesInstanceUID,
                InstanceNumber=number,
                PatientComments="x" * 2000,
            )
            data = part10_bytes(dataset)
            (folder / f"{number}.dcm").write_bytes(data)
            start = split_part10(data).dataset_offset
            self.datasets[str(dataset.SOPInstanceUID)] = data[start:]
        assert self.cli.run("import", str(folder), user=ADMIN).code == 0
        self._titles = 0

    def log_in(self) -> None:
        self.connection: Connection = self.archive.connect()
        state = self.base / "state" / ADMIN / "tuipacs"
        save_login(self.archive.paths, ADMIN, self.connection.token, state=state)

    def node(self, port: int, **call: object) -> NodeRecord:
        self._titles += 1
        request = n.NodeAddRequest(
            ae_title=f"STORE{self._titles}",
            address="127.0.0.1",
            services=(),
            call=NodeCall(host="127.0.0.1", port=port, services=tuple(CallService), **call),  # type: ignore[arg-type]
        )
        return self.connection.call(op.NODE_ADD, request)

    def send(self, node: NodeRecord, *, commit: bool = False) -> int:
        request = j.SendRequest(uids=(self.study,), node=node.key, commit=commit)
        return self.connection.call(op.SEND, request).key

    def show(self, key: int) -> JobRecord:
        return self.connection.call(op.JOB, m.JobRequest(key=key))

    def until(self, key: int, holds: Callable[[JobRecord], bool]) -> JobRecord:
        deadline = time.monotonic() + PATIENCE
        while not holds(record := self.show(key)):
            assert time.monotonic() < deadline, record
            time.sleep(0.01)
        return record

    def reaches(self, key: int, *states: JobState) -> JobRecord:
        return self.until(key, lambda record: record.state in states)

    def done(self, key: int) -> JobRecord:
        record = self.until(key, lambda record: record.state.ended)
        assert (record.state, record.done, record.failed) == (JobState.DONE, COUNT, 0)
        return record

    def resume(self, key: int) -> None:
        self.connection.call(op.JOB_RESUME, m.JobRequest(key=key))

    def end(self, *, kill: bool) -> None:
        if kill:
            self.archive.kill()
        else:
            assert self.archive.stop() == 0

    def begin(self) -> None:
        self.archive.start()
        self.log_in()

    def restart(self) -> None:
        self.end(kill=True)
        self.begin()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    base = Path(tempfile.mkdtemp(prefix="tp"))
    archive = new_archive(base / "a")
    config = archive.paths.config
    config.write_text(config.read_text().replace("first_delay = 30", "first_delay = 1"))
    try:
        archive.start()
        yield Site(archive, base)
    finally:
        archive.close()
        shutil.rmtree(base)


def times_sent(peer: FaultyPeer) -> Counter[str]:
    return Counter(asked.sop_instance_uid for asked in peer.asked if asked.field == STORE)


def assert_arrived(site: Site, peer: FaultyPeer, *, again: int = 0) -> None:
    """All are there, byte for byte; at most so many came twice, and none more often."""
    for held in peer.stored:
        assert held.dataset == site.datasets[held.sop_instance_uid]
    assert {held.sop_instance_uid for held in peer.stored} == set(site.datasets)
    times = times_sent(peer)
    assert max(times.values()) <= (2 if again else 1)
    assert sum(times.values()) - COUNT <= again


# -- the daemon killed in each state of a job


def test_killed_while_the_job_is_queued(site: Site) -> None:
    with FaultyPeer() as peer:
        node = site.node(peer.port)
        site.connection.call(op.LANE_PAUSE, j.LaneRequest(node=node.key))
        key = site.send(node)
        site.restart()
        assert site.show(key).state is JobState.QUEUED
        site.connection.call(op.LANE_RESUME, j.LaneRequest(node=node.key))
        site.done(key)
        assert_arrived(site, peer)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_killed_or_stopped_in_mid_transfer(site: Site, kill: bool) -> None:
    """At so many bytes a second it takes seconds; a stop in good order sends nothing twice."""
    with FaultyPeer() as peer:
        key = site.send(site.node(peer.port, kib_per_second=50))
        site.until(key, lambda record: record.done >= COUNT // 4)
        site.end(kill=kill)
        assert COUNT // 4 <= len(peer.stored) < COUNT
        site.begin()
        site.done(key)
        assert_arrived(site, peer, again=1 if kill else 0)


def test_killed_at_full_speed_at_most_a_batch_comes_twice(site: Site) -> None:
    with FaultyPeer() as peer:
        key = site.send(site.node(peer.port))
        while len(peer.stored) < COUNT // 2:
            time.sleep(0.0005)
        site.restart()
        site.done(key)
        assert_arrived(site, peer, again=BATCH)


def test_killed_as_the_last_object_is_taken(site: Site) -> None:
    with FaultyPeer() as peer:
        key = site.send(site.node(peer.port))
        while len(peer.stored) < COUNT:
            time.sleep(0.0005)
        site.restart()
        site.done(key)
        assert_arrived(site, peer, again=BATCH)


def test_killed_while_the_job_waits_for_its_node(site: Site) -> None:
    port = unused_port()
    key = site.send(site.node(port))
    site.until(key, lambda record: record.attempts >= 1)
    site.restart()
    assert site.show(key).attempts >= 1
    assert not site.show(key).state.ended
    site.connection.call(op.JOB_CANCEL, m.JobRequest(key=key))


def test_killed_while_the_job_is_paused(site: Site) -> None:
    with FaultyPeer() as peer:
        key = site.send(site.node(peer.port, kib_per_second=50))
        site.until(key, lambda record: record.done >= 3)
        site.connection.call(op.JOB_PAUSE, m.JobRequest(key=key))
        site.reaches(key, JobState.PAUSED)
        site.restart()
        assert site.show(key).state is JobState.PAUSED
        site.resume(key)
        site.done(key)
        assert peer.associations == 2
        assert_arrived(site, peer)


def test_killed_while_it_waits_for_the_commitment(site: Site) -> None:
    """The node has taken the request and says nothing: nothing is sent or asked again."""
    with FaultyPeer() as peer:
        key = site.send(site.node(peer.port), commit=True)
        record = site.reaches(key, JobState.WAITING)
        assert "waits for the report" in record.message
        site.restart()
        assert site.show(key).state is JobState.WAITING
        assert_arrived(site, peer)
        site.connection.call(op.JOB_CANCEL, m.JobRequest(key=key))


# -- destinations


def test_a_node_that_never_answers_is_left_by_the_watchdog(site: Site) -> None:
    with FaultyPeer(store=[Fault.SILENCE]) as peer:
        key = site.send(site.node(peer.port, dimse_timeout=1))
        record = site.until(key, lambda record: record.attempts == 1)
        assert "did not answer within 1 s" in record.message
        site.done(key)  # tried again by itself
        assert peer.associations == 2


def test_a_node_that_vanishes_and_comes_back_gets_the_rest_by_itself(site: Site) -> None:
    first = FaultyPeer(store=[0x0000] * 10 + [Fault.VANISH])
    key = site.send(site.node(first.port))
    site.until(key, lambda record: record.attempts == 1)
    first.close()
    with FaultyPeer(port=first.port) as second:
        site.done(key)
    assert len(first.stored) == 10
    assert {held.sop_instance_uid for held in second.stored} == set(site.datasets) - {
        held.sop_instance_uid for held in first.stored
    }


def test_a_node_removed_while_its_job_runs_ends_the_job(site: Site) -> None:
    with FaultyPeer() as peer:
        node = site.node(peer.port, kib_per_second=50)
        key = site.send(node)
        site.until(key, lambda record: record.done >= 3)
        site.connection.call(op.NODE_REMOVE, n.NodeRemoveRequest(key=node.key))
        record = site.until(key, lambda record: record.state.ended)
    assert (record.state, record.message) == (
        JobState.FAILED,
        "there is no such node any more",
    )
    assert 3 <= len(peer.stored) < COUNT


# -- the command


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's, keeping what comes bit for bit; its port."""
    port = unused_port()
    process = subprocess.Popen(
        ["storescp", "+B", "--output-directory", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.dcmtk
def test_the_command_sends_a_study_to_dcmtk_and_waits(site: Site, tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        title = site.node(port).ae_title
        result = site.cli.run("send", site.study, "--to", title, "--wait", user=ADMIN)
        assert result.code == 0, result.err
    assert result.out.endswith(f"done: {COUNT} of {COUNT} objects sent to {title}\n")
    came = [path.read_bytes() for path in tmp_path.iterdir()]
    came_datasets = sorted(data[split_part10(data).dataset_offset :] for data in came)
    assert came_datasets == sorted(site.datasets.values())


def test_the_commands_exit_codes(site: Site) -> None:
    run = site.cli.run
    with FaultyPeer(store=[0xC000]) as peer:
        node = site.node(peer.port)
        failed = run("send", site.study, "--to", node.ae_title, "--wait", "--json", user=ADMIN)
        assert failed.code == 1
        assert failed.json["job"]["state"] == "dead"
        (item,) = failed.json["undelivered"]
        assert (item["state"], item["words"]) == ("failed", "0xC000 cannot understand")
        key = str(failed.json["job"]["key"])
        shown = run("jobs", "show", key, user=ADMIN).out
        assert f"failed: {item['sop_instance_uid']}: 0xC000 cannot understand" in shown
        assert f"next step  tuipacs jobs retry {key} does what is left" in shown
        assert "the job was given up" in failed.err
        again = run("jobs", "retry", key, user=ADMIN)
        assert (again.code, again.out) == (0, f"job {key}: queued\n")
        site.done(int(key))
    assert run("send", site.study, "--to", "NOBODY", user=ADMIN).code == 1
    assert run("send", "1.2.3", "--to", node.ae_title, user=ADMIN).code == 1
    assert run("send", site.study, user=ADMIN).code == 2
    assert run("send", site.study, "--to", node.ae_title, "--priority", "x", user=ADMIN).code == 2
    assert run("jobs", "pause", user=ADMIN).code == 2
    assert run("jobs", "cancel", key, user=ADMIN).code == 1


def test_the_commands_for_jobs_and_lanes(site: Site) -> None:
    run = site.cli.run
    node = site.node(unused_port())
    paused = run("jobs", "pause", "--lane", node.ae_title, user=ADMIN)
    assert paused.out == f"{node.ae_title} is paused: no jobs\n"
    queued = run("send", site.study, "--to", str(node.key), "--priority", "high", "--json",
                 user=ADMIN).json  # fmt: skip
    key = str(queued["key"])
    assert (queued["state"], queued["priority"]) == ("queued", 2)
    listed = run("jobs", "list", "--open", user=ADMIN).out
    assert f"{node.ae_title} is paused: 1 queued\n" in listed
    assert run("jobs", "priority", key, "low", "--json", user=ADMIN).json["priority"] == 0
    assert run("jobs", "pause", key, user=ADMIN).out == f"job {key}: paused\n"
    assert run("jobs", "resume", key, user=ADMIN).out == (
        f"job {key}: queued: the lane of {node.ae_title} is paused\n"
    )
    assert run("jobs", "cancel", key, user=ADMIN).out == f"job {key}: cancelled: cancelled\n"
    several = run("jobs", "cancel", key, "999999", key, user=ADMIN)
    assert (several.code, several.out) == (1, "")
    assert f"job {key}: the job was cancelled\njob 999999: there is no such job" in several.err
    again = run("jobs", "retry", key, "--json", user=ADMIN).json
    assert (again["key"], again["tries_left"]) == (int(key), None)
    shown = run("jobs", "show", key, user=ADMIN).out
    assert f"next step  tuipacs jobs resume --lane {node.ae_title}" in shown
    assert "first try" not in shown
    assert [job["key"] for job in run("jobs", "cancel", key, "999999", "--json", user=ADMIN).json]
    opened = run("jobs", "resume", "--lane", str(node.key), user=ADMIN)
    assert opened.out == f"{node.ae_title} is open: no jobs\n"


def test_a_killed_daemon_is_waited_for_by_the_command(site: Site) -> None:
    """`--wait` goes on when the archive does."""
    from tests.e2e.zygote import start_command

    with FaultyPeer() as peer:
        title = site.node(peer.port, kib_per_second=50).ae_title
        words = ("send", site.study, "--to", title, "--wait")
        command = start_command(words, site.cli.environment(ADMIN), b"")
        while len(peer.stored) < 3:
            time.sleep(0.005)
        site.restart()
        out, err = command.communicate(timeout=60)
        assert command.returncode == 0, err.decode()
        assert f"{COUNT} of {COUNT} objects sent" in out.decode()
        assert_arrived(site, peer, again=1)


def test_the_log_names_no_patient(site: Site) -> None:
    assert "T-1" not in site.archive.log()
