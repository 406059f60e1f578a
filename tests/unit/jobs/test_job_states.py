"""The states of a job: where each end of a run leads, and what people may ask in each of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.unit.jobs.office import TINA, Office, Scripted
from tests.unit.services.parts import PASSWORD, Parts, actor
from tuipacs.domain.job import (
    ROUTING_SUBMITTER,
    ItemState,
    JobRecord,
    JobState,
)
from tuipacs.domain.job_words import state_sentence
from tuipacs.domain.permissions import Role
from tuipacs.errors import ConflictError, ForbiddenError, UsageError
from tuipacs.index import job_items
from tuipacs.index.job_items import ItemOutcome
from tuipacs.jobs.endings import RetryPolicy
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import GivenUp, RetryLater, WaitForEvent
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.services.sessions import Sessions


@pytest.fixture
def office(parts: Parts) -> Iterator[Office]:
    office = Office(parts)
    yield office
    office.stop()


def fails(words: str = "PACS2 is down") -> Scripted:
    def play(record: JobRecord, progress: Progress) -> str:
        raise RetryLater(words)

    return Scripted(play)


def succeeds() -> Scripted:
    return Scripted(lambda record, progress: "all sent")


# -- trying again


def test_what_fails_waits_twice_as_long_each_time_and_is_given_up_in_the_end(
    office: Office,
) -> None:
    key = office.add(office.node(), office.store(2))
    office.start(fails())
    delays = []
    while not (
        record := office.until(
            key, lambda r: r.state is not JobState.QUEUED and r.state is not JobState.RUNNING
        )
    ).state.ended:
        assert record.state is JobState.WAITING
        assert record.retry_at is not None
        delays.append(record.retry_at - office.clock())
        attempts = record.attempts
        office.later(delays[-1])
        office.until(key, lambda r, seen=attempts: r.attempts > seen)  # type: ignore[misc]
    assert delays == [30, 60, 120, 240, 480, 600, 600, 600, 600, 600]
    assert (record.state, record.message, record.failed) == (JobState.DEAD, "PACS2 is down", 2)
    assert [(item.state, item.words) for item in office.items(key)] == [
        (ItemState.FAILED, "PACS2 is down")
    ] * 2


def test_a_second_before_its_time_nothing_is_tried(office: Office) -> None:
    tried = threading.Semaphore(0)

    def play(record: JobRecord, progress: Progress) -> str:
        tried.release()
        raise RetryLater("down")

    node = office.node()
    key = office.add(node)
    office.start(Scripted(play))
    office.reaches(key, JobState.WAITING)
    office.later(29)
    probe = office.add(node)  # a turn of the lane has passed when this one waits
    office.reaches(probe, JobState.WAITING)
    assert office.show(key).attempts == 1


def test_a_run_that_delivers_something_begins_the_count_anew(office: Office) -> None:
    runs = 0

    def play(record: JobRecord, progress: Progress) -> str:
        nonlocal runs
        runs += 1
        if runs == 3:
            with office.index.write() as tx:
                job_items.note(tx, record.key, [ItemOutcome(1, ItemState.DONE, 0)])
        raise RetryLater("lost on the way")

    key = office.add(office.node(), office.store(2))
    office.start(Scripted(play))
    seen = []
    began = office.clock()
    for _ in range(4):
        record = office.reaches(key, JobState.WAITING)
        assert record.retry_at is not None
        seen.append((record.attempts, record.retry_at - office.clock()))
        assert record.tries_left == 11 - record.attempts
        assert (record.begun_at, record.started_at) == (began, office.clock())
        before = runs
        office.later(record.retry_at - office.clock())
        office.until(key, lambda r, before=before: runs > before)  # type: ignore[misc]
    assert seen == [(1, 30), (2, 60), (1, 30), (2, 60)]


def test_the_settings_say_how_often_and_how_long(office: Office) -> None:
    policy = RetryPolicy(retries=1, first_delay=5, longest_delay=7)
    assert [policy.delay(n) for n in (1, 2, 3, 10_000)] == [5, 7, 7, 7]
    key = office.add(office.node())
    office.start(fails(), policy)
    office.reaches(key, JobState.WAITING)
    office.later(5)
    assert office.ended(key).state is JobState.DEAD


def test_what_cannot_succeed_later_is_a_dead_letter_at_once(office: Office) -> None:
    """And counts no attempts, also after some: so `tuipacs send --wait` tells them apart."""

    def play(record: JobRecord, progress: Progress) -> str:
        if record.attempts < 2:
            raise RetryLater("down")
        raise GivenUp("2 not taken")

    key = office.add(office.node())
    office.start(Scripted(play))
    for _ in range(2):
        before = office.reaches(key, JobState.WAITING).attempts
        office.later(600)
        office.until(key, lambda r, seen=before: r.attempts != seen)  # type: ignore[misc]
    record = office.ended(key)
    assert (record.state, record.message, record.attempts) == (JobState.DEAD, "2 not taken", 0)


# -- waiting for an event


class Expecting:
    """Waits for an event until ``happened``."""

    def __init__(self, office: Office, until: float) -> None:
        self.happened = False
        self.runs = 0
        self._until = until

    def play(self, record: JobRecord, progress: Progress) -> str:
        self.runs += 1
        if self.happened:
            return "it happened"
        raise WaitForEvent("waits for a report", self._until)


def test_a_job_that_waits_for_an_event_holds_no_lane_and_is_woken(office: Office) -> None:
    node = office.node()
    kind = Expecting(office, office.clock() + 5000)
    runner = office.start(Scripted(kind.play))
    key = office.add(node)
    record = office.reaches(key, JobState.WAITING)
    assert (record.message, record.retry_at) == ("waits for a report", office.clock() + 5000)
    other = office.add(node)
    office.reaches(other, JobState.WAITING)
    kind.happened = True
    runner.wake(key)
    assert office.ended(key).message == "it happened"
    assert office.show(key).attempts == 0
    assert office.show(other).state is JobState.WAITING


def test_an_event_that_comes_while_the_job_still_runs_is_not_lost(office: Office) -> None:
    runs = 0

    def play(record: JobRecord, progress: Progress) -> str:
        nonlocal runs
        runs += 1
        if runs == 2:
            return "heard"
        assert office.runner is not None
        office.runner.wake(record.key)  # between its last look and its wait
        raise WaitForEvent("waits", office.clock() + 5000)

    key = office.add(office.node())
    office.start(Scripted(play))
    assert office.ended(key).message == "heard"


def test_an_event_during_a_run_that_fails_does_not_spare_it_the_wait(office: Office) -> None:
    """Else a node that reports a failure at once would be asked ten times in a second."""

    def play(record: JobRecord, progress: Progress) -> str:
        assert office.runner is not None
        office.runner.wake(record.key)
        raise RetryLater("not committed")

    node = office.node()
    key = office.add(node)
    office.start(Scripted(play))
    office.reaches(key, JobState.WAITING)
    office.reaches(office.add(node), JobState.WAITING)
    assert office.show(key).attempts == 1


def test_an_event_that_never_comes_is_waited_for_so_long(office: Office) -> None:
    kind = Expecting(office, office.clock() + 5000)
    key = office.add(office.node())
    office.start(Scripted(kind.play))
    office.reaches(key, JobState.WAITING)
    office.later(5000)
    kind.happened = True
    office.until(key, lambda r: kind.runs == 2)


# -- what people ask


def in_state(office: Office, state: JobState) -> int:
    """A job in that state, with one item done and one that is not; nothing runs it."""
    key = office.add(office.node(f"TO-{state.name}"), office.store(2))
    with office.index.write() as tx:
        job_items.note(tx, key, [ItemOutcome(1, ItemState.DONE, 0)])
        if state.ended and state is not JobState.DONE:
            job_items.give_up(tx, key, "down")
    office.put(
        key,
        state=state.value,
        retry_at=office.clock() + 100 if state is JobState.WAITING else None,
        finished_at=office.clock() if state.ended else None,
        attempts=3,
    )
    return key


OPEN = [JobState.QUEUED, JobState.WAITING, JobState.PAUSED]
ENDED = [JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.DEAD]
RETRIED = [JobState.FAILED, JobState.CANCELLED, JobState.DEAD]


@pytest.mark.parametrize("state", OPEN)
def test_a_job_that_does_not_run_is_cancelled_at_once(office: Office, state: JobState) -> None:
    key = in_state(office, state)
    record = office.jobs.cancel(TINA, m.JobRequest(key=key))
    assert (record.state, record.finished_at) == (JobState.CANCELLED, office.clock())
    assert record.retry_at is None


@pytest.mark.parametrize("state", OPEN)
def test_a_job_that_does_not_run_is_paused_and_resumed_at_once(
    office: Office, state: JobState
) -> None:
    key = in_state(office, state)
    assert office.jobs.pause(TINA, m.JobRequest(key=key)).state is JobState.PAUSED
    office.start(succeeds())
    other = office.add(office.node("OTHER"))
    office.ended(other)
    assert office.show(key).state is JobState.PAUSED
    office.jobs.resume(TINA, m.JobRequest(key=key))
    assert office.ended(key).state is JobState.DONE


def test_resuming_what_waits_tries_it_at_once(office: Office) -> None:
    key = in_state(office, JobState.WAITING)
    office.start(succeeds())
    office.jobs.resume(TINA, m.JobRequest(key=key))
    assert office.ended(key).message == "all sent"


@pytest.mark.parametrize("state", ENDED)
def test_what_has_ended_is_neither_cancelled_nor_paused_nor_resumed(
    office: Office, state: JobState
) -> None:
    key = in_state(office, state)
    for ask in (office.jobs.cancel, office.jobs.pause, office.jobs.resume):
        with pytest.raises(ConflictError, match=state_sentence(state)):
            ask(TINA, m.JobRequest(key=key))


@pytest.mark.parametrize("state", RETRIED)
def test_a_retry_by_hand_keeps_what_was_done_and_does_the_rest(
    office: Office, state: JobState
) -> None:
    key = in_state(office, state)
    assert office.show(key).failed == 1
    record = office.jobs.retry(TINA, m.JobRequest(key=key))
    assert (record.state, record.attempts, record.done, record.failed) == (
        JobState.QUEUED,
        0,
        1,
        0,
    )
    assert record.finished_at is None
    assert [item.state for item in office.items(key)] == [ItemState.DONE, ItemState.WAITING]


@pytest.mark.parametrize("state", [*OPEN, JobState.RUNNING, JobState.DONE])
def test_only_what_ended_badly_is_retried(office: Office, state: JobState) -> None:
    key = in_state(office, state)
    with pytest.raises(ConflictError):
        office.jobs.retry(TINA, m.JobRequest(key=key))


@pytest.mark.parametrize(
    ("asked", "state"), [("cancel", JobState.CANCELLED), ("pause", JobState.PAUSED)]
)
@pytest.mark.parametrize("end", ["check", "retry later", "wait"])
def test_what_is_asked_while_it_runs_comes_before_any_wait(
    office: Office, asked: str, state: JobState, end: str
) -> None:
    running, go_on = threading.Event(), threading.Event()

    def play(record: JobRecord, progress: Progress) -> str:
        running.set()
        assert go_on.wait(20)
        if end == "check":
            progress.check()
        if end == "wait":
            raise WaitForEvent("waits", office.clock() + 100)
        raise RetryLater("down")

    key = office.add(office.node())
    office.start(Scripted(play))
    assert running.wait(20)
    record = getattr(office.jobs, asked)(TINA, m.JobRequest(key=key))
    assert (record.state, record.is_stopping) == (JobState.RUNNING, True)
    go_on.set()
    record = office.reaches(key, state)
    assert not record.is_stopping
    assert record.retry_at is None


def test_a_pause_that_is_taken_back_in_time_never_happened(office: Office) -> None:
    running, go_on = threading.Event(), threading.Event()

    def play(record: JobRecord, progress: Progress) -> str:
        running.set()
        assert go_on.wait(20)
        progress.check()
        return "done"

    key = office.add(office.node())
    office.start(Scripted(play))
    assert running.wait(20)
    office.jobs.pause(TINA, m.JobRequest(key=key))
    office.jobs.resume(TINA, m.JobRequest(key=key))
    go_on.set()
    assert office.ended(key).state is JobState.DONE


# -- a crash


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        ({}, JobState.DONE),
        ({"cancel_requested": True}, JobState.CANCELLED),
        ({"pause_requested": True}, JobState.PAUSED),
    ],
)
def test_what_a_crash_interrupted_goes_on_or_ends_as_was_asked(
    office: Office, asked: dict[str, bool], state: JobState
) -> None:
    """Also in a lane that is paused: nobody should have to open it to get rid of a job."""
    key = in_state(office, JobState.RUNNING)
    if asked:
        office.put(key, **asked)
        with office.index.write() as tx:
            tx.execute("UPDATE node SET paused = 1")
    office.start(succeeds())
    assert office.reaches(key, state).done == 1


# -- who asked


def test_a_routing_rules_jobs_run_without_an_account(office: Office) -> None:
    key = office.add(office.node(), submitted_by=ROUTING_SUBMITTER)
    office.start(succeeds())
    assert office.ended(key).state is JobState.DONE


def test_nobody_can_have_the_name_of_the_routing(parts: Parts) -> None:
    office = Office(parts)
    with pytest.raises(UsageError):
        request = m.UserAddRequest(name=ROUTING_SUBMITTER, role=Role.VIEWER, password=PASSWORD)
        office.parts.users.add(actor(Role.ADMIN), request)
    sessions: Sessions = office.parts.sessions
    assert sessions.on_behalf_of(ROUTING_SUBMITTER).role is None


def test_steering_needs_the_right_to(office: Office) -> None:
    key = in_state(office, JobState.QUEUED)
    for ask in (office.jobs.cancel, office.jobs.pause, office.jobs.resume, office.jobs.retry):
        with pytest.raises(ForbiddenError):
            ask(actor(Role.RADIOLOGIST), m.JobRequest(key=key))


# -- history


def test_ended_jobs_are_forgotten_after_their_time_and_open_ones_never(office: Office) -> None:
    day = 86400.0
    old, young, waiting = (in_state(office, state) for state in
                           (JobState.DEAD, JobState.DONE, JobState.WAITING))  # fmt: skip
    now = office.clock()
    office.put(old, finished_at=now - 31 * day)
    office.put(young, finished_at=now - 29 * day)
    office.put(waiting, created_at=now - 400 * day, retry_at=now + 10 * day)
    office.start(succeeds())
    office.ended(office.add(office.node("OTHER")))
    left = {row[0] for row in office.parts.rows("SELECT id FROM job")}
    assert old not in left
    assert {young, waiting} <= left
    assert not office.parts.rows("SELECT 1 FROM job_item WHERE job = ?", old)
    office.later(2 * day)
    office.ended(office.add(office.node("THIRD")))
    left = {row[0] for row in office.parts.rows("SELECT id FROM job")}
    assert young not in left
    assert waiting in left


# -- the instances of a job


def test_items_come_by_position_and_by_what_became_of_them(office: Office) -> None:
    key = office.add(office.node(), office.store(7))
    with office.index.write() as tx:
        job_items.note(
            tx,
            key,
            [
                ItemOutcome(2, ItemState.DONE, 0x0000, size=10),
                ItemOutcome(5, ItemState.FAILED, 0xC000, "cannot read"),
                ItemOutcome(3, ItemState.WARNING, 0xB000, size=20),
                ItemOutcome(6, ItemState.WAITING, 0xA700, "full"),
            ],
        )
    record = office.show(key)
    assert (record.total, record.done, record.warned, record.failed) == (7, 3, 1, 1)
    assert record.bytes_done == 30

    def page(*states: ItemState, offset: int = 0, limit: int = 100) -> tuple[list[int], int, int]:
        request = j.JobItemsRequest(key=key, states=states, offset=offset, limit=limit)
        found = office.jobs.items(TINA, request)
        return [item.position for item in found.items], found.matched, found.total

    assert page() == ([1, 2, 3, 4, 5, 6, 7], 7, 7)
    assert page(offset=2, limit=2) == ([3, 4], 7, 7)
    assert page(ItemState.FAILED) == ([5], 1, 7)
    assert page(ItemState.WARNING, ItemState.DONE) == ([2, 3], 2, 7)
    assert page(ItemState.WAITING, offset=3) == ([7], 4, 7)
    assert page(offset=-5, limit=10**9)[0] == [1, 2, 3, 4, 5, 6, 7]
    with office.index.read() as reader:
        order = [item.position for item in job_items.waiting(reader, key)]
    assert order == [1, 4, 7, 6]  # what was tried goes last


def test_a_retry_never_takes_for_delivered_what_another_kind_of_job_missed(office: Office) -> None:
    """A retrieval may have heard 0x0000 of an object that never came."""
    key = office.add(office.node(), office.store(1))
    with office.index.write() as tx:
        job_items.note(tx, key, [ItemOutcome(1, ItemState.FAILED, 0x0000, "it never came")])
    office.put(key, kind="retrieve", state="dead", finished_at=office.clock())
    assert office.jobs.retry(TINA, m.JobRequest(key=key)).done == 0
    assert [item.state for item in office.items(key)] == [ItemState.WAITING]
