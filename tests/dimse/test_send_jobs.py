"""Send jobs against a node that plays every fault: what arrives, what is tried again, what is told.

What arrived is compared byte for byte with what is stored, and counted: once without faults.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.dimse.faulty_peer import STORE, Fault, FaultyPeer
from tests.unit.jobs.office import TINA, Office, Scripted
from tests.unit.services.conftest import parts as parts
from tests.unit.services.parts import Parts, actor
from tuipacs.dicom.transcoding.process import Transcoders
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome
from tuipacs.domain.job import (
    ROUTING_SUBMITTER,
    ItemState,
    JobKind,
    JobPriority,
    JobRecord,
    JobState,
    counted,
)
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import Role
from tuipacs.domain.store_status import status_words
from tuipacs.domain.uid import new_uid
from tuipacs.errors import ForbiddenError, NotFoundError, UsageError
from tuipacs.jobs.commit import Committing
from tuipacs.jobs.running import Progress
from tuipacs.jobs.send import SendObjects
from tuipacs.jobs.signals import Interrupted
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema.commit_messages import CommitRequest
from tuipacs.scp.n_event_report import taking_report
from tuipacs.services.commitments import Commitments
from tuipacs.services.own_address import Listening
from tuipacs.services.transfer import Transfer

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


class SendingOffice(Office):
    """An office whose send jobs are the real ones."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        commitments = Commitments(self.index, self.clock, parts.wakeups, self.calling)
        self.commitments = commitments
        self.kind = SendObjects(
            self.index,
            self.send,
            Transfer(self.index, parts.store, Transcoders([]), folder=parts.folder),
            Committing(
                self.index,
                self.clock,
                commitments,
                lambda node, request: taking_report(commitments, node, request),
            ),
        )

    def run(self) -> None:
        """Begin to work."""
        runner = self.start({JobKind.SEND: self.kind})
        self.commitments.on_report = runner.wake

    def to(self, peer: FaultyPeer, **call: object) -> NodeRecord:
        quick = {"connect_timeout": 5.0, "acse_timeout": 5.0, "dimse_timeout": 5.0}
        return self.node("STORE", port=peer.port, **(quick | call))

    def held(self) -> dict[str, bytes]:
        """The datasets that are here, by SOP Instance UID."""
        rows = self.parts.rows("SELECT sop_instance_uid, blob_key, header_size FROM instance")
        return {uid: self.parts.store.path(key).read_bytes()[start:] for uid, key, start in rows}

    def settled(self, key: int) -> JobRecord:
        """The job once it has ended or waits."""
        busy = (JobState.QUEUED, JobState.RUNNING)
        return self.until(key, lambda record: record.state not in busy)

    def retried(self, key: int) -> JobRecord:
        """The job after its next try."""
        before = self.show(key)
        assert before.retry_at is not None
        self.later(before.retry_at - self.clock())
        self.until(key, lambda r: r.started_at != before.started_at)
        return self.settled(key)


@pytest.fixture
def office(parts: Parts) -> Iterator[SendingOffice]:
    office = SendingOffice(parts)
    yield office
    office.stop()


def assert_all_arrived_once(office: SendingOffice, peer: FaultyPeer) -> None:
    got = {held.sop_instance_uid: held.dataset for held in peer.stored}
    assert len(got) == len(peer.stored)
    assert got == office.held()


def sent(peer: FaultyPeer) -> Counter[str]:
    """How often each object was sent whole."""
    return Counter(asked.sop_instance_uid for asked in peer.asked if asked.field == STORE)


def states(office: SendingOffice, key: int) -> list[ItemState]:
    return [item.state for item in office.items(key)]


def test_a_study_arrives_byte_for_byte_each_object_once_over_one_association(
    office: SendingOffice,
) -> None:
    office.store(40)
    with FaultyPeer() as peer:
        key = office.add(office.to(peer), [row[0] for row in office.parts.rows(
            "SELECT id FROM instance")])  # fmt: skip
        office.run()
        record = office.ended(key)
    assert (record.state, record.message) == (JobState.DONE, "40 of 40 objects sent to STORE")
    assert (record.done, record.warned, record.failed, record.attempts) == (40, 0, 0, 0)
    assert record.bytes_done == sum(map(len, office.held().values()))
    assert peer.associations == 1
    assert_all_arrived_once(office, peer)
    assert set(states(office, key)) == {ItemState.DONE}


# -- what each status makes of an object

DELIVERED = [0x0000]
WARNED = [0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xB123]
FINAL = [0x0105, 0x0106, 0x0111, 0x0112, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122, 0xA900,
         0xA9FF, 0xC000, 0xC123, 0xCFFF]  # fmt: skip
PASSING = [0x0110, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213, 0xA700, 0xA701, 0xA7FF, 0xFE00, 0x1234,
           0x0002, 0xD000]  # fmt: skip


@pytest.mark.parametrize("status", DELIVERED + WARNED)
def test_success_and_warnings_are_delivered(office: SendingOffice, status: int) -> None:
    keys = office.store(2)
    with FaultyPeer(store=[status], comment="a word") as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.ended(key)
    warned = status != 0x0000
    assert (record.state, record.done, record.warned) == (JobState.DONE, 2, int(warned))
    first = office.items(key)[0]
    assert first.state is (ItemState.WARNING if warned else ItemState.DONE)
    assert first.words == status_words(status) + (": a word" if warned else "")


@pytest.mark.parametrize("status", FINAL)
def test_what_is_said_of_the_object_is_final_for_it_and_stops_no_other(
    office: SendingOffice, status: int
) -> None:
    keys = office.store(3)
    with FaultyPeer(store=[0x0000, status], comment="no\x1b[31m") as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.ended(key)
    assert (record.state, record.done, record.failed) == (JobState.DEAD, 3, 1)
    assert record.message == "2 of 3 objects sent to STORE, 1 not taken"
    assert states(office, key) == [ItemState.DONE, ItemState.FAILED, ItemState.DONE]
    item = office.items(key)[1]
    assert (item.status, item.words) == (status, f"{status_words(status)}: no␛[31m")
    assert len(peer.stored) == 2


@pytest.mark.parametrize("status", PASSING)
def test_what_is_not_said_of_the_object_is_tried_again(office: SendingOffice, status: int) -> None:
    keys = office.store(3)
    with FaultyPeer(store=[0x0000, status], comment="disk full") as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.settled(key)
        assert (record.state, record.done, record.failed) == (JobState.WAITING, 2, 0)
        assert record.message == "2 of 3 objects sent to STORE, 1 to be tried again"
        item = office.items(key)[1]
        assert item.state is ItemState.WAITING
        assert item.words == f"{status_words(status)}: disk full"
        assert office.retried(key).state is JobState.DONE
    assert_all_arrived_once(office, peer)
    assert set(sent(peer).values()) == {1, 2}


def test_a_full_disk_is_believed_after_three_objects(office: SendingOffice) -> None:
    keys = office.store(50)
    with FaultyPeer(store=[0x0000, *[0xA700] * 3]) as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.settled(key)
        assert record.message == "0xA700 out of resources"
        assert len(peer.asked) == 4
        assert office.retried(key).state is JobState.DONE
    assert_all_arrived_once(office, peer)


# -- the association


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ((1, 1, 3), "calling AE title not recognised"),
        ((1, 1, 7), "called AE title not recognised"),
        ((2, 3, 2), "local limit exceeded"),
        (Fault.SILENCE, "did not answer"),
        (Fault.VANISH, "closed the connection"),
        (Fault.ABORT, "aborted"),
        (Fault.GARBAGE, "sent"),
    ],
)
def test_a_refused_association_is_tried_again_with_everything_kept(
    office: SendingOffice, refused: tuple[int, int, int] | Fault, words: str
) -> None:
    keys = office.store(3)
    with FaultyPeer(reject=[refused]) as peer:
        key = office.add(office.to(peer, acse_timeout=0.3), keys)
        office.run()
        record = office.settled(key)
        assert (record.state, record.done, record.attempts) == (JobState.WAITING, 0, 1)
        assert words in record.message
        assert office.retried(key).state is JobState.DONE
    assert_all_arrived_once(office, peer)


def test_a_node_that_accepts_nothing_is_not_asked_again(office: SendingOffice) -> None:
    keys = office.store(3)
    with FaultyPeer(takes=lambda abstract, transfer: False) as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.ended(key)
    assert (record.state, record.failed) == (JobState.DEAD, 3)
    assert "accepted none" in record.message
    assert all("accepted none" in item.words for item in office.items(key))
    assert peer.attempts == 1


def test_a_class_that_the_node_does_not_take_fails_alone(office: SendingOffice) -> None:
    keys = office.store(2) + office.store(2, SOPClassUID=MR)
    with FaultyPeer(takes=lambda abstract, transfer: abstract == CT) as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.ended(key)
    assert (record.state, record.failed) == (JobState.DEAD, 2)
    assert states(office, key) == [ItemState.DONE] * 2 + [ItemState.FAILED] * 2
    assert "does not take MR Image Storage" in office.items(key)[2].words
    assert len(peer.stored) == 2


LOST = [
    Fault.SILENCE,
    Fault.VANISH,
    Fault.CLOSE,
    Fault.ABORT,
    Fault.RELEASE,
    Fault.GARBAGE,
    Fault.OTHER_MESSAGE,
    Fault.OTHER_INSTANCE,
    0xFF00,
]


@pytest.mark.parametrize("fault", LOST)
def test_an_association_lost_in_mid_transfer_goes_on_where_it_was(
    office: SendingOffice, fault: Fault | int
) -> None:
    """The object it broke at goes out again, those before it do not."""
    keys = office.store(5)
    with FaultyPeer(store=[0x0000, 0x0000, fault]) as peer:
        key = office.add(office.to(peer, dimse_timeout=0.3), keys)
        office.run()
        record = office.settled(key)
        assert (record.state, record.done, record.attempts) == (JobState.WAITING, 2, 1)
        assert record.message
        assert states(office, key)[:3] == [ItemState.DONE, ItemState.DONE, ItemState.WAITING]
        assert office.items(key)[2].words == record.message
        assert office.items(key)[3].words == ""
        assert office.retried(key).state is JobState.DONE
    uids = [item.sop_instance_uid for item in office.items(key)]
    times = sent(peer)
    assert [times[uid] for uid in (uids[0], uids[1], uids[3], uids[4])] == [1] * 4
    assert {held.sop_instance_uid for held in peer.stored} == set(uids)


def test_an_object_that_its_peer_chokes_on_stands_in_nobodys_way(office: SendingOffice) -> None:
    keys = office.store(4)
    with FaultyPeer(store=[0x0000, Fault.CLOSE]) as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        office.settled(key)
        peer.store[:] = [0x0000, 0x0000, Fault.CLOSE, Fault.CLOSE]
        record = office.retried(key)
        assert (record.state, record.done) == (JobState.WAITING, 3)
        assert states(office, key)[1] is ItemState.WAITING
        for _ in range(20):
            if record.state.ended:
                break
            peer.store[:] = [Fault.CLOSE]
            record = office.retried(key)
    assert (record.state, record.done, record.failed) == (JobState.DEAD, 4, 1)
    assert states(office, key)[1] is ItemState.FAILED
    with FaultyPeer() as healed:
        node = office.calling.node(record.node)
        office.change(node, port=healed.port)
        office.jobs.retry(TINA, m.JobRequest(key=key))
        assert office.ended(key).state is JobState.DONE
    assert list(sent(healed)) == [office.items(key)[1].sop_instance_uid]


# -- our own side


def test_a_damaged_file_fails_alone_and_is_never_sent(office: SendingOffice) -> None:
    keys = office.store(3)
    (blob_key,) = office.parts.rows("SELECT blob_key FROM instance WHERE id = ?", keys[1])[0]
    path = office.parts.store.path(blob_key)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with FaultyPeer() as peer:
        key = office.add(office.to(peer), keys)
        office.run()
        record = office.ended(key)
    assert (record.state, record.failed) == (JobState.DEAD, 1)
    assert office.items(key)[1].words == "not sent: its stored file is damaged"
    assert len(peer.stored) == 2


def test_stopping_between_two_objects_releases_and_goes_on_at_the_next(
    office: SendingOffice,
) -> None:
    """Paused after the second, resumed: nothing goes out twice."""
    keys = office.store(6)
    with FaultyPeer() as peer:
        key = office.add(office.to(peer), keys)
        office.start({JobKind.SEND: AfterObjects(office.kind, 2, lambda: office.jobs.pause(
            TINA, m.JobRequest(key=key)))})  # fmt: skip
        record = office.reaches(key, JobState.PAUSED)
        assert 2 <= record.done < 6
        office.jobs.resume(TINA, m.JobRequest(key=key))
        assert office.ended(key).state is JobState.DONE
        assert peer.associations == 2
    assert_all_arrived_once(office, peer)


class AfterObjects:
    """The real kind, and ``act`` is called before the object that follows so many."""

    def __init__(self, inner: SendObjects, count: int, act: Callable[[], object]) -> None:
        self._inner, self._count, self._act = inner, count, act
        self._checks = 0

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        def check() -> None:
            self._checks += 1
            if self._checks == self._count + 2:  # one was before the first object
                self._act()
            progress.check()

        return self._inner.run(
            actor, record, payload, Progress(check, progress.tell, progress.pace)
        )


def test_a_cancel_is_obeyed_in_the_middle_of_an_object(office: SendingOffice) -> None:
    """At one KiB a second the object would take minutes."""
    keys = office.store(2, PatientComments="x" * 10_000)
    with FaultyPeer() as peer:
        key = office.add(office.to(peer, kib_per_second=1), keys)
        office.run()
        office.until(key, lambda record: record.done == 1)
        office.jobs.cancel(TINA, m.JobRequest(key=key))
        assert office.ended(key).state is JobState.CANCELLED
    assert len(peer.stored) == 1


def test_the_archives_end_is_no_failure_of_the_job(office: SendingOffice) -> None:
    keys = office.store(4)

    def stop() -> None:
        assert office.runner is not None
        office.runner.interrupt()
        raise Interrupted

    with FaultyPeer() as peer:
        key = office.add(office.to(peer), keys)
        office.start({JobKind.SEND: AfterObjects(office.kind, 2, stop)})
        office.until(key, lambda record: record.done == 2 and record.state is JobState.QUEUED)
        office.stop()
        office.run()
        assert office.ended(key).state is JobState.DONE
    assert_all_arrived_once(office, peer)


# -- send, then commit


def committing(office: SendingOffice, peer: FaultyPeer, count: int = 3) -> int:
    peer.report_here = True
    key = office.add(office.to(peer), office.store(count), commit=True)
    office.run()
    return key


def test_send_then_commit_is_one_job(office: SendingOffice) -> None:
    with FaultyPeer() as peer:
        record = office.ended(committing(office, peer))
    assert record.state is JobState.DONE
    assert record.message == "3 of 3 objects sent to STORE; what was sent is committed to"


def test_what_the_node_has_lost_is_sent_once_more(office: SendingOffice) -> None:
    lost: list[str] = []

    def outcome(uid: str, items: list[tuple[str, str]]) -> object:
        if not lost:
            lost.append(items[1][1])
            return uid, [items[0], items[2]], [(*items[1], 0x0112)]
        return uid, items, []

    with FaultyPeer(outcome=outcome) as peer:  # type: ignore[arg-type]
        key = committing(office, peer)
        record = office.settled(key)
        assert (record.state, record.done) == (JobState.WAITING, 2)
        assert record.message == "STORE has not committed to 1 of 3 objects"
        assert "0x0112" in office.items(key)[1].words
        assert office.retried(key).state is JobState.DONE
    times = sent(peer)
    assert times.pop(lost[0]) == 2
    assert set(times.values()) == {1}


def test_what_the_node_loses_time_and_again_is_sent_three_times_and_no_more(
    office: SendingOffice,
) -> None:
    def outcome(uid: str, items: list[tuple[str, str]]) -> object:
        return uid, items[1:], [(*items[0], 0x0112)]

    with FaultyPeer(outcome=outcome) as peer:  # type: ignore[arg-type]
        key = committing(office, peer, count=1)
        record = office.settled(key)
        for _ in range(5):
            if not record.state.ended:
                record = office.retried(key)
    assert (record.state, record.failed) == (JobState.DEAD, 1)
    assert set(sent(peer).values()) == {3}


@pytest.mark.parametrize("reason", [0x0110, 0x0213, 0x0131])
def test_what_may_pass_is_asked_again_and_not_sent_again(
    office: SendingOffice, reason: int
) -> None:
    answers = [reason]

    def outcome(uid: str, items: list[tuple[str, str]]) -> object:
        if answers:
            why = answers.pop()
            return uid, items[1:], [(*items[0], why)]
        return uid, items, []

    with FaultyPeer(outcome=outcome) as peer:  # type: ignore[arg-type]
        key = committing(office, peer)
        record = office.settled(key)
        assert (record.state, record.failed) == (JobState.WAITING, 1)
        item = office.items(key)[0]
        assert item.state is ItemState.FAILED
        assert f"not committed to: 0x{reason:04X}" in item.words
        assert office.retried(key).state is JobState.DONE
    assert set(sent(peer).values()) == {1}
    assert set(states(office, key)) == {ItemState.DONE}


@pytest.mark.parametrize("reason", [0x0119, 0x0122, 0x0999])
def test_what_the_node_will_not_keep_is_a_dead_letter(office: SendingOffice, reason: int) -> None:
    def outcome(uid: str, items: list[tuple[str, str]]) -> object:
        return uid, items[1:], [(*items[0], reason)]

    with FaultyPeer(outcome=outcome) as peer:  # type: ignore[arg-type]
        record = office.ended(committing(office, peer))
    assert (record.state, record.failed) == (JobState.DEAD, 1)
    assert len(sent(peer)) == 3


def test_a_retry_by_hand_asks_again_and_sends_nothing_again(office: SendingOffice) -> None:
    refuses = [True]

    def outcome(uid: str, items: list[tuple[str, str]]) -> object:
        return (uid, [], [(*i, 0x0122) for i in items]) if refuses else (uid, items, [])

    with FaultyPeer(outcome=outcome) as peer:  # type: ignore[arg-type]
        key = committing(office, peer)
        assert office.ended(key).failed == 3
        refuses.clear()
        office.jobs.retry(TINA, m.JobRequest(key=key))
        assert office.ended(key).state is JobState.DONE
    assert set(sent(peer).values()) == {1}


@pytest.mark.parametrize(
    ("priority", "value"), [(JobPriority.HIGH, 1), (JobPriority.NORMAL, 0), (JobPriority.LOW, 2)]
)
def test_the_priority_of_a_job_is_that_of_its_requests(
    office: SendingOffice, priority: JobPriority, value: int
) -> None:
    """PS3.7 E.1: medium is 0, high 1, low 2."""
    with FaultyPeer() as peer:
        key = office.add(office.to(peer), office.store(2), priority=priority)
        office.run()
        assert office.ended(key).state is JobState.DONE
    stores = [asked for asked in peer.asked if asked.field == STORE]
    assert [asked.elements[0x0700] for asked in stores] == [value.to_bytes(2, "little")] * 2


# -- submitting


def submit(office: SendingOffice, *uids: str, **wanted: object) -> JobRecord:
    return office.send.submit(TINA, j.SendRequest(uids=uids, **wanted))  # type: ignore[arg-type]


def uids_of(office: SendingOffice) -> tuple[str, str, str]:
    """Of the newest object: study, series, SOP instance."""
    return office.parts.rows(
        "SELECT st.study_instance_uid, s.series_instance_uid, i.sop_instance_uid FROM instance i"
        " JOIN series s ON s.id = i.series JOIN study st ON st.id = s.study"
        " ORDER BY i.id DESC LIMIT 1"
    )[0]  # type: ignore[return-value]


@pytest.mark.parametrize(("level", "count"), [(0, 4), (1, 3), (2, 1)])
def test_a_uid_is_a_studys_a_series_or_an_instances(
    office: SendingOffice, level: int, count: int
) -> None:
    office.node()
    office.store(3)
    uids = uids_of(office)
    office.store(1, StudyInstanceUID=uids[0])
    office.store(2)
    record = submit(office, uids[level], ae_title="PACS2")
    assert (record.total, record.state, record.node_title) == (count, JobState.QUEUED, "PACS2")
    objects = counted(count, "object")
    assert record.title == f"send {objects} of 1 study to PACS2: {uids[level]}"


def test_uids_that_overlap_send_each_object_once(office: SendingOffice) -> None:
    office.node()
    office.store(3)
    study, series, instance = uids_of(office)
    assert submit(office, instance, series, study, study, ae_title="PACS2").total == 3


def test_what_cannot_be_sent_is_refused_when_it_is_asked_for(office: SendingOffice) -> None:
    office.store(1)
    study = uids_of(office)[0]
    node = office.node()
    office.node("DUMB", services=(CallService.ECHO,))
    office.node("NOCOMMIT", services=(CallService.SEND,))
    office.node("NOHOST", host="")
    office.node("MYSELF", port=4711)
    office.calling.listening = lambda: Listening("127.0.0.1", (4711,))
    for error, uids, wanted in (
        (NotFoundError, ("1.2.3",), {"node": node.key}),
        (NotFoundError, (study, ""), {"node": node.key}),
        (NotFoundError, (study,), {"node": 99}),
        (NotFoundError, (study,), {"ae_title": "NOBODY"}),
        (NotFoundError, (study,), {}),
        (UsageError, (study,), {"ae_title": "DUMB"}),
        (UsageError, (study,), {"ae_title": "NOCOMMIT", "commit": True}),
        (UsageError, (study,), {"ae_title": "NOHOST"}),
        (UsageError, (study,), {"ae_title": "MYSELF"}),
        (UsageError, (), {"node": node.key}),
    ):
        with pytest.raises(error):
            submit(office, *uids, **wanted)  # type: ignore[arg-type]
    with pytest.raises(ForbiddenError):
        office.send.submit(actor(Role.VIEWER), j.SendRequest(uids=(study,), node=node.key))
    assert not office.parts.rows("SELECT 1 FROM job")


def asked_in_both_ways(office: SendingOffice, *uids: str, rows: Sequence[j.RowRef] = ()) -> str:
    """Why neither sending nor asking for commitment is begun."""
    with pytest.raises(UsageError) as sending:
        submit(office, *uids, ae_title="PACS2", rows=tuple(rows))
    with pytest.raises(UsageError) as committing:
        office.commitments.submit(
            TINA, CommitRequest(uids=uids, rows=tuple(rows), ae_title="PACS2")
        )
    words = {f"{error.value.message}; {error.value.remedy}" for error in (sending, committing)}
    assert not office.parts.rows("SELECT 1 FROM job")
    (told,) = words
    return told


def test_a_study_uid_of_two_patients_is_not_sent_by_that_uid(office: SendingOffice) -> None:
    """At the other end both would be one study, and one name; a row says whose is meant."""
    office.node()
    office.store(2, PatientID="HIS")
    uid, his_series, _ = uids_of(office)
    office.store(1, PatientID="HERS", StudyInstanceUID=uid, SeriesInstanceUID=new_uid())
    her_series = uids_of(office)[1]
    told = f"the Study Instance UID {uid} is of several patients here"
    assert told in asked_in_both_ways(office, uid)
    assert "archive screen" in asked_in_both_ways(office, his_series, her_series)
    assert submit(office, his_series, ae_title="PACS2").total == 2
    _, (key,) = office.parts.rows("SELECT id FROM study ORDER BY id")
    hers = j.RowRef(level=Level.STUDY, key=key)
    assert submit(office, ae_title="PACS2", rows=(hers,)).total == 1


def test_two_objects_of_one_sop_instance_uid_are_never_one_job(office: SendingOffice) -> None:
    """A report on commitment names the UID only: it would be true of one, and believed of both."""
    office.node()
    keys = office.store(1, PatientID="HIS")
    his, _, uid = uids_of(office)
    keys += office.store(1, PatientID="HERS", SOPInstanceUID=uid)
    hers = uids_of(office)[0]
    told = f"several of these objects have the SOP Instance UID {uid}"
    images = [j.RowRef(level=Level.INSTANCE, key=key) for key in keys]
    assert told in asked_in_both_ways(office, uid)
    assert told in asked_in_both_ways(office, his, hers)
    assert told in asked_in_both_ways(office, rows=images)
    assert told in asked_in_both_ways(office, his, rows=images[1:])
    for wanted in ({"uids": (hers,)}, {"rows": (images[1],)}):
        request = j.SendRequest(ae_title="PACS2", commit=True, **wanted)  # type: ignore[arg-type]
        key = office.send.submit(TINA, request).key
        assert [item.instance for item in office.items(key)] == [images[1].key]


def test_two_versions_chosen_as_rows_are_never_one_job(office: SendingOffice) -> None:
    office.node()
    (first,) = office.store(1)
    study, series, uid = uids_of(office)
    known = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": uid}
    (second,) = office.store(1, **known, PatientComments="another")
    versions = [j.RowRef(level=Level.INSTANCE, key=key) for key in (first, second)]
    assert "several of these objects" in asked_in_both_ways(office, rows=versions)
    assert submit(office, study, ae_title="PACS2").total == 1


def test_a_node_that_became_ourselves_is_refused_when_the_job_runs(office: SendingOffice) -> None:
    keys = office.store(1)
    with FaultyPeer() as peer:
        node = office.to(peer)
        key = office.add(node, keys)
        office.calling.listening = lambda: Listening("127.0.0.1", (peer.port,))
        office.run()
        record = office.ended(key)
    assert record.state is JobState.FAILED
    assert "this archive itself" in record.message
    assert peer.attempts == 0


@pytest.mark.parametrize("how", ["disabled", "demoted"])
def test_who_may_not_send_any_more_sends_nothing(office: SendingOffice, how: str) -> None:
    keys = office.store(1)
    users, admin = office.parts.users, actor(Role.ADMIN)
    with FaultyPeer() as peer:
        key = office.add(office.to(peer), keys)
        if how == "disabled":
            users.set_disabled(admin, m.UserDisableRequest(name="tina", disabled=True))
        else:
            users.set_role(admin, m.UserRoleRequest(name="tina", role=Role.VIEWER))
        office.run()
        assert office.ended(key).state is JobState.FAILED
    assert peer.attempts == 0


# -- the audit log


def transfers(office: SendingOffice) -> list[tuple[str, str, AuditOutcome, str]]:
    begin, end = AuditEvent.BEGIN_TRANSFERRING.code, AuditEvent.INSTANCES_TRANSFERRED.code
    return [
        (record.event, record.actor, record.outcome, record.detail)
        for record in office.parts.records()
        if record.event_code in (begin, end) and record.operation.startswith("send.")
    ]


BEGIN, TRANSFERRED = "Begin Transferring DICOM Instances", "DICOM Instances Transferred"


def test_the_log_says_for_each_study_what_was_to_be_sent_and_what_was(
    office: SendingOffice,
) -> None:
    office.store(2, PatientID="P1")
    first = uids_of(office)[0]
    office.store(1, PatientID="P2")
    second = uids_of(office)[0]
    with FaultyPeer(store=[0x0000, 0xC000]) as peer:
        office.to(peer)
        office.run()
        key = submit(office, first, second, ae_title="STORE").key
        office.ended(key)
    ok, failed = AuditOutcome.SUCCESS, AuditOutcome.FAILURE
    job = f"to STORE (job {key})"
    assert transfers(office) == [
        (BEGIN, "tina", ok, f"2 objects {job}"),
        (BEGIN, "tina", ok, f"1 object {job}"),
        (TRANSFERRED, "tina", failed, f"1 of 2 objects sent {job}, 1 failed"),
        (TRANSFERRED, "tina", ok, f"1 of 1 object sent {job}"),
    ]
    patients = [r.patient_id for r in office.parts.records() if r.operation == "send.run"]
    assert patients == ["P1", "P2"]


def test_a_job_that_gets_on_bit_by_bit_says_so_each_time_and_nothing_twice(
    office: SendingOffice,
) -> None:
    keys = office.store(3)
    with FaultyPeer(store=[0x0000, Fault.CLOSE], reject=[None, (2, 3, 2)]) as peer:
        key = office.add(office.to(peer), keys, submitted_by=ROUTING_SUBMITTER)
        office.run()
        office.settled(key)
        office.retried(key)  # busy: nothing is sent, nothing is told
        office.retried(key)
        assert office.ended(key).state is JobState.DONE
    ok, job, who = AuditOutcome.SUCCESS, f"to STORE (job {key})", ROUTING_SUBMITTER
    assert transfers(office) == [
        (BEGIN, who, ok, f"3 objects {job}"),
        (TRANSFERRED, who, ok, f"1 of 3 objects sent {job}"),
        (TRANSFERRED, who, ok, f"3 of 3 objects sent {job}"),
    ]


def test_what_a_crash_kept_from_the_log_is_told_when_the_job_is_cancelled(
    office: SendingOffice,
) -> None:
    """Two objects were sent and noted, then the power went."""
    from tuipacs.index import job_items
    from tuipacs.index.job_items import ItemOutcome

    key = office.add(office.node(), office.store(3))
    office.put(key, state="paused", checkpoint=b"{}")
    with office.index.write() as tx:
        job_items.note(tx, key, [ItemOutcome(n, ItemState.DONE, 0) for n in (1, 2)])
    office.jobs.cancel(TINA, m.JobRequest(key=key))
    assert transfers(office) == [
        (TRANSFERRED, "tina", AuditOutcome.SUCCESS, f"2 of 3 objects sent to PACS2 (job {key})")
    ]


def test_two_jobs_to_one_node_share_its_bandwidth(office: SendingOffice) -> None:
    """Together they get what one alone would: told by the slots that were handed out."""
    from tuipacs.jobs.bandwidth import Bandwidth

    both = Bandwidth(64)
    waits = [both.reserve(64 << 10) for _ in range(6)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(4, abs=0.5)
    both.set_rate(0)
    assert both.reserve(1 << 40) == 0


def test_the_screens_hear_of_progress(office: SendingOffice) -> None:
    heard = threading.Event()
    leave = office.parts.wakeups.listen(heard.set)
    key = office.add(office.node(port=1), office.store(1))
    office.start({JobKind.SEND: Scripted(lambda record, progress: "")})
    office.ended(key)
    assert heard.is_set()
    leave()
