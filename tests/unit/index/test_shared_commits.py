"""Threads that wait to write share one commit: each has its own result, its own error, no wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import apsw
import pytest

from tests.unit.services.parts import NOW, Parts
from tuipacs.domain.audit import AuditEvent, new_record
from tuipacs.errors import StorageFailedError, StorageFullError
from tuipacs.index import audit
from tuipacs.index.database import Transaction

Work = Callable[[Transaction], Any]


def node(name: str) -> Work:
    """Adds one row and one audit record; returns the transaction it ran in."""

    def work(tx: Transaction) -> Transaction:
        tx.execute(
            "INSERT INTO node (ae_title, address, services, description, created_at)"
            " VALUES (?, '', '', '', 0)",
            (name,),
        )
        audit.append(tx, new_record(AuditEvent.QUERY, name, NOW))
        return tx

    return work


def failing(name: str, error: Exception) -> Work:
    def work(tx: Transaction) -> None:
        node(name)(tx)
        raise error

    return work


def sql(statement: str) -> Work:
    return lambda tx: tx.execute(statement) and None


def together(parts: Parts, works: list[Work]) -> list[Future[Any]]:
    """Let all ``works`` wait for one writer, then run; in the order given."""
    index = parts.index
    queued = index._shared._waiting

    def run(work: Work) -> Any:
        try:
            return index.share(work)
        finally:
            index.close()

    with ThreadPoolExecutor(len(works)) as pool, index.write():
        futures = []
        for number, work in enumerate(works, start=1):
            futures.append(pool.submit(run, work))
            while len(queued) < number:
                threading.Event().wait(0.001)
    return futures


def names(parts: Parts) -> list[str]:
    return [row[0] for row in parts.rows("SELECT ae_title FROM node ORDER BY id")]


def operations(parts: Parts) -> list[str]:
    with parts.index.read() as reader:
        assert audit.verify(reader)[1] is None
    return [record.operation for record in parts.records()]


def test_who_is_alone_commits_alone(parts: Parts) -> None:
    for name in "AB":
        parts.index.share(node(name))
    assert names(parts) == operations(parts) == ["A", "B"]


def test_those_who_wait_share_one_transaction(parts: Parts) -> None:
    futures = together(parts, [node(name) for name in "ABCD"])
    assert len({id(future.result()) for future in futures}) == 1
    assert names(parts) == operations(parts) == ["A", "B", "C", "D"]


@pytest.mark.parametrize("bad", [0, 1, 3], ids=["the leader", "in the middle", "the last"])
@pytest.mark.parametrize("error", [ValueError("a bug"), StorageFullError("full")])
def test_a_part_that_fails_undoes_itself_alone(parts: Parts, bad: int, error: Exception) -> None:
    """The audit chain goes on over the gap, too."""
    works = [node(name) for name in "ABCD"]
    works[bad] = failing("X", error)
    futures = together(parts, works)
    for number, future in enumerate(futures):
        assert future.exception() is (error if number == bad else None)
    kept = [name for number, name in enumerate("ABCD") if number != bad]
    assert names(parts) == operations(parts) == kept
    parts.index.share(node("E"))
    assert operations(parts) == [*kept, "E"]


def test_a_statement_that_sqlite_refuses_undoes_its_part_alone(parts: Parts) -> None:
    futures = together(parts, [node("A"), sql("INSERT INTO nothing VALUES (1)"), node("B")])
    assert isinstance(futures[1].exception(), apsw.SQLError)
    assert names(parts) == ["A", "B"]


def test_a_commit_that_fails_fails_for_each_of_them(parts: Parts) -> None:
    """A foreign key that is looked at only in the end."""
    orphan = "PRAGMA defer_foreign_keys = 1; INSERT INTO session VALUES" + (
        " (1, x'00', 99, '', 0, 0, 0, 0, '', '', '')"
    )
    futures = together(parts, [node("A"), sql(orphan), node("B")])
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [apsw.ConstraintError] * 3
    assert len({id(error) for error in errors}) == 3  # a traceback is one thread's
    assert names(parts) == operations(parts) == []
    parts.index.share(node("C"))
    assert names(parts) == operations(parts) == ["C"]


def test_a_transaction_that_sqlite_gave_up_fails_for_each_of_them(parts: Parts) -> None:
    """As it may when the disk fails: what others had done in it is gone, and they are told."""
    with parts.index.write() as tx:
        tx.execute(
            "CREATE TRIGGER t BEFORE UPDATE ON total BEGIN SELECT RAISE(ROLLBACK, 'gone'); END"
        )
    futures = together(parts, [node("A"), sql("UPDATE total SET bytes = 1"), node("B")])
    assert all("gone" in str(future.exception()) for future in futures)
    assert names(parts) == operations(parts) == []
    parts.index.share(node("C"))
    assert names(parts) == ["C"]


def test_a_broken_disk_is_told_to_each_by_our_name(parts: Parts) -> None:
    def broken(tx: Transaction) -> None:
        tx.execute("ROLLBACK")
        raise apsw.IOError("disk I/O error")

    futures = together(parts, [node("A"), broken, node("B")])
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors] == [StorageFailedError] * 3
    assert names(parts) == []


class DemandingError(Exception):
    """Cannot be copied by `copy.copy`, as any exception with such an argument."""

    def __init__(self, message: str, *, delay: float) -> None:
        super().__init__(message)
        self.delay = delay


def test_an_error_that_cannot_be_copied_fails_for_each_of_them(parts: Parts) -> None:
    """Nobody is told of success for rows that were rolled back."""

    def broken(tx: Transaction) -> None:
        tx.execute("ROLLBACK")
        raise DemandingError("gone", delay=1.0)

    futures = together(parts, [node("A"), node("B"), broken, node("D")])
    errors = [type(future.exception()) for future in futures]
    assert errors == [
        StorageFailedError,
        StorageFailedError,
        DemandingError,
        StorageFailedError,
    ]
    assert names(parts) == operations(parts) == []
    parts.index.share(node("E"))
    assert names(parts) == operations(parts) == ["E"]


class UncopyableError(Exception):
    """What is raised while its copy is made is no `Exception`."""

    def __reduce_ex__(self, protocol: Any) -> str:
        raise KeyboardInterrupt


def test_success_is_told_only_after_a_commit(parts: Parts) -> None:
    """Even if telling the others of the failure fails."""

    def broken(tx: Transaction) -> None:
        tx.execute("ROLLBACK")
        raise UncopyableError

    futures = together(parts, [node("A"), node("B"), broken, node("D")])
    assert all(future.exception() is not None for future in futures)
    assert names(parts) == operations(parts) == []


def test_a_part_that_cannot_be_undone_fails_for_each_of_them(parts: Parts) -> None:
    """The savepoint is gone: what the part wrote must not be committed with the rest."""

    def escaped(tx: Transaction) -> None:
        node("half")(tx)
        tx.execute("RELEASE part")
        raise ValueError("a bug")

    futures = together(parts, [node("A"), escaped, node("B")])
    assert all(future.exception() is not None for future in futures)
    assert names(parts) == operations(parts) == []
    parts.index.share(node("C"))
    assert names(parts) == operations(parts) == ["C"]


def test_a_part_that_ended_its_own_savepoint_fails_for_each_of_them(parts: Parts) -> None:
    futures = together(parts, [node("A"), sql("RELEASE part"), node("B")])
    assert all(future.exception() is not None for future in futures)
    assert names(parts) == operations(parts) == []


def test_sharing_inside_a_write_is_an_error_and_no_deadlock(parts: Parts) -> None:
    with pytest.raises(apsw.SQLError), parts.index.write():
        parts.index.share(node("A"))
    parts.index.share(node("B"))
    assert names(parts) == ["B"]


def test_more_than_one_commit_takes_are_all_served(parts: Parts) -> None:
    def work(number: int) -> None:
        for again in range(5):
            if again % 2:
                parts.index.share(node(f"{number} {again}"))
            else:
                with parts.index.write() as tx:
                    node(f"{number} {again}")(tx)
        parts.index.close()

    with ThreadPoolExecutor(80) as pool:
        list(pool.map(work, range(80)))
    assert len(set(names(parts))) == 400
    assert len(operations(parts)) == 400
