"""C-MOVE when somebody fails: the destination, who asked, or nobody wants the rest."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_study
from tests.dimse.archive import ADMIN
from tests.dimse.faulty_peer import Deed, Fault, FaultyPeer
from tests.dimse.raw_peer import IMPLICIT, RawPeer, element, p_data, pdu, us
from tests.dimse.retrieving import Source
from tests.unit.find_rows import identifier
from tests.waiting import eventually
from tuipacs.dimse.requestor.loop import RequestorSettings
from tuipacs.dimse.syntaxes import STUDY_ROOT_MOVE
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.node_messages import NodeRemoveRequest
from tuipacs.scu.c_move import Move, move
from tuipacs.scu.requestor import Context, Peer, open_association
from tuipacs.scu.suboperations import SubOperations

CONTEXT = (1, STUDY_ROOT_MOVE, [IMPLICIT])
COUNT = 5
SLOW = 16  # KiB/s: the least there is


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("faults"))
    archive.know("ASKING", NodeService.ECHO, NodeService.MOVE)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def study(archive: Source) -> list[Dataset]:
    made = list(make_study(1, COUNT))
    archive.keep_all(made)
    return made


@pytest.fixture(scope="module")
def many(archive: Source) -> list[Dataset]:
    """More than a destination of `SLOW` gets before somebody wants no more of it."""
    made = list(make_study(1, 60))
    archive.keep_all(made)
    return made


@pytest.fixture
def to(archive: Source) -> Iterator[Callable[..., str]]:
    """Make a faulty peer known for one test; its title."""
    keys = []

    def known(node: FaultyPeer, **call: object) -> str:
        title = f"N{node.port}"
        keys.append(archive.destination(title, node.port, **call))
        return title

    yield known
    for key in keys:
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))


def asker(archive: Source) -> Peer:
    settings = RequestorSettings(dimse_timeout=10)
    return Peer("127.0.0.1", archive.port, "TUIPACS", "ASKING", settings=settings)


def wanted(study: list[Dataset]) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = study[0].StudyInstanceUID
    return asked


def ask(archive: Source, study: list[Dataset], title: str) -> tuple[Move, list[SubOperations]]:
    """Move the study, and see it through."""
    with move(asker(archive), STUDY_ROOT_MOVE, wanted(study), title) as moving:
        return moving, list(moving)


def told(moving: Move) -> tuple[int | None, int, int, int]:
    """Final status, and how many were completed, failed, and have a warning."""
    assert moving.final is not None
    assert moving.counts is not None
    counts = moving.counts
    return moving.final.status, counts.completed, counts.failed, counts.warning


def uids(study: list[Dataset], *numbers: int) -> tuple[str, ...]:
    return tuple(str(study[n].SOPInstanceUID) for n in numbers)


QUICK = {"dimse_timeout": 1.0, "acse_timeout": 1.0, "connect_timeout": 1.0}


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.EARLY}, key=lambda one: one.name))
def test_a_destination_that_fails_in_the_middle_has_what_it_acknowledged(
    archive: Source, study: list[Dataset], to: Callable[..., str], fault: Fault
) -> None:
    with FaultyPeer(store=[0, 0, fault]) as node:
        moving, _ = ask(archive, study, to(node, **QUICK))
    assert told(moving) == (0xB000, 2, 3, 0)
    assert moving.failed_uids == uids(study, 2, 3, 4)
    assert moving.counts is not None
    assert moving.counts.remaining is None


@pytest.mark.parametrize(
    "refusal", [(1, 1, 7), (2, 3, 2), Fault.VANISH, Fault.ABORT, Fault.GARBAGE, Fault.SILENCE]
)
def test_a_destination_without_an_association_fails_everything(
    archive: Source, study: list[Dataset], to: Callable[..., str], refusal: Fault
) -> None:
    with FaultyPeer(reject=[refusal]) as node:
        moving, _ = ask(archive, study, to(node, **QUICK))
    assert told(moving) == (0xA702, 0, COUNT, 0)
    assert moving.failed_uids == uids(study, *range(COUNT))


def test_a_destination_that_takes_nothing_fails_everything(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    with FaultyPeer(takes=lambda _abstract, _transfer: False) as node:
        moving, _ = ask(archive, study, to(node))
    assert told(moving) == (0xA702, 0, COUNT, 0)


@pytest.mark.parametrize("status", [0x0110, 0x0117, 0x0122, 0x0124, 0xA700, 0xA900, 0xC000, 0xFFFF])
def test_a_failure_of_one_object_is_counted_and_named(
    archive: Source, study: list[Dataset], to: Callable[..., str], status: int
) -> None:
    with FaultyPeer(store=[0, status]) as node:
        moving, _ = ask(archive, study, to(node))
    assert told(moving) == (0xB000, 4, 1, 0)
    assert moving.failed_uids == uids(study, 1)


def test_who_asked_is_told_of_a_destination_that_takes_its_time(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    """More than once for the same counts: some give up after ten seconds of silence."""
    with FaultyPeer(store=[0, Fault.SILENCE]) as node:
        _, steps = ask(archive, study, to(node, **QUICK))
    assert [step.remaining for step in steps].count(4) >= 2
    assert steps[0] == SubOperations(COUNT, 0, 0, 0)
    for step in steps:
        assert step.remaining == COUNT - step.completed - step.failed


def test_a_cancel_stops_after_the_object_at_hand(
    archive: Source, many: list[Dataset], to: Callable[..., str]
) -> None:
    before = len(_ended(archive, many))
    with FaultyPeer() as node:
        with move(
            asker(archive), STUDY_ROOT_MOVE, wanted(many), to(node, kib_per_second=SLOW)
        ) as m:
            steps = iter(m)
            next(steps)
            m.cancel()
            list(steps)
        status, completed, failed, _ = told(m)
        assert (status, failed) == (0xFE00, 0)
        assert completed == len(node.stored) < len(many)
        assert m.counts is not None
        assert m.counts.remaining == len(many) - completed
        assert m.failed_uids == ()
    assert _ended(archive, many)[before:] == [
        f"C-MOVE to {node_title(node)}: {completed} of {len(many)} objects sent,"
        " stopped by the caller"
    ]


def node_title(node: FaultyPeer) -> str:
    return f"N{node.port}"


def _study_uids(study: list[Dataset]) -> list[str]:
    return [str(study[0].StudyInstanceUID)]


def test_a_cancel_needs_no_cut_where_objects_are_quick(tmp_path: Path) -> None:
    archive = Source(tmp_path, grace=60.0)
    with closing(archive), FaultyPeer() as node:
        archive.know("ASKING", NodeService.MOVE)
        archive.destination("SLOW", node.port, kib_per_second=SLOW)
        many = list(make_study(1, 60))
        archive.keep_all(many)
        with move(asker(archive), STUDY_ROOT_MOVE, wanted(many), "SLOW") as moving:
            for _ in moving:
                moving.cancel()
        assert told(moving)[0] == 0xFE00
        assert len(node.stored) < len(many)


def test_a_cancel_does_not_wait_for_a_destination_that_never_answers(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    """What it did not acknowledge remains: it neither has it nor failed."""
    with FaultyPeer(store=[0, Fault.SILENCE]) as node:
        title = to(node, dimse_timeout=60.0)
        with move(asker(archive), STUDY_ROOT_MOVE, wanted(study), title) as moving:
            for step in moving:
                if step.completed:
                    moving.cancel()
    assert told(moving) == (0xFE00, 1, 0, 0)
    assert moving.counts is not None
    assert moving.counts.remaining == 4


def test_a_cancel_that_comes_too_late_changes_nothing(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    with FaultyPeer() as node, RawPeer(archive.port) as peer:
        peer.associate([CONTEXT], calling=b"ASKING")
        peer.send(request(study, to(node)))
        statuses = _until_final(peer)
        peer.send(p_data(1, 3, cancel()))
        peer.send(request(study, node_title(node)))
        assert statuses[-1] == _until_final(peer)[-1] == 0x0000
        assert peer.release() == 6
    assert len(node.stored) == 2 * COUNT


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (1, 1), (2, 2), (7, 0)])
def test_the_priority_of_a_move_is_that_of_its_objects(
    archive: Source, study: list[Dataset], to: Callable[..., str], asked: int, given: int
) -> None:
    """PS3.4 C.4.2.1.2; what the standard does not know is medium."""
    with FaultyPeer() as node, RawPeer(archive.port) as peer:
        peer.associate([CONTEXT], calling=b"ASKING")
        peer.send(request(study, to(node), priority=asked))
        assert _until_final(peer)[-1] == 0x0000
        assert peer.release() == 6
    stores = [one for one in node.asked if one.field == 0x0001]
    assert {one.elements[0x0700] for one in stores} == {us(given)}
    assert len(stores) == COUNT


def request(study: list[Dataset], title: str, message_id: int = 7, priority: int = 0) -> bytes:
    """A C-MOVE request in two PDUs."""
    body = element(0x0002, STUDY_ROOT_MOVE.encode()) + element(0x0100, us(0x0021))
    body += element(0x0110, us(message_id)) + element(0x0600, title.encode().ljust(16))
    body += element(0x0700, us(priority)) + element(0x0800, us(1))
    keys = identifier("STUDY", IMPLICIT, StudyInstanceUID=study[0].StudyInstanceUID)
    command = element(0, len(body).to_bytes(4, "little")) + body
    return p_data(1, 3, command) + p_data(1, 2, keys)


def cancel(message_id: int = 7) -> bytes:
    body = element(0x0100, us(0x0FFF)) + element(0x0120, us(message_id))
    body += element(0x0800, us(0x0101))
    return element(0, len(body).to_bytes(4, "little")) + body


def _until_final(peer: RawPeer) -> list[int]:
    statuses = [peer.status()]
    while statuses[-1] == 0xFF00:
        statuses.append(peer.status())
    return statuses


LAST_WORDS = {"close": b"", "abort": pdu(7, bytes(4)), "nonsense": pdu(9, b"??")}


@pytest.mark.parametrize("word", LAST_WORDS.values(), ids=LAST_WORDS)
def test_a_move_ends_with_who_asked_for_it(
    archive: Source, study: list[Dataset], to: Callable[..., str], word: bytes
) -> None:
    before = _ended(archive, study)
    with FaultyPeer(store=[0, Fault.SILENCE]) as node:
        with RawPeer(archive.port) as peer:
            peer.associate([CONTEXT], calling=b"ASKING")
            peer.send(request(study, to(node, dimse_timeout=60.0)))
            eventually(lambda: node.stored)
            peer.send(word)
        ended = eventually(lambda: _ended(archive, study)[len(before) :])
    assert len(node.stored) == 1
    if word != LAST_WORDS["nonsense"]:
        assert ended == [
            f"C-MOVE to {node_title(node)}: 1 of 5 objects sent, the connection was lost"
        ]


def test_nothing_is_sent_any_more_once_the_record_says_that_it_was_lost(
    archive: Source, many: list[Dataset], to: Callable[..., str]
) -> None:
    before = len(_ended(archive, many))
    with FaultyPeer() as node:
        with RawPeer(archive.port) as peer:
            peer.associate([CONTEXT], calling=b"ASKING")
            peer.send(request(many, to(node, kib_per_second=SLOW)))
            eventually(lambda: node.stored)
        eventually(lambda: _ended(archive, many)[before:])
        assert not any(thread.name.startswith("move to") for thread in threading.enumerate())
        assert len(node.stored) < len(many)


def _ended(archive: Source, study: list[Dataset]) -> list[str]:
    found = archive.audit_of("retrieve.move", "110104", _study_uids(study))
    return [record.detail for record in found]


def test_a_removed_requester_gets_nothing_more(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    key = archive.know("LEAVING", NodeService.MOVE)
    with FaultyPeer(store=[0, Fault.SILENCE]) as node, RawPeer(archive.port) as peer:
        peer.associate([CONTEXT], calling=b"LEAVING")
        peer.send(request(study, to(node, dimse_timeout=60.0)))
        eventually(lambda: node.stored)
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        kind, _ = peer.read()
        while kind == 4:
            kind, _ = peer.read()
        assert kind == 7
    assert len(node.stored) == 1


def test_two_moves_at_once_to_one_destination(
    archive: Source, study: list[Dataset], to: Callable[..., str]
) -> None:
    with FaultyPeer() as node:
        title = to(node)
        results: list[Move] = []
        threads = [
            threading.Thread(target=lambda: results.append(ask(archive, study, title)[0]))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert [told(moving) for moving in results] == [(0x0000, COUNT, 0, 0)] * 2
    assert sorted(held.sop_instance_uid for held in node.stored) == sorted(
        2 * uids(study, *range(COUNT))
    )


class Gated(FaultyPeer):
    """Takes its second object only when the gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        super().__init__()

    def next_of(self, deeds: list[Deed]) -> Deed:
        if len(self.stored) == 1:
            self.gate.wait(10)
        return super().next_of(deeds)


def test_a_destination_that_is_removed_in_the_middle_gets_nothing_more(
    archive: Source, study: list[Dataset]
) -> None:
    with Gated() as node:
        key = archive.destination("GOING", node.port)
        done: list[Move] = []
        asking = threading.Thread(target=lambda: done.append(ask(archive, study, "GOING")[0]))
        asking.start()
        eventually(lambda: len(node.stored) == 1)
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        threading.Event().wait(0.2)  # it looks ten times a second whether the node is there
        node.gate.set()
        asking.join(20)
    status, completed, failed, _ = told(done[0])
    assert (status, completed + failed) == (0xB000, COUNT)
    assert completed == len(node.stored) == 2  # the one that was on its way arrives


def test_who_goes_leaves_nobody_waiting_for_a_destination_that_never_answers(
    archive: Source, study: list[Dataset]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        key = archive.destination("HOLE", hole.getsockname()[1])
        with open_association(asker(archive), [Context(STUDY_ROOT_MOVE, IMPLICIT)]) as asking:
            Move(asking, STUDY_ROOT_MOVE, wanted(study), "HOLE")
            eventually(lambda: "move to HOLE" in names())
            asking.cut()
        eventually(lambda: "move to HOLE" not in names())  # and not only after 30 seconds
    archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_a_slow_lane_hears_a_cancel(archive: Source, study: list[Dataset]) -> None:
    with FaultyPeer() as node:
        key = archive.destination("SLOW", node.port, kib_per_second=16)
        big = make_study(1, 2)
        for one in big:
            one.PixelData = bytes(1 << 19)
        archive.keep_all(list(big))
        with move(asker(archive), STUDY_ROOT_MOVE, wanted(list(big)), "SLOW") as moving:
            next(iter(moving))
            moving.cancel()
            list(moving)
    assert moving.final is not None
    assert moving.final.status == 0xFE00
    archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
