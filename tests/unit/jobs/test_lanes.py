"""Lanes: whose turn it is, how many at once, and what holds a lane or a job without losing it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.unit.jobs.office import ADMIN, PATIENCE, TINA, Office, Scripted
from tests.unit.services.parts import Parts
from tuipacs.domain.job import JobPriority, JobRecord, JobState
from tuipacs.domain.permissions import Role
from tuipacs.index import nodes
from tuipacs.jobs.running import Progress
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m


@pytest.fixture
def office(parts: Parts) -> Iterator[Office]:
    office = Office(parts)
    yield office
    office.stop()


class Held:
    """A kind whose jobs stay until they are let go; ``now`` are those that run."""

    def __init__(self) -> None:
        self.now: list[int] = []
        self.began: list[int] = []
        self._changed = threading.Condition()
        self._let_go: set[int] = set()

    def play(self, record: JobRecord, progress: Progress) -> str:
        with self._changed:
            self.now.append(record.key)
            self.began.append(record.key)
            self._changed.notify_all()
        try:
            while True:
                progress.check()
                with self._changed:
                    if record.key in self._let_go:
                        return "done"
                    self._changed.wait(0.02)
        finally:
            with self._changed:
                self.now.remove(record.key)
                self._changed.notify_all()

    def let_go(self, *keys: int) -> None:
        with self._changed:
            self._let_go.update(keys)
            self._changed.notify_all()

    def wait(self, holds: Callable[[Held], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), PATIENCE), (self.now, self.began)


def test_a_node_that_hangs_holds_up_nobody_else(office: Office) -> None:
    held = Held()
    slow, quick = office.node("SLOW"), office.node("QUICK")
    office.start(Scripted(held.play))
    stuck = office.add(slow)
    others = [office.add(quick) for _ in range(3)]
    held.let_go(*others)
    assert [office.ended(key).state for key in others] == [JobState.DONE] * 3
    assert office.show(stuck).state is JobState.RUNNING


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_lane_has_as_many_jobs_at_once_as_its_node_takes_associations(
    office: Office, slots: int
) -> None:
    held = Held()
    node = office.node(max_associations=slots)
    keys = [office.add(node) for _ in range(5)]
    office.start(Scripted(held.play))
    for first in range(5):
        running = keys[first : first + slots]
        held.wait(lambda held, running=running: set(held.now) == set(running))  # type: ignore[misc]
        held.let_go(keys[first])
        office.ended(keys[first])
    assert sorted(held.began) == keys  # those that begin at once do so in any order


def test_a_higher_priority_goes_first_then_the_older(office: Office) -> None:
    order: list[int] = []
    node = office.node()
    low = office.add(node, priority=JobPriority.LOW)
    normal = [office.add(node), office.add(node)]
    high = [office.add(node, priority=JobPriority.HIGH) for _ in range(2)]
    late = office.add(node)
    raised = office.add(node, priority=JobPriority.LOW)
    office.jobs.set_priority(TINA, j.JobPriorityRequest(key=raised, priority=JobPriority.HIGH))

    def play(record: JobRecord, progress: Progress) -> str:
        order.append(record.key)
        return ""

    office.start(Scripted(play))
    office.ended(low)
    assert order == [*high, raised, *normal, late, low]


def test_a_paused_lane_lets_go_of_its_jobs_between_two_objects(office: Office) -> None:
    held = Held()
    node, other = office.node(), office.node("OTHER")
    office.start(Scripted(held.play))
    key, second = office.add(node), office.add(node)
    held.wait(lambda held: held.now == [key])
    lane = office.jobs.pause_lane(TINA, j.LaneRequest(ae_title="PACS2"))
    assert (lane.paused, lane.node_title) == (True, "PACS2")
    assert office.until(key, lambda r: r.state is JobState.QUEUED).attempts == 0
    assert office.show(second).message == "the lane of PACS2 is paused"
    free = office.add(other)
    held.let_go(key, second, free)
    assert office.ended(free).state is JobState.DONE
    assert held.began == [key, free]
    office.jobs.resume_lane(TINA, j.LaneRequest(node=node.key))
    assert office.ended(second).state is JobState.DONE
    assert held.began == [key, free, key, second]


def test_a_job_ends_when_its_submitter_is_disabled(office: Office) -> None:
    held = Held()
    runner = office.start(Scripted(held.play))
    key = office.add(office.node())
    held.wait(lambda held: held.now == [key])
    office.parts.users.set_disabled(ADMIN, m.UserDisableRequest(name="tina", disabled=True))
    runner.look()
    assert office.ended(key).state is JobState.FAILED
    assert "may not act any more" in office.show(key).message


def test_a_job_begins_anew_with_the_rights_that_its_submitter_has_now(office: Office) -> None:
    held = Held()
    runner = office.start(Scripted(held.play))
    key = office.add(office.node())
    held.wait(lambda held: held.now == [key])
    office.parts.users.set_role(ADMIN, m.UserRoleRequest(name="tina", role=Role.VIEWER))
    runner.look()
    held.wait(lambda held: held.began == [key, key])
    held.let_go(key)
    assert office.ended(key).state is JobState.DONE


def at(hour: int, minute: int = 0) -> float:
    """On some day, as the clock on the wall shows it."""
    return dt.datetime(2027, 3, 10, hour, minute).timestamp()  # noqa: DTZ001 - local time


def test_a_job_waits_for_its_nodes_window_and_stops_when_it_closes(office: Office) -> None:
    held = Held()
    node = office.node(window="22:00-06:00")
    office.clock.now = at(21)
    office.start(Scripted(held.play))
    key = office.add(node)
    shown = office.reaches(key, JobState.WAITING)
    assert (shown.retry_at, shown.message) == (at(22), "PACS2 is called from 22:00 to 06:00 only")
    office.later(3600)
    held.wait(lambda held: held.now == [key])
    lanes = office.jobs.list(TINA, j.JobsRequest()).lanes
    assert [(lane.running, lane.opens_at) for lane in lanes] == [(1, None)]
    office.later(8 * 3600 - 1)
    held.wait(lambda held: held.now == [key])
    office.clock.now += 1
    held.wait(lambda held: held.now == [])
    assert office.reaches(key, JobState.WAITING).retry_at == at(22) + 86400
    assert office.show(key).attempts == 0
    office.change(node, window="")
    held.let_go(key)
    assert office.ended(key).state is JobState.DONE


def test_a_node_edited_while_its_job_runs_is_called_anew(office: Office) -> None:
    held = Held()
    node = office.node(port=104)
    office.start(Scripted(held.play))
    key = office.add(node)
    held.wait(lambda held: held.now == [key])
    office.change(node, port=11112)
    held.wait(lambda held: held.began == [key, key])
    held.let_go(key)
    assert office.ended(key).state is JobState.DONE


def test_a_change_that_is_none_to_the_calling_disturbs_nobody(office: Office) -> None:
    held = Held()
    node = office.node()
    office.start(Scripted(held.play))
    key = office.add(node)
    held.wait(lambda held: held.now == [key])
    office.change(node)
    held.let_go(key)
    office.ended(key)
    assert held.began == [key]


def test_jobs_of_a_removed_node_never_go_to_the_one_that_gets_its_key(office: Office) -> None:
    """SQLite gives a freed key away again."""
    reached: list[str] = []

    def play(record: JobRecord, progress: Progress) -> str:
        reached.append(office.calling.node(record.node).ae_title)
        return ""

    node = office.node("PACS2")
    keys = [office.add(node) for _ in range(3)]
    office.put(keys[1], state="waiting", retry_at=office.clock() + 1000)
    office.put(keys[2], state="paused")
    office.remove(node)
    stranger = office.node("STRANGER")
    assert stranger.key == node.key
    office.start(Scripted(play))
    office.jobs.resume(TINA, m.JobRequest(key=keys[2]))
    records = [office.ended(key) for key in keys]
    assert [record.state for record in records] == [JobState.FAILED] * 3
    assert {record.message for record in records} == {"there is no such node any more"}
    assert {record.node_title for record in records} == {"PACS2"}
    assert reached == []
    with pytest.raises(Exception, match="PACS2 was removed"):
        office.jobs.retry(TINA, m.JobRequest(key=keys[0]))


def test_a_paused_lane_is_listed_without_jobs_too(office: Office) -> None:
    node = office.node()
    office.node("OTHER")
    assert office.jobs.list(TINA, j.JobsRequest()).lanes == ()
    office.jobs.pause_lane(TINA, j.LaneRequest(node=node.key))
    with office.index.read() as reader:
        kept = nodes.node(reader, node.key)
    assert kept is not None and kept.paused
    lanes = office.jobs.list(TINA, j.JobsRequest()).lanes
    assert [(lane.node_title, lane.paused) for lane in lanes] == [("PACS2", True)]


def test_the_list_can_be_of_open_jobs_and_of_one_lane(office: Office) -> None:
    node, other = office.node(), office.node("OTHER")
    keys = [office.add(node), office.add(other), office.add(node)]
    office.put(keys[2], state="dead", finished_at=1.0)

    def listed(**wanted: object) -> list[int]:
        request = j.JobsRequest(**wanted)  # type: ignore[arg-type]
        return [record.key for record in office.jobs.list(TINA, request).jobs]

    assert listed() == keys[::-1]
    assert listed(open_only=True) == [keys[1], keys[0]]
    assert listed(node=node.key) == [keys[2], keys[0]]
    assert listed(node=0) == []
    assert listed(limit=1) == [keys[2]]
