"""C-MOVE and C-GET as an asker, against a node that plays them well and badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from tests.dimse.faulty_peer import Fault, FaultyPeer, Held
from tests.dimse.hostile_acceptor import QUICK
from tests.dimse.raw_peer import CT, EXPLICIT, IMPLICIT
from tuipacs.dimse.contract import Answer, Request
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tuipacs.errors import UsageError
from tuipacs.scu.c_get import Get, get
from tuipacs.scu.c_move import Move, move
from tuipacs.scu.requestor import Context, Peer, open_association
from tuipacs.scu.suboperations import SubOperations

CONTEXTS = [Context(CT, EXPLICIT)]
MR = "1.2.840.10008.5.1.4.1.1.4"


def _objects(count: int, size: int = 100) -> list[Held]:
    return [Held(CT, f"1.2.{number}", dataset=bytes(size)) for number in range(1, count + 1)]


def _study() -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = "1.2.3"
    return identifier


class Taker:
    """Stands for who stores: keeps what comes, and answers as told."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.kept: list[tuple[str, int]] = []
        self.begun = self.let_go = 0

    def __call__(self, request: Request) -> Taking:
        self.begun += 1
        return Taking(self, request)


class Taking:
    def __init__(self, taker: Taker, request: Request) -> None:
        self.taker, self.request, self.size = taker, request, 0

    def write(self, fragment: memoryview) -> None:
        self.size += len(fragment)

    def finish(self, _: object) -> Answer:
        status = self.taker.statuses.pop(0) if self.taker.statuses else 0x0000
        if status < 0:
            raise ZeroDivisionError("a bug")
        if status == 0:
            self.taker.kept.append((self.request.command.sop_instance_uid, self.size))
        return Answer(status, "as told")

    def discard(self) -> None:
        self.taker.let_go += 1


def _move(peer: Peer, destination: str = "HERE") -> tuple[Move, list[SubOperations]]:
    with move(peer, STUDY_ROOT_MOVE, _study(), destination) as moving:
        return moving, list(moving)


def _get(
    peer: Peer, taker: Taker, contexts: Sequence[Context] = CONTEXTS
) -> tuple[Get, list[SubOperations]]:
    with get(peer, STUDY_ROOT_GET, _study(), contexts, taker) as getting:
        return getting, list(getting)


# -- C-MOVE


def test_a_move_is_told_step_by_step_and_ends_with_its_counts() -> None:
    with FaultyPeer() as here, FaultyPeer(objects=_objects(3)) as node:
        node.destinations["HERE"] = here.port
        moving, steps = _move(node.peer())
    assert [(s.remaining, s.completed) for s in steps] == [(2, 1), (1, 2), (0, 3)]
    assert moving.final is not None
    assert moving.final.status == 0
    assert moving.counts == SubOperations(None, 3, 0, 0)
    assert [held.sop_instance_uid for held in here.stored] == ["1.2.1", "1.2.2", "1.2.3"]
    assert {held.originator for held in here.stored} == {("TUIPACS", 1)}


def test_a_failed_part_is_named() -> None:
    with FaultyPeer(store=[0, 0xA700]) as here, FaultyPeer(objects=_objects(3)) as node:
        node.destinations["HERE"] = here.port
        moving, _ = _move(node.peer())
    assert moving.final is not None
    assert moving.final.status == 0xB000
    assert moving.counts == SubOperations(None, 2, 1, 0)
    assert moving.failed_uids == ("1.2.2",)


def test_a_destination_that_the_peer_does_not_know_is_its_answer() -> None:
    with FaultyPeer(comment="who is \x1b[2Jthat?") as node:
        moving, steps = _move(node.peer())
    assert steps == []
    assert moving.final is not None
    assert (moving.final.status, moving.final.comment) == (0xA801, "who is \u241b[2Jthat?")
    assert moving.counts is None


def test_a_destination_that_is_no_ae_title_is_never_asked_for() -> None:
    with FaultyPeer() as node, pytest.raises(UsageError):
        _move(node.peer(), "AN AE TITLE THAT IS TOO LONG")
    assert node.attempts == 0


def test_pending_answers_may_be_missing_or_without_counts() -> None:
    with FaultyPeer() as here, FaultyPeer(objects=_objects(2), pending=False) as node:
        node.destinations["HERE"] = here.port
        moving, steps = _move(node.peer())
        assert steps == []
        assert moving.counts == SubOperations(None, 2, 0, 0)
        node.pending, node.counts = True, lambda *_: (-1, -1, -1, -1)
        moving, steps = _move(node.peer())
    assert steps == [SubOperations(None, 0, 0, 0)] * 2
    assert moving.counts is None


def test_counts_that_lie_are_told_as_they_came() -> None:
    lies = iter([(9, 500, 0, 0), (12, 3, 65535, 1), (-1, 0, 0, 0)])
    liar = FaultyPeer(objects=_objects(2), counts=lambda *_: next(lies))
    with FaultyPeer() as here, liar as node:
        node.destinations["HERE"] = here.port
        moving, steps = _move(node.peer())
    assert steps == [SubOperations(9, 500, 0, 0), SubOperations(12, 3, 65535, 1)]
    assert moving.counts == SubOperations(None, 0, 0, 0)


def test_a_list_of_failures_is_read_with_care() -> None:
    hostile = ["1.2.1", "1.2.1", "../../etc", "\x1b]0;x", "1.2.2"]
    with FaultyPeer(objects=[], failed_uids=hostile) as node:
        node.destinations["HERE"] = 1
        moving, _ = _move(node.peer())
    assert moving.failed_uids == ("1.2.1", "1.2.2")


def test_a_cancelled_move_ends_before_its_last_object() -> None:
    with FaultyPeer() as here, FaultyPeer(objects=_objects(500)) as node:
        node.destinations["HERE"] = here.port
        with move(node.peer(), STUDY_ROOT_MOVE, _study(), "HERE") as moving:
            for _ in moving:
                moving.cancel()
    assert node.cancelled == [1]
    assert moving.final is not None
    assert moving.final.status == 0xFE00
    assert 1 <= len(here.stored) < 500


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.SILENCE, "did not answer within 1 s"),
        (Fault.VANISH, "closed the connection without a release"),
        (Fault.CLOSE, "closed the connection without a release"),
        (Fault.ABORT, "aborted the association (service user)"),
        (Fault.RELEASE, "released the association instead of answering"),
        (Fault.GARBAGE, "unknown type 0x77"),
        (Fault.OTHER_MESSAGE, "the answer to another message"),
    ],
)
def test_a_move_without_its_last_answer_is_unknown(fault: Fault, words: str) -> None:
    with FaultyPeer(move=[fault]) as node:
        moving, steps = _move(node.peer(replace(QUICK, dimse_timeout=0.1)))
    assert steps == []
    assert moving.final is not None
    assert moving.final.status is None
    assert words in moving.final.comment


# -- C-GET


def test_objects_come_on_our_own_association() -> None:
    taker = Taker()
    with FaultyPeer(objects=_objects(3, size=300_000)) as node:
        getting, steps = _get(node.peer(), taker)
        assert node.associations == 1
    assert taker.kept == [("1.2.1", 300_000), ("1.2.2", 300_000), ("1.2.3", 300_000)]
    assert taker.let_go == 3
    assert [s.completed for s in steps] == [1, 2, 3]
    assert getting.final is not None
    assert getting.final.status == 0


def test_what_we_refuse_is_failed_at_the_peer() -> None:
    taker = Taker(0, 0xA700, 0)
    with FaultyPeer(objects=_objects(3)) as node:
        getting, _ = _get(node.peer(), taker)
    assert getting.final is not None
    assert getting.final.status == 0xB000
    assert getting.failed_uids == ("1.2.2",)
    assert [uid for uid, _ in taker.kept] == ["1.2.1", "1.2.3"]


def test_a_bug_in_storing_costs_one_object_and_not_the_retrieve() -> None:
    taker = Taker(-1)
    with FaultyPeer(objects=_objects(2)) as node:
        getting, _ = _get(node.peer(), taker)
    assert getting.failed_uids == ("1.2.1",)
    assert [uid for uid, _ in taker.kept] == ["1.2.2"]


def test_a_class_that_the_peer_does_not_send_is_told() -> None:
    taker, contexts = Taker(), [*CONTEXTS, Context(MR, IMPLICIT)]
    with FaultyPeer(objects=_objects(1), takes=lambda abstract, _: abstract != MR) as node:
        getting, _ = _get(node.peer(), taker, contexts)
    assert getting.refused == (Context(MR, IMPLICIT),)
    assert len(taker.kept) == 1


@pytest.mark.parametrize(
    "node",
    [
        lambda: FaultyPeer(takes_roles=False),
        lambda: FaultyPeer(takes=lambda abstract, _: abstract != CT),
        lambda: FaultyPeer(takes=lambda abstract, _: abstract == CT),
    ],
)
def test_a_peer_that_could_send_nothing_is_not_asked(node: Callable[[], FaultyPeer]) -> None:
    """Without the role, the class, or the retrieve model itself."""
    with node() as peer:
        with pytest.raises(AssociationFailedError) as caught:
            _get(peer.peer(), Taker())
        assert peer.asked == []
    assert caught.value.failure is Failure.NO_CONTEXT


def test_an_object_in_a_class_without_the_role_is_a_breach() -> None:
    """The context alone, proposed for something else, does not let a peer push objects."""
    taker = Taker()
    contexts = [Context(STUDY_ROOT_GET, EXPLICIT), *CONTEXTS, Context(MR, EXPLICIT)]
    with (
        FaultyPeer(objects=[Held(MR, "1.2.9")]) as node,
        open_association(node.peer(), contexts, roles={CT: (False, True)}) as association,
    ):
        getting = Get(association, STUDY_ROOT_GET, _study(), CONTEXTS, taker)
        assert list(getting) == []
    assert taker.kept == []
    assert getting.final is not None
    assert getting.final.status is None
    assert "a request, without the role for it" in getting.final.comment


def test_a_cancel_reaches_a_peer_that_sends() -> None:
    taker = Taker()
    with FaultyPeer(objects=_objects(500)) as node:
        with get(node.peer(), STUDY_ROOT_GET, _study(), CONTEXTS, taker) as getting:
            for _ in getting:
                getting.cancel()
        assert node.cancelled == [1]
    assert getting.final is not None
    assert getting.final.status == 0xFE00
    assert 1 <= len(taker.kept) < 500


@pytest.mark.parametrize("fault", [Fault.VANISH, Fault.ABORT, Fault.SILENCE, Fault.GARBAGE])
def test_an_object_cut_off_in_the_middle_is_let_go_of(fault: Fault) -> None:
    taker = Taker()
    with FaultyPeer(objects=_objects(3, size=50_000), sends=[None, fault]) as node:
        getting, steps = _get(node.peer(replace(QUICK, dimse_timeout=0.3)), taker)
    assert taker.kept == [("1.2.1", 50_000)]
    assert taker.let_go == taker.begun  # a reset may swallow the command as well
    assert fault is Fault.VANISH or taker.begun == 2
    assert len(steps) == 1 or fault is Fault.VANISH
    assert getting.final is not None
    assert getting.final.status is None


def test_a_get_that_goes_on_is_never_too_slow() -> None:
    """The time counts from the last object, not from the question."""

    class Slow(Taker):
        def __call__(self, request: Request) -> Taking:
            time.sleep(0.15)
            return super().__call__(request)

    taker = Slow()
    with FaultyPeer(objects=_objects(4), pending=False) as node:
        getting, _ = _get(node.peer(replace(QUICK, dimse_timeout=0.3)), taker)
    assert getting.final is not None
    assert getting.final.status == 0
    assert len(taker.kept) == 4
