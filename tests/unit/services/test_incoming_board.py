"""The board of associations, and the audit log's bounded view of refusals and echoes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuipacs.dimse.contract import Answer, Caller, Outcome
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.node import AssociationState, ContextOutcome
from tuipacs.domain.permissions import MATRIX, Permission, Role
from tuipacs.errors import ForbiddenError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import Empty
from tuipacs.services.alerts import Alerts
from tuipacs.services.incoming import Incoming
from tuipacs.services.incoming_board import KEPT, WITH_CONTEXTS, IncomingBoard
from tuipacs.services.verification import Verification

SUCCESS = Answer(0, "Success", outcome=Outcome.STORED)
CONTEXT = ContextOutcome(
    abstract_syntax="1.2", abstract_syntax_name="x", transfer_syntax="y", accepted=True
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def board(index: Index, clock: Clock) -> IncomingBoard:
    return IncomingBoard(Alerts(index, clock), clock)


def caller(title: str = "CT1", address: str = "192.0.2.1") -> Caller:
    return Caller(title, "TUIPACS", address)


def test_a_large_object_shows_while_it_comes_and_counts_once(board: IncomingBoard) -> None:
    key = board.opened(caller(), True, (CONTEXT,))
    board.receiving(key, 8 << 20)
    record = board.snapshot()[1][0]
    assert (record.bytes_receiving, record.bytes_received, record.stored) == (8 << 20, 0, 0)
    board.answered(key, SUCCESS, 9 << 20)
    record = board.snapshot()[1][0]
    assert (record.bytes_receiving, record.bytes_received, record.stored) == (0, 9 << 20, 1)
    board.receiving(key, 4 << 20)
    board.closed(key, AssociationState.ABORTED, "the connection was lost inside an object", False)
    assert board.snapshot()[1][0].bytes_receiving == 0


def test_requests_without_objects_are_counted_apart(board: IncomingBoard) -> None:
    key = board.opened(caller(), True, (CONTEXT,))
    board.answered(key, Answer(0, "Success"), 0)
    record = board.snapshot()[1][0]
    assert (record.other, record.stored, record.refused) == (1, 0, 0)


def audited(index: Index) -> list[str]:
    with index.read() as reader:
        return [record.detail for record in audit.page(reader, (), 0, 10_000)]


def test_an_association_is_followed_from_open_to_end(board: IncomingBoard, clock: Clock) -> None:
    key = board.opened(caller(), True, (CONTEXT,))
    clock.now = 1001.0
    board.answered(key, SUCCESS, 100)
    board.answered(key, Answer(0, "Success", outcome=Outcome.DUPLICATE), 100)
    board.answered(key, Answer(0xC000, "cannot understand", "bad", Outcome.REFUSED), 7)
    (row,) = board.snapshot()[1]
    assert (row.state, row.stored, row.duplicate, row.refused) == (AssociationState.OPEN, 1, 1, 1)
    assert (row.bytes_received, row.last_at) == (207, 1001.0)
    assert row.last_status == "0xC000 cannot understand: bad"
    board.closed(key, AssociationState.RELEASED, "", False)
    (row,) = board.snapshot()[1]
    assert (row.state, row.ended_at, row.contexts) == (
        AssociationState.RELEASED,
        1001.0,
        (CONTEXT,),
    )


def test_open_ones_come_first_then_the_newest(board: IncomingBoard, clock: Clock) -> None:
    keys = []
    for number in range(4):
        clock.now += 1
        keys.append(board.opened(caller(f"CT{number}"), True, ()))
    for number in (2, 0):
        clock.now += 1
        board.closed(keys[number], AssociationState.RELEASED, "", False)
    clock.now += 1
    board.rejected(caller("X"), False, "no")
    titles = [row.calling_ae_title for row in board.snapshot()[1]]
    assert titles == ["CT3", "CT1", "X", "CT0", "CT2"]


def test_the_same_refusal_within_a_minute_is_one_line(
    board: IncomingBoard, index: Index, clock: Clock
) -> None:
    for _ in range(1000):
        board.rejected(caller(), False, "not known")
    board.rejected(caller("MR1"), False, "not known")
    rows = board.snapshot()[1]
    assert sorted(row.reason for row in rows) == ["not known", "not known (1000 times)"]
    assert audited(index) == ["not known", "not known"]
    clock.now += 61
    board.tick()
    assert audited(index)[0] == (
        "not known; repeated within a minute (999 more that have no record of their own)"
    )
    board.tick()
    assert len(audited(index)) == 3


def test_hammering_under_ever_new_names_stays_bounded(
    board: IncomingBoard, index: Index, clock: Clock
) -> None:
    for number in range(2000):
        board.rejected(caller(f"A{number}"), False, "not known")
    assert len(board.snapshot()[1]) <= KEPT
    assert len(audited(index)) <= 66
    clock.now += 61
    board.tick()
    details = audited(index)
    assert len(details) <= 67
    assert "callers too many to tell apart" in details[0]
    assert "1935 more" in details[0]


def test_real_associations_are_not_pushed_out_by_refusals(board: IncomingBoard) -> None:
    key = board.opened(caller(), True, ())
    for number in range(300):
        board.rejected(caller(f"A{number}"), False, "not known")
    assert board.snapshot()[1][0].key == key


def test_only_the_newest_keep_their_contexts(board: IncomingBoard, clock: Clock) -> None:
    for _ in range(WITH_CONTEXTS + 5):
        clock.now += 1
        key = board.opened(caller(), True, (CONTEXT,))
        board.closed(key, AssociationState.RELEASED, "", False)
    kept = [row.contexts for row in board.snapshot()[1]]
    assert kept == [(CONTEXT,)] * WITH_CONTEXTS + [()] * 5


def test_an_offence_is_audited_and_an_ordinary_end_is_not(
    board: IncomingBoard, index: Index
) -> None:
    ends = [("", False), ("the connection was lost", False), ("sent junk", True)]
    for reason, offence in ends:
        key = board.opened(caller(), True, ())
        board.closed(key, AssociationState.ABORTED, reason, offence)
    assert audited(index) == ["sent junk"]


def test_hostile_titles_are_audited_clean_and_listed_raw(
    board: IncomingBoard, index: Index
) -> None:
    board.rejected(caller("\x1b[2J"), False, "no\nmore")
    with index.read() as reader:
        (record,) = audit.page(reader, (), 0, 10)
    assert record.actor.isprintable()
    assert record.detail.isprintable()
    assert board.snapshot()[1][0].calling_ae_title == "\x1b[2J"


def test_every_change_grows_the_version_and_is_told_in_the_end(index: Index, clock: Clock) -> None:
    told: list[int] = []
    board = IncomingBoard(Alerts(index, clock), clock)
    board.on_change = lambda: told.append(board.snapshot()[0])
    key = board.opened(caller(), True, ())
    for _ in range(500):
        board.answered(key, SUCCESS, 1)
    version = board.snapshot()[0]
    assert version == 501
    assert len(told) < 100  # the stream is not flooded
    board.tick()
    assert told[-1] >= version


def test_a_refusal_counts_on_while_the_log_cannot_be_written(tmp_path: Path, clock: Clock) -> None:
    """Refusing a caller must not depend on the disk; the record comes later."""
    index = Index(tmp_path / "index.db")
    migrate(index)
    alerts = Alerts(index, clock)
    with index.write() as tx:
        tx.execute("PRAGMA query_only = 1")
    alerts.rejected("CT1", "192.0.2.1", "not known")
    with index.read() as reader:
        reader.execute("PRAGMA query_only = 0")
    assert audited(index) == []
    clock.now += 61
    alerts.flush()
    assert audited(index) == [
        "not known; repeated within a minute (1 more that have no record of their own)"
    ]
    index.close()


@pytest.mark.parametrize("role", list(Role))
def test_who_sees_the_incoming_list(index: Index, board: IncomingBoard, role: Role) -> None:
    service = Incoming(index, Clock(), board)
    actor = Actor(kind=ActorKind.USER, name="x", role=role, permissions=MATRIX[role])
    board.opened(caller(), True, ())
    if Permission.VIEW_INCOMING in MATRIX[role]:
        answer = service.list(actor, Empty())
        assert (answer.version, len(answer.associations)) == (1, 1)
    else:
        with pytest.raises(ForbiddenError):
            service.list(actor, Empty())


def test_echoes_have_one_record_a_minute_with_the_number_of_the_others(
    index: Index, clock: Clock
) -> None:
    service = Verification(index, clock)
    peer = Actor(
        kind=ActorKind.PEER,
        name="CT1",
        permissions=frozenset({Permission.DICOM_ECHO}),
        origin=Origin(address="192.0.2.1"),
    )
    for _ in range(50):
        service.echo(peer)
    assert audited(index) == ["C-ECHO"]
    clock.now += 60
    service.echo(peer)
    assert audited(index)[0] == "C-ECHO; 49 more since the record before"


def test_echo_needs_its_right(index: Index, clock: Clock) -> None:
    with pytest.raises(ForbiddenError):
        Verification(index, clock).echo(
            Actor(kind=ActorKind.PEER, name="X", permissions=frozenset())
        )
    assert audited(index) == ["lacks dicom-echo"]
