"""The guard: nobody passes without the right, and nothing passes without a record."""

from __future__ import annotations

import pytest

from tests.unit.services.parts import PEER, Parts, actor
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.audit import AuditEvent, AuditOutcome
from tuipacs.domain.permissions import Permission, Role
from tuipacs.errors import ConflictError, ForbiddenError, StorageFailedError
from tuipacs.services.guard import Service, about, before_login, covered, guarded

ADMIN = actor(Role.ADMIN)


class Rooms(Service):
    """A service with one method for each way through the guard."""

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def note(self, actor: Actor, words: str, error: Exception | None = None) -> str:
        """Write a row, then perhaps fail, inside the transaction."""
        about(detail=words)
        with self.transaction() as tx:
            tx.execute(
                "INSERT INTO node (ae_title, address, services, description, created_at)"
                " VALUES (?, '', '', '', 0)",
                (words,),
            )
            if error is not None:
                raise error
        return words

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def note_then_fail(self, actor: Actor) -> None:
        """Commit, and fail afterwards."""
        with self.transaction() as tx:
            tx.execute("UPDATE total SET bytes = 7")
        raise ConflictError("too late")

    @guarded(Permission.MANAGE_NODES, AuditEvent.SECURITY_ALERT)
    def note_twice(self, actor: Actor) -> None:
        """Two transactions in one call."""
        for _ in range(2):
            with self.transaction() as tx:
                tx.execute("UPDATE total SET bytes = bytes + 1")

    @guarded(Permission.BROWSE, AuditEvent.QUERY)
    def look(self, actor: Actor, error: Exception | None = None, page: int = 0) -> int:
        """Read only; later pages are covered by the first one's record."""
        about(patient_id="P1", study_instance_uid="1.2", sop_instance_uid="1.2.3")
        if page:
            covered()
        if error is not None:
            raise error
        return page

    @guarded(Permission.BROWSE, AuditEvent.QUERY, only_refusals="a number")
    def count(self, actor: Actor, error: Exception | None = None) -> int:
        """Not worth a record, unless it fails."""
        if error is not None:
            raise error
        return 3

    @before_login("for the test")
    def write_unguarded(self) -> None:
        """A transaction outside any guarded call."""
        with self.transaction() as tx:
            tx.execute("UPDATE total SET bytes = 9")


@pytest.fixture
def rooms(parts: Parts) -> Rooms:
    return Rooms(parts.index, parts.clock)


def titles(parts: Parts) -> list[str]:
    return [row[0] for row in parts.rows("SELECT ae_title FROM node")]


def test_who_lacks_the_right_is_refused_and_recorded(parts: Parts, rooms: Rooms) -> None:
    with pytest.raises(ForbiddenError) as refused:
        rooms.note(actor(Role.VIEWER), "x")
    assert refused.value.remedy == "needs role admin"
    assert titles(parts) == []
    (record,) = parts.records()
    assert (record.outcome, record.operation) == (AuditOutcome.REFUSED, "rooms.note")
    assert (record.actor, record.role) == ("viewer", "viewer")
    assert (record.event, record.detail) == ("Security Alert", "lacks manage-nodes")


def test_the_refusal_names_all_roles_that_could(rooms: Rooms) -> None:
    with pytest.raises(ForbiddenError) as refused:
        rooms.look(actor(Role.AUDITOR))
    assert refused.value.remedy == "needs role viewer, technologist, radiologist, admin, service"


def test_a_right_that_no_role_has_belongs_to_dicom_nodes(rooms: Rooms, parts: Parts) -> None:
    with pytest.raises(ForbiddenError) as refused:
        parts.ingest.store(ADMIN, None)  # type: ignore[arg-type]
    assert refused.value.remedy == "needs role a known DICOM node"


def test_a_caller_without_a_name_is_refused_with_words(rooms: Rooms) -> None:
    nobody = Actor(kind=ActorKind.PEER, name="", permissions=frozenset())
    with pytest.raises(ForbiddenError, match="this caller may not do that"):
        rooms.look(nobody)


def test_a_refusal_that_cannot_be_recorded_is_a_refusal_all_the_same(
    parts: Parts, rooms: Rooms
) -> None:
    with parts.index.write() as tx:
        tx.execute("DROP TABLE audit_head")
    with pytest.raises(Exception, match="audit_head"):
        rooms.note(actor(Role.VIEWER), "x")
    assert titles(parts) == []


def test_the_record_commits_with_the_rows(parts: Parts, rooms: Rooms) -> None:
    assert rooms.note(ADMIN, "CT1") == "CT1"
    assert titles(parts) == ["CT1"]
    (record,) = parts.records()
    assert (record.outcome, record.detail) == (AuditOutcome.SUCCESS, "CT1")


def test_without_a_record_there_are_no_rows(parts: Parts, rooms: Rooms) -> None:
    """The record is the transaction's last statement: if it cannot be written, nothing is."""
    with parts.index.write() as tx:
        tx.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with pytest.raises(Exception, match="no"):
        rooms.note(ADMIN, "CT1")
    assert titles(parts) == []


def test_a_rolled_back_call_leaves_no_rows_and_a_record_of_its_failure(
    parts: Parts, rooms: Rooms
) -> None:
    with pytest.raises(ConflictError):
        rooms.note(ADMIN, "CT1", ConflictError("known already"))
    assert titles(parts) == []
    (record,) = parts.records()
    assert (record.outcome, record.detail) == (AuditOutcome.FAILURE, "CT1: known already")


def test_what_failed_after_its_commit_has_both_records(parts: Parts, rooms: Rooms) -> None:
    with pytest.raises(ConflictError):
        rooms.note_then_fail(ADMIN)
    assert parts.rows("SELECT bytes FROM total") == [(7,)]
    assert [record.outcome for record in parts.records()] == ["success", "failure"]


def test_a_call_with_two_transactions_has_one_record(parts: Parts, rooms: Rooms) -> None:
    rooms.note_twice(ADMIN)
    assert [record.operation for record in parts.records()] == ["rooms.note_twice"]


def test_reading_is_recorded_before_the_answer_leaves(parts: Parts, rooms: Rooms) -> None:
    rooms.look(ADMIN)
    record = parts.last_record()
    assert (record.patient_id, record.study_instance_uid) == ("P1", "1.2")
    assert (record.sop_instance_uid, record.detail) == ("1.2.3", "")


def test_an_answer_that_cannot_be_recorded_does_not_leave(parts: Parts, rooms: Rooms) -> None:
    with parts.index.write() as tx:
        tx.execute("DROP TABLE audit_head")
    with pytest.raises(Exception, match="audit_head"):
        rooms.look(ADMIN)


def test_a_covered_call_adds_no_record(parts: Parts, rooms: Rooms) -> None:
    assert rooms.look(ADMIN, page=2) == 2
    assert parts.records() == []


def test_a_covered_call_that_fails_is_recorded(parts: Parts, rooms: Rooms) -> None:
    with pytest.raises(ConflictError):
        rooms.look(ADMIN, ConflictError("no"), page=2)
    assert parts.last_record().outcome is AuditOutcome.FAILURE


def test_only_refusals_and_failures_of_a_small_thing_are_recorded(
    parts: Parts, rooms: Rooms
) -> None:
    assert rooms.count(ADMIN) == 3
    assert parts.records() == []
    with pytest.raises(ForbiddenError):
        rooms.count(PEER)
    with pytest.raises(StorageFailedError):
        rooms.count(ADMIN, StorageFailedError("disk"))
    assert [record.outcome for record in parts.records()] == ["refused", "failure"]


def test_a_bug_is_recorded_by_its_kind_only(parts: Parts, rooms: Rooms) -> None:
    """Its message may hold anything, PHI too."""
    with pytest.raises(ValueError, match="DOE"):
        rooms.look(ADMIN, ValueError("DOE^JANE"))
    record = parts.last_record()
    assert (record.outcome, record.detail) == (AuditOutcome.FAILURE, "ValueError")


def test_a_long_detail_is_cut(parts: Parts, rooms: Rooms) -> None:
    rooms.note(ADMIN, "x" * 1000)
    with pytest.raises(ConflictError):
        rooms.note(ADMIN, "z" * 1000, ConflictError("y" * 1000))
    assert [len(record.detail) for record in parts.records()] == [500, 500]


def test_where_the_actor_sits_is_recorded(parts: Parts, rooms: Rooms) -> None:
    peer = Actor(
        kind=PEER.kind, name="CT1", permissions=frozenset({Permission.BROWSE}), origin=PEER.origin
    )
    rooms.look(peer)
    record = parts.last_record()
    assert (record.actor_kind, record.actor, record.role) == ("peer", "CT1", "")
    assert record.address == "192.0.2.7"


def test_outside_a_call_there_is_nothing_to_say(parts: Parts, rooms: Rooms) -> None:
    with pytest.raises(AssertionError):
        about(detail="x")
    with pytest.raises(AssertionError):
        covered()


def test_a_transaction_outside_a_call_writes_no_record(parts: Parts, rooms: Rooms) -> None:
    rooms.write_unguarded()
    assert parts.rows("SELECT bytes FROM total") == [(9,)]
    assert parts.records() == []
