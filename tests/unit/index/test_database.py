"""The index file: one moment for each reader, one writer, our names for its errors, no leaks."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import apsw
import peewee
import pytest

from tests.unit.services.parts import Parts
from tuipacs.errors import (
    NotFoundError,
    StorageFailedError,
    StorageFullError,
    UnavailableError,
)
from tuipacs.index import tables, users
from tuipacs.index.database import Index, storage_errors
from tuipacs.index.migrations import MIGRATIONS, migrate
from tuipacs.index.nodes import all_nodes


def bytes_kept(index: Index) -> int:
    with index.read() as reader:
        return int(reader.scalar("SELECT bytes FROM total"))


def add_one(index: Index) -> None:
    with index.write() as tx:
        tx.execute("UPDATE total SET bytes = bytes + 1")


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def descriptors(path: Path) -> int:
    """How many of this process are open on the index and its companions."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith(str(path))
        except FileNotFoundError:
            continue
    return count


def test_the_driver_is_newer_than_the_wal_reset_bug() -> None:
    assert tuple(int(part) for part in apsw.sqlitelibversion().split(".")) >= (3, 51, 3)


def test_what_a_power_cut_needs_is_set_in_each_thread(parts: Parts) -> None:
    found: list[object] = []

    def look() -> None:
        with parts.index.read() as reader:
            for name in ("journal_mode", "synchronous", "foreign_keys", "mmap_size"):
                found.append(reader.scalar(f"PRAGMA {name}"))
        parts.index.close()

    look()
    in_thread(look)
    assert found == ["wal", 2, 1, 0] * 2


def test_a_reader_sees_one_moment(parts: Parts) -> None:
    with parts.index.read() as reader:
        before = reader.scalar("SELECT bytes FROM total")
        in_thread(lambda: (add_one(parts.index), parts.index.close()))
        assert reader.scalar("SELECT bytes FROM total") == before
    assert bytes_kept(parts.index) == before + 1


def test_an_error_inside_a_reader_leaves_no_transaction_open(parts: Parts) -> None:
    for error in (ValueError, NotFoundError, KeyboardInterrupt):
        with pytest.raises(error), parts.index.read() as reader:
            reader.execute("SELECT 1 FROM total").fetchall()
            raise error("x")
        assert parts.index.database.connection().getautocommit()


def test_rows_that_nobody_fetched_leave_no_transaction_open(parts: Parts) -> None:
    for _ in range(10):
        add_one(parts.index)
    with pytest.raises(ValueError, match="x"), parts.index.read() as reader:
        cursor = reader.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)"
            " SELECT i FROM n"
        )
        next(cursor)
        raise ValueError("x")
    add_one(parts.index)


def test_asking_for_one_row_of_several_leaves_no_memory_behind(parts: Parts) -> None:
    """A daemon that asks so for each object would grow for ever."""
    with parts.index.read() as reader:
        for _ in range(10):
            reader.one("SELECT value FROM json_each('[1, 2, 3]')")
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(1000):
                assert reader.one("SELECT value FROM json_each('[1, 2, 3]')") == (1,)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 20_000


def test_a_transaction_that_fails_leaves_nothing(parts: Parts) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), parts.index.write() as tx:
            tx.execute("UPDATE total SET bytes = 99")
            raise error("x")
        assert bytes_kept(parts.index) == 0


def test_a_transaction_that_sqlite_ended_itself_is_told_as_it_was(parts: Parts) -> None:
    with parts.index.write() as tx:
        tx.execute(
            "CREATE TRIGGER t BEFORE UPDATE ON total BEGIN SELECT RAISE(ROLLBACK, 'gone'); END"
        )
    with pytest.raises(apsw.ConstraintError, match="gone"):
        add_one(parts.index)
    assert bytes_kept(parts.index) == 0


def test_a_write_inside_a_write_is_an_error_and_no_deadlock(parts: Parts) -> None:
    with pytest.raises(apsw.SQLError), parts.index.write():
        add_one(parts.index)
    add_one(parts.index)


def test_a_write_inside_a_read_is_an_error(parts: Parts) -> None:
    with pytest.raises(apsw.SQLError), parts.index.read():
        add_one(parts.index)
    add_one(parts.index)


def test_writers_wait_for_each_other(parts: Parts) -> None:
    def work(_: int) -> None:
        for _ in range(10):
            add_one(parts.index)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert bytes_kept(parts.index) == 80


def test_connections_end_with_their_threads(parts: Parts) -> None:
    """Also of threads that never said that they end.

    SQLite itself keeps a few descriptors of closed connections to use them again: while another
    connection is open, closing one would drop that one's POSIX locks.
    """
    path = parts.folder / "index.sqlite"
    for _ in range(12):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: bytes_kept(parts.index), range(8)))
    assert descriptors(path) <= 3 + 4  # one connection's, and one for each thread at a time
    parts.index.close()
    assert descriptors(path) == 0


def test_an_index_can_be_closed_twice_and_used_again(parts: Parts) -> None:
    parts.index.close()
    parts.index.close()
    assert bytes_kept(parts.index) == 0


def test_a_full_disk_has_our_name_and_is_over_when_there_is_room(parts: Parts) -> None:
    connection = parts.index.database.connection()
    pages = connection.execute("PRAGMA page_count").fetchall()[0][0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFullError), parts.index.write() as tx:
        tx.execute(
            "INSERT INTO node VALUES (1, ?, '', '', '', 0, '', 0, 0, '{}', '', 0, 0)",
            ("x" * 100_000,),
        )
    with pytest.raises(StorageFullError), parts.index.write() as tx:  # through peewee as well
        users.add_user(tx, "x" * 100_000, users.Role.VIEWER, "y", 0.0)
    add_one(parts.index)
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    with parts.index.write() as tx:
        users.add_user(tx, "x" * 100_000, users.Role.VIEWER, "y", 0.0)


def test_another_process_on_the_file_is_told(parts: Parts) -> None:
    other = apsw.Connection(str(parts.folder / "index.sqlite"))
    other.execute("BEGIN IMMEDIATE")
    parts.index.database.connection().setbusytimeout(1)
    with pytest.raises(UnavailableError, match="another process"):
        add_one(parts.index)
    other.execute("ROLLBACK")
    other.close()
    add_one(parts.index)


def test_a_file_that_is_no_index_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"this is a letter, not a database. " * 100)
    with pytest.raises(StorageFailedError, match="damaged"):
        Index(tmp_path / "index.sqlite")


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailedError):
        Index(tmp_path / "no" / "index.sqlite")


def test_a_damaged_page_is_told(parts: Parts) -> None:
    with parts.index.write() as tx:
        for number in range(500):
            tx.execute(
                "INSERT INTO node VALUES (?, ?, '', '', '', 0, '', 0, 0, '{}', '', 0, 0)",
                (number, f"{number} " * 99),
            )
    parts.index.database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    parts.index.close()
    path = parts.folder / "index.sqlite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(StorageFailedError, match="damaged"), parts.index.read() as reader:
        reader.all("SELECT * FROM node ORDER BY services")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (apsw.IOError, StorageFailedError),
        (apsw.ReadOnlyError, StorageFailedError),
        (apsw.CantOpenError, StorageFailedError),
        (apsw.CorruptError, StorageFailedError),
        (apsw.NotADBError, StorageFailedError),
        (apsw.FullError, StorageFullError),
        (apsw.BusyError, UnavailableError),
        (apsw.LockedError, UnavailableError),
        (apsw.SQLError, apsw.SQLError),
        (NotFoundError, NotFoundError),
        (peewee.PeeweeException, peewee.PeeweeException),
    ],
)
def test_each_error_has_one_name(error: type[Exception], expected: type[Exception]) -> None:
    with pytest.raises(expected) as raised, storage_errors():
        raise error("words")
    assert type(raised.value) is expected


def test_a_new_file_comes_to_the_newest_schema_once(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    assert migrate(index) == migrate(index) == len(MIGRATIONS)
    index.close()


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    with index.write() as tx:
        tx.execute("PRAGMA user_version = 99")
    with pytest.raises(UnavailableError, match="schema 99") as refused:
        migrate(index)
    assert "newer" in refused.value.remedy
    index.close()


@pytest.mark.parametrize("model", tables.ALL, ids=lambda model: model.__name__)
def test_the_models_have_the_columns_of_the_schema(parts: Parts, model: type) -> None:
    meta = model._meta  # type: ignore[attr-defined]
    found = parts.rows(f"PRAGMA table_info({meta.table_name})")
    columns = {field.column_name: field for field in meta.sorted_fields}
    assert [row[1] for row in found] == list(columns)
    for _, name, kind, not_null, default, key in found:
        field = columns[name]
        assert field.null == (not not_null and not key), name
        wanted = {"INTEGER": int, "TEXT": str, "REAL": float, "BLOB": bytes}[kind]
        if field.default is not None and default is not None:
            assert isinstance(field.default, wanted), name


def test_texts_of_any_kind_come_back(parts: Parts) -> None:
    texts = ["", "\0", "a\0b", "'; DROP TABLE total; --", "\U0001f9ec", "\u202e", "x" * 100_000]
    with parts.index.write() as tx:
        for number, text in enumerate(texts):
            tx.execute(
                "INSERT INTO node VALUES (?, ?, '', '', '', 0, '', 0, 0, '{}', '', 0, 0)",
                (number, text),
            )
    assert [row[0] for row in parts.rows("SELECT ae_title FROM node ORDER BY id")] == texts


def test_nodes_of_an_older_file_need_no_proof_after_the_change(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    script = resources.files("tuipacs.index") / "schema" / MIGRATIONS[0]
    with index.write() as tx:
        for _ in tx.execute(script.read_text(encoding="utf-8")):
            pass
        tx.execute("INSERT INTO node VALUES (1, 'CT1', '', 'echo', '', 0)")
        tx.execute("PRAGMA user_version = 1")
    migrate(index)
    with index.read() as reader:
        (node,) = all_nodes(reader)
    assert (node.ae_title, node.certificate_sha256, node.needs_tls) == ("CT1", "", False)
    index.close()


def test_a_feed_of_an_older_archive_goes_on_with_the_next_number(tmp_path: Path) -> None:
    """And is as immutable as before; nothing can be deleted, so no number comes again."""
    index = Index(tmp_path / "index.sqlite")
    folder = resources.files("tuipacs.index") / "schema"
    for number, name in enumerate(MIGRATIONS[:3], start=1):
        with index.write() as tx:
            for _ in tx.execute((folder / name).read_text(encoding="utf-8")):
                pass
            tx.execute(f"PRAGMA user_version = {number}")
    insert = (
        "INSERT INTO change (at, kind, patient, study, series, instance)"
        " VALUES (?, 'stored', 1, 2, 3, ?)"
    )
    with index.write() as tx:
        assert [tx.insert(insert, (number / 2, number)) for number in range(3)] == [1, 2, 3]
    migrate(index)
    with index.write() as tx:
        assert tx.insert(insert, (9.5, 9)) == 4
    with index.read() as reader:
        rows = reader.all("SELECT seq, at, instance FROM change ORDER BY seq")
    assert rows == [(1, 0.0, 0), (2, 0.5, 1), (3, 1.0, 2), (4, 9.5, 9)]
    for attack in ("DELETE FROM change WHERE seq = 4", "UPDATE change SET kind = 'x'"):
        with pytest.raises(apsw.ConstraintError, match="append-only"), index.write() as tx:
            tx.execute(attack)
    index.close()
