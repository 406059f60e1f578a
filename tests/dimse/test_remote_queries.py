"""Queries across nodes: many at once, each with its own fate, and nothing believed unseen."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.faulty_peer import FIND, Fault, FaultyPeer
from tests.dimse.image_source import ImageSource, question, with_uid
from tests.ports import unused_port
from tests.unit.services.conftest import parts as parts
from tests.unit.services.parts import NOW, Parts, actor
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import Role
from tuipacs.domain.remote import (
    HERE,
    MAX_ROWS,
    NodeAnswer,
    NodeState,
    Presence,
    RemoteQuery,
)
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import nodes
from tuipacs.schema import remote_messages as r
from tuipacs.services.calling import Calling
from tuipacs.services.node_checks import Checks
from tuipacs.services.remote import Remote
from tuipacs.services.remote_tasks import IDLE_SECONDS, MAX_OF_SESSION, Tasks

TINA = actor(Role.TECHNOLOGIST, name="tina", session_key=1)
LONG = "1.2.826.0.1.3680043.2.1143." + "7" * 40  # 67 characters: seen in the field
ANYBODY = RemoteQuery(patient_name="*", study_date="20000101-")
PATIENCE = 20.0


@dataclass
class Asker:
    """The service, and the nodes that it knows."""

    parts: Parts
    remote: Remote
    tasks: Tasks

    def node(self, title: str, port: int, **changes: object) -> int:
        """The key of a node."""
        call = NodeCall(
            host="127.0.0.1",
            port=port,
            services=tuple(CallService),
            connect_timeout=5.0,
            acse_timeout=5.0,
            dimse_timeout=5.0,
        )
        record = NodeRecord(
            key=0,
            ae_title=title,
            address="",
            services=(),
            description="",
            created_at=NOW,
            call=call,
        )
        with self.parts.index.write() as tx:
            return nodes.add_node(tx, msgspec.structs.replace(record, **changes))

    def start(self, keys: Sequence[int], query: RemoteQuery = ANYBODY) -> r.RemoteTask:
        return self.remote.start(TINA, r.RemoteStart(nodes=tuple(keys), query=query))

    def until(
        self, task: r.RemoteTask, holds: Callable[[r.RemoteAnswers], bool]
    ) -> r.RemoteAnswers:
        """What has come when something is true of it; all rows since the start."""
        deadline = time.monotonic() + PATIENCE
        rows, series, after = (), (), 0
        while True:
            answer = self.remote.poll(TINA, r.RemotePoll(token=task.token, after=after))
            rows, series = rows + answer.rows, series + answer.series
            after = answer.next
            if holds(answer):
                return msgspec.structs.replace(answer, rows=rows, series=series)
            assert time.monotonic() < deadline, answer
            time.sleep(0.01)

    def all(self, keys: Sequence[int], query: RemoteQuery = ANYBODY) -> r.RemoteAnswers:
        """Ask, to the end."""
        return self.until(self.start(keys, query), lambda answer: answer.finished)


@pytest.fixture
def asker(parts: Parts) -> Iterator[Asker]:
    tasks = Tasks(parts.clock)
    calling = Calling(parts.index, "TUIPACS", None)
    yield Asker(parts, Remote(parts.index, parts.clock, calling, tasks, Checks()), tasks)
    tasks.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("query "):
            thread.join(PATIENCE)


def one(answer: r.RemoteAnswers) -> NodeAnswer:
    (node,) = answer.nodes
    return node


def test_each_node_has_its_own_fate_and_the_others_answer(asker: Asker) -> None:
    study = make_study(1, 2, PatientName="DOE^JOHN")
    asker.parts.send(study[0])
    with (
        ImageSource(study) as good,
        FaultyPeer(reject=[(1, 1, 7)]) as refusing,
        FaultyPeer(find=[0xA700], comment="no memory") as full,
        FaultyPeer(find=[Fault.VANISH]) as vanishing,
    ):
        keys = [
            asker.node("GOOD", good.port),
            asker.node("REFUSES", refusing.port),
            asker.node("FULL", full.port),
            asker.node("VANISHES", vanishing.port),
            asker.node("DEAD", unused_port()),
            HERE,
        ]
        answer = asker.all(keys)
    found = {node.ae_title: node for node in answer.nodes}
    assert {title: node.state for title, node in found.items()} == {
        "GOOD": NodeState.COMPLETE,
        "REFUSES": NodeState.REFUSED,
        "FULL": NodeState.REFUSED,
        "VANISHES": NodeState.FAILED,
        "DEAD": NodeState.UNREACHABLE,
        "here": NodeState.COMPLETE,
    }
    assert "called AE title not recognised" in found["REFUSES"].words
    assert "0xA700 out of resources: no memory" in found["FULL"].words
    assert sorted((row.node, row.here) for row in answer.rows) == [(HERE, 1), (keys[0], 1)]


def test_a_node_that_is_not_to_be_queried_is_never_called(asker: Asker) -> None:
    with FaultyPeer() as peer:
        call = NodeCall(host="127.0.0.1", port=peer.port, services=(CallService.ECHO,))
        answer = asker.all([asker.node("NO", peer.port, call=call)])
        assert peer.attempts == 0
    assert one(answer).state is NodeState.REFUSED
    assert "not asked for query" in one(answer).words


def test_an_unknown_node_is_no_node(asker: Asker) -> None:
    with pytest.raises(NotFoundError):
        asker.start([99])


def test_more_than_the_limit_is_told_openly_and_the_rest_is_cancelled(asker: Asker) -> None:
    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        many = [copy.deepcopy(found[0]) for _ in range(MAX_ROWS + 5)]
        for number, match in enumerate(many):
            match.StudyInstanceUID = f"1.2.{number}"
        return many

    with ImageSource([make_dataset()], says) as peer:
        answer = asker.all([asker.node("MANY", peer.port)])
    assert (one(answer).state, one(answer).rows, len(answer.rows)) == (
        NodeState.LIMITED,
        MAX_ROWS,
        MAX_ROWS,
    )
    assert f"only the first {MAX_ROWS:,} are shown" in one(answer).words


def test_what_cannot_be_read_is_dropped_and_counted(asker: Asker) -> None:
    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        found[0].StudyInstanceUID = ""
        return found

    with ImageSource([make_dataset() for _ in range(3)], says) as peer:
        answer = asker.all([asker.node("ODD", peer.port)])
    assert (one(answer).rows, one(answer).malformed) == (2, 1)
    assert one(answer).is_partial
    assert "1 answer has no Study Instance UID" in one(answer).words


def test_a_uid_of_67_characters_is_shown_as_it_is(asker: Asker) -> None:
    study = make_study(1, 2)
    with_uid(study[0], LONG)
    query = RemoteQuery(
        level=Level.INSTANCE,
        study_instance_uids=(str(study[0].StudyInstanceUID),),
        series_instance_uids=(str(study[0].SeriesInstanceUID),),
    )
    with ImageSource(study, objects=()) as peer:
        answer = asker.all([asker.node("ODD", peer.port)], query)
    assert {row.sop_instance_uid for row in answer.rows} == {LONG, str(study[1].SOPInstanceUID)}
    assert not one(answer).is_partial


def test_what_cannot_be_compared_is_missing_and_told(asker: Asker) -> None:
    """All that can be read of the series is here, and that is not all."""
    study = make_study(1, 4)
    with_uid(study[0], "1." * 70 + "1")
    for dataset in study[2:]:
        asker.parts.send(dataset)

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset | bytes]:
        if asked.QueryRetrieveLevel == "IMAGE":
            return [found[0], b"no dataset", *found[2:]]
        return [*found]

    with ImageSource(study, says, objects=()) as peer:
        key = asker.node("THERE", peer.port)
        uid = str(study[0].StudyInstanceUID)
        task = asker.remote.compare(TINA, r.CompareStart(node=key, study_instance_uid=uid))
        answer = asker.until(task, lambda answer: answer.finished)
    (series,) = answer.series
    assert (series.there, series.here, series.missing) == (4, 2, 2)
    assert series.presence is Presence.PARTIAL
    assert one(answer).state is NodeState.COMPLETE
    assert one(answer).is_partial
    assert "1 answer could not be read" in one(answer).words
    assert "1 answer has a SOP Instance UID of 141 characters" in one(answer).words


def test_another_study_level_patient_or_date_than_asked_is_dropped_and_told(asker: Asker) -> None:
    mine = make_dataset(PatientID="MINE", StudyDate="20261101")

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        wrong = []
        for keyword, value in (
            ("StudyInstanceUID", "1.2.3.4"),
            ("QueryRetrieveLevel", "SERIES"),
            ("PatientID", "YOURS"),
            ("StudyDate", "20251101"),
            ("ModalitiesInStudy", "MR"),
        ):
            other = copy.deepcopy(found[0])
            setattr(other, keyword, value)
            wrong.append(other)
        return [*wrong, *found]

    query = RemoteQuery(
        patient_id="mine",
        study_date="202611",
        modality="CT",
        study_instance_uids=(str(mine.StudyInstanceUID),),
    )
    with ImageSource([mine], says) as peer:
        answer = asker.all([asker.node("LIES", peer.port)], query)
    assert [row.patient_id for row in answer.rows] == ["MINE"]  # whose case is the peer's affair
    assert one(answer).unasked == 5


def test_each_modality_is_a_question_of_its_own_and_a_study_counts_once(asker: Asker) -> None:
    """A list of values matches UIDs only (PS3.4 C.2.2.2.2)."""
    with ImageSource([make_dataset()]) as peer:
        answer = asker.all([asker.node("ONE", peer.port)], RemoteQuery(modality="CT,MR"))
        asked = [question(a).ModalitiesInStudy for a in peer.asked if a.field == FIND]
    assert asked == ["CT", "MR"]
    assert (len(answer.rows), one(answer).repeated) == (1, 0)


def test_a_silent_node_is_cancelled_at_once_for_whoever_looks(asker: Asker) -> None:
    with ImageSource([make_dataset()], find=[Fault.SILENCE]) as peer:
        task = asker.start([asker.node("SILENT", peer.port), HERE])
        asker.until(task, lambda answer: bool(peer.asked))
        asker.remote.cancel(TINA, task)
        peer.close()  # what five seconds do, or the node itself
        answer = asker.until(task, lambda answer: answer.finished)
    assert [node.state for node in answer.nodes] == [NodeState.CANCELLED, NodeState.COMPLETE]


def test_a_query_that_nobody_follows_is_cancelled(asker: Asker) -> None:
    with ImageSource([make_dataset()], find=[Fault.SILENCE]) as peer:
        task = asker.start([asker.node("SILENT", peer.port)])
        asker.until(task, lambda answer: bool(peer.asked))
        asker.parts.clock.now += IDLE_SECONDS
        asker.tasks.tidy()
        peer.close()
        answer = asker.until(task, lambda answer: answer.finished)
    assert one(answer).state is NodeState.CANCELLED
    assert "nobody was looking" in one(answer).words


def test_only_the_session_that_asked_can_follow(asker: Asker) -> None:
    task = asker.start([HERE])
    other = actor(Role.TECHNOLOGIST, name="tina", session_key=2)
    for call in (
        lambda: asker.remote.poll(other, r.RemotePoll(token=task.token)),
        lambda: asker.remote.cancel(other, task),
        lambda: asker.remote.poll(TINA, r.RemotePoll(token="made-up")),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_the_oldest_query_of_a_session_makes_room(asker: Asker) -> None:
    tasks = [asker.start([HERE]) for _ in range(MAX_OF_SESSION + 1)]
    with pytest.raises(NotFoundError):
        asker.remote.poll(TINA, r.RemotePoll(token=tasks[0].token))
    asker.until(tasks[1], lambda answer: answer.finished)


def test_a_name_is_sent_and_read_in_the_character_set_of_the_node(asker: Asker) -> None:
    """It names none in its answers, and its set is known here."""

    def says(asked: Dataset, found: list[Dataset]) -> list[Dataset]:
        found[0].SpecificCharacterSet = "ISO_IR 144"
        found[0].PatientName = "Иванов^Иван"
        return found

    class Unnamed(ImageSource):
        @property
        def matches(self) -> list[bytes]:  # type: ignore[override]
            named = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 144"
            return [match.replace(named, b"") for match in super().matches]

        @matches.setter
        def matches(self, _: list[bytes]) -> None:
            return

    with Unnamed([make_dataset()], says) as peer:
        key = asker.node("CYRILLIC", peer.port, character_set="ISO_IR 144")
        answer = asker.all([key], RemoteQuery(patient_name="Иванов"))
        asked = question(peer.asked[-1])
    assert [row.patient_name for row in answer.rows] == ["Иванов^Иван"]
    assert (asked.SpecificCharacterSet, str(asked.PatientName)) == ("ISO_IR 144", "Иванов*")


def test_the_record_names_the_nodes_and_the_question(asker: Asker) -> None:
    asker.all([HERE], RemoteQuery(patient_id="4711"))
    record = asker.parts.last_record()
    assert (record.event, record.operation, record.patient_id) == ("Query", "remote.start", "4711")
    assert "at here: PatientID=4711" in record.detail


def test_an_empty_form_is_refused(asker: Asker) -> None:
    with pytest.raises(UsageError, match="the form is empty"):
        asker.start([HERE], RemoteQuery())


def test_a_comparison_counts_by_uids_what_equal_counts_hide(asker: Asker) -> None:
    """Two here and two there, and only one of them is the same."""
    study = make_study(2, 2)
    here, there = study[:2], [study[0], *study[2:]]
    foreign = make_dataset(
        StudyInstanceUID=study[0].StudyInstanceUID, SeriesInstanceUID=study[0].SeriesInstanceUID
    )
    for dataset in here:
        asker.parts.send(dataset)
    with ImageSource([*there, foreign]) as peer:
        key = asker.node("THERE", peer.port)
        uid = str(study[0].StudyInstanceUID)
        task = asker.remote.compare(TINA, r.CompareStart(node=key, study_instance_uid=uid))
        answer = asker.until(task, lambda answer: answer.finished)
    first, second = answer.series
    assert (first.there, first.here, first.missing, first.extra) == (2, 2, 1, 1)
    assert first.presence is Presence.PARTIAL
    assert (second.there, second.here, second.missing) == (2, 0, 2)
    assert second.presence is Presence.MISSING


def test_a_comparison_that_broke_off_says_so(asker: Asker) -> None:
    with ImageSource(make_study(1, 1), find=[0x0000, Fault.ABORT]) as peer:
        key = asker.node("ABORTS", peer.port)
        request = r.CompareStart(node=key, study_instance_uid=str(peer.has[0].StudyInstanceUID))
        task = asker.remote.compare(TINA, request)
        answer = asker.until(task, lambda answer: answer.finished)
    assert one(answer).state is NodeState.FAILED
    assert answer.series == ()


def test_the_counts_here_are_asked_again_while_objects_come(asker: Asker) -> None:
    dataset = make_dataset()
    uid = str(dataset.StudyInstanceUID)
    request = r.HoldingsRequest(level=Level.STUDY, uids=(uid, "1.2.3"))
    assert asker.remote.here(TINA, request).counts == (0, 0)
    asker.parts.send(dataset)
    assert asker.remote.here(TINA, request).counts == (1, 0)
