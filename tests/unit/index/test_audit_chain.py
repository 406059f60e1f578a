"""The audit log: append-only, and whoever gets past that is found out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.services.parts import Parts, opened
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord
from tuipacs.index import audit
from tuipacs.index.database import Transaction

_FIELDS = [
    "event_code",
    "operation",
    "outcome",
    "actor_kind",
    "actor",
    "role",
    "unix_user",
    "terminal",
    "ssh_client",
    "address",
    "patient_id",
    "study_instance_uid",
    "sop_instance_uid",
    "detail",
]


def record(number: int, **fields: Any) -> AuditRecord:
    words = {name: f"{name} {number}" for name in _FIELDS}
    words["event_code"] = AuditEvent.QUERY.code
    words["outcome"] = AuditOutcome.SUCCESS
    return AuditRecord(seq=0, at=1000.5 + number, event="", **(words | fields))


def fill(parts: Parts, count: int) -> None:
    with parts.index.write() as tx:
        for number in range(1, count + 1):
            assert audit.append(tx, record(number)) == number


def verify(parts: Parts) -> tuple[int, int | None, str]:
    with parts.index.read() as reader:
        return audit.verify(reader)


_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"


def tamper(parts: Parts, change: Callable[[Transaction], None]) -> None:
    """Change the table as somebody with the file in hand can, and hide that by the triggers."""
    with parts.index.write() as tx:
        triggers = tx.all(_TRIGGERS)
        for name, _ in triggers:
            tx.execute(f"DROP TRIGGER {name}")
        change(tx)
        for _, sql in triggers:
            tx.execute(sql)


def test_a_log_without_its_triggers_is_told(parts: Parts) -> None:
    """Whoever takes them away has something in mind."""
    fill(parts, 3)
    with parts.index.write() as tx:
        tx.execute("DROP TRIGGER audit_is_append_only_delete")
    assert verify(parts) == (3, 4, "the triggers that keep the log append-only are gone")


def test_an_empty_log_is_whole(parts: Parts) -> None:
    assert verify(parts) == (0, None, "")


def test_a_whole_log_is_whole(parts: Parts) -> None:
    fill(parts, 25)
    assert verify(parts) == (25, None, "")


def test_a_log_longer_than_one_batch_is_walked_to_its_end(parts: Parts) -> None:
    fill(parts, audit._VERIFY_BATCH * 2)
    assert verify(parts) == (audit._VERIFY_BATCH * 2, None, "")
    tamper(parts, lambda tx: _set(tx, audit._VERIFY_BATCH + 1, "detail", "x"))
    assert verify(parts)[1] == audit._VERIFY_BATCH + 1


def test_an_update_is_refused(parts: Parts) -> None:
    fill(parts, 3)
    with pytest.raises(apsw.ConstraintError, match="append-only"), parts.index.write() as tx:
        tx.execute("UPDATE audit SET detail = 'x' WHERE seq = 2")
    assert verify(parts) == (3, None, "")


def test_a_delete_is_refused(parts: Parts) -> None:
    fill(parts, 3)
    with pytest.raises(apsw.ConstraintError, match="append-only"), parts.index.write() as tx:
        tx.execute("DELETE FROM audit WHERE seq = 3")
    assert verify(parts) == (3, None, "")


def test_a_whole_second_of_the_clock_verifies(parts: Parts) -> None:
    """An integer comes back from a REAL column as a float."""
    with parts.index.write() as tx:
        audit.append(tx, record(1, **{}))
        audit.append(tx, AuditRecord(**{**_as_dict(record(2)), "at": 1000}))
    assert verify(parts) == (2, None, "")


def _as_dict(of: AuditRecord) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__struct_fields__}


def test_text_moved_from_one_field_to_the_next_is_found(parts: Parts) -> None:
    """The fields joined are the same; their lengths are not."""
    fill(parts, 2)

    def move(tx: Transaction) -> None:
        tx.execute("UPDATE audit SET terminal = terminal || 'x', ssh_client = 'y' WHERE seq = 1")
        actor, role = tx.all("SELECT actor, role FROM audit WHERE seq = 2")[0]
        tx.execute("UPDATE audit SET actor = ?, role = ? WHERE seq = 2",
                   (actor + role[:1], role[1:]))  # fmt: skip

    tamper(parts, move)
    assert verify(parts)[1] == 1


def test_a_record_before_the_first_is_found(parts: Parts) -> None:
    fill(parts, 2)
    tamper(parts, lambda tx: _copy(tx, 1, 0))
    assert verify(parts) == (2, 0, "there are records before the first")


def test_a_lost_head_is_found(parts: Parts) -> None:
    fill(parts, 2)
    tamper(parts, lambda tx: tx.execute("DELETE FROM audit_head") and None)
    assert verify(parts)[1] == 3


def test_nothing_can_be_appended_without_a_head(parts: Parts) -> None:
    tamper(parts, lambda tx: tx.execute("DELETE FROM audit_head") and None)
    with parts.index.read() as reader:
        assert audit.head(reader) == (0, "")
    with pytest.raises(AssertionError), parts.index.write() as tx:
        audit.append(tx, record(1))


def test_a_changed_head_of_an_empty_log_is_found(parts: Parts) -> None:
    tamper(parts, lambda tx: tx.execute("UPDATE audit_head SET hash = zeroblob(31)") and None)
    assert verify(parts)[1] == 1


def _set(tx: Transaction, seq: int, column: str, value: object) -> None:
    tx.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (value, seq))  # noqa: S608


def _copy(tx: Transaction, source: int, target: int) -> None:
    names = [row[1] for row in tx.all("PRAGMA table_info(audit)")]
    rest = ", ".join(names[1:])
    tx.execute(
        f"INSERT INTO audit (seq, {rest}) SELECT ?, {rest} FROM audit WHERE seq = ?",  # noqa: S608
        (target, source),
    )


def _end(tx: Transaction, change: str) -> None:
    tx.execute(f"UPDATE audit_head SET {change}")  # noqa: S608


COUNT = 12
KINDS = ["text", "time", "hash", "remove", "insert", "swap", "cut", "head"]
_place = st.integers(1, COUNT)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, int, Callable[[Transaction], None]]:
    """(what it is, the first record that cannot fit any more, the change)."""
    kind = draw(st.sampled_from(KINDS))
    seq = draw(_place)
    if kind == "text":
        column, value = draw(st.sampled_from(_FIELDS)), draw(st.text(max_size=20))
        value = value.replace("\0", "").encode("utf-8", "ignore").decode()
        return kind, seq, lambda tx: _set(tx, seq, column, value)
    if kind == "time":
        at = draw(st.floats(allow_nan=False, allow_infinity=False))
        return kind, seq, lambda tx: _set(tx, seq, "at", at)
    if kind == "hash":
        digest = draw(st.binary(max_size=40))
        return kind, seq, lambda tx: _set(tx, seq, "hash", digest)
    if kind == "remove":
        return kind, seq, lambda tx: tx.execute("DELETE FROM audit WHERE seq = ?", (seq,)) and None
    if kind == "insert":

        def insert(tx: Transaction) -> None:
            tx.execute("UPDATE audit SET seq = -seq WHERE seq > ?", (seq,))
            tx.execute("UPDATE audit SET seq = 1 - seq WHERE seq < 0")
            _copy(tx, seq, seq + 1)

        return kind, seq + 1, insert
    if kind == "swap":
        other = draw(_place.filter(lambda place: place != seq))

        def swap(tx: Transaction) -> None:
            tx.execute("UPDATE audit SET seq = -1 WHERE seq = ?", (seq,))
            tx.execute("UPDATE audit SET seq = ? WHERE seq = ?", (seq, other))
            tx.execute("UPDATE audit SET seq = ? WHERE seq = -1", (other,))

        return kind, min(seq, other), swap
    if kind == "cut":
        return (
            kind,
            seq,
            lambda tx: tx.execute("DELETE FROM audit WHERE seq >= ?", (seq,)) and None,
        )
    head = draw(st.sampled_from(["seq = seq + 1", "seq = seq - 1", "hash = zeroblob(32)"]))
    return kind, COUNT + 1, lambda tx: _end(tx, head)


@settings(max_examples=40, deadline=None)
@given(mutation=mutations())
def test_whatever_is_done_to_the_log_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    mutation: tuple[str, int, Callable[[Transaction], None]],
) -> None:
    kind, first_bad, change = mutation
    with opened(tmp_path_factory.mktemp("audit")) as parts:
        parts.index.database.connection().execute("PRAGMA synchronous = off")
        fill(parts, COUNT)
        before = parts.rows("SELECT * FROM audit ORDER BY seq")
        head = parts.rows("SELECT * FROM audit_head")
        tamper(parts, change)
        unchanged = parts.rows("SELECT * FROM audit ORDER BY seq") == before
        if unchanged and parts.rows("SELECT * FROM audit_head") == head:
            return  # the "change" wrote what was there
        checked, found, problem = verify(parts)
        assert found == first_bad, kind
        assert problem
        assert checked == first_bad - 1


def test_numbers_that_no_clock_gives_are_refused_not_hashed(parts: Parts) -> None:
    with pytest.raises(apsw.ConstraintError), parts.index.write() as tx:
        audit.append(tx, AuditRecord(**{**_as_dict(record(1)), "at": math.nan}))
    assert verify(parts) == (0, None, "")


def test_a_page_is_the_newest_first_and_goes_on_where_it_ended(parts: Parts) -> None:
    fill(parts, 10)
    with parts.index.read() as reader:
        first = audit.page(reader, (), 0, 4)
        second = audit.page(reader, (), first[-1].seq, 100)
        assert audit.head(reader)[0] == 10
    assert [r.seq for r in (*first, *second)] == list(range(10, 0, -1))
    assert first[0].event == "Query"


def test_all_words_must_occur_somewhere_in_whatever_case(parts: Parts) -> None:
    with parts.index.write() as tx:
        audit.append(tx, record(1, actor="Anna", detail="node MÜLLER"))
        audit.append(tx, record(2, actor="anna", detail="something"))
    with parts.index.read() as reader:
        found = [r.seq for r in audit.page(reader, ("ANNA", "MÜLLER"), 0, 100)]
        everywhere = [len(audit.page(reader, (f"{f} 1",), 0, 9)) for f in ("patient_id", "role")]
    assert found == [1]
    assert everywhere == [1, 1]


def test_signs_of_the_query_language_are_words_like_others(parts: Parts) -> None:
    fill(parts, 3)
    with parts.index.read() as reader:
        for word in ("%", "_'", "'", '"', "*", "' OR 1=1 --"):
            assert audit.page(reader, (word,), 0, 10) == []


def test_the_chain_of_an_old_log_is_not_changed_by_new_code(parts: Parts) -> None:
    """The input of the hash is fixed for ever: this head was made once."""
    fill(parts, 3)
    with parts.index.read() as reader:
        _, head = audit.head(reader)
    assert head == "d0587a7c273987cf3333ea63c1899783aa21d332a94c1c1218bd25d5b9c5d1f7"
