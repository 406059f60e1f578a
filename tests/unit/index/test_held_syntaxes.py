"""Which transfer syntaxes a SOP class is held in: known without looking at the objects."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tuipacs.index.database import Index, Reader, Transaction
from tuipacs.index.held_syntaxes import of_class
from tuipacs.index.migrations import MIGRATIONS, migrate

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def _insert(tx: Transaction, table: str, **values: object) -> None:
    """A row; what is not named is empty."""
    empty = {"TEXT": "", "INTEGER": 0, "REAL": 0.0, "BLOB": b""}
    columns = tx.all(f"PRAGMA table_info({table})")
    row = {c[1]: empty[c[2]] for c in columns if c[3] and c[4] is None} | values
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 -- of the schema
    tx.insert(sql, tuple(row.values()))


def _object(tx: Transaction, number: int, sop_class: str, syntax: str) -> None:
    _insert(
        tx,
        "instance",
        id=number,
        series=1,
        sop_instance_uid=f"1.2.{number}",
        version=1,
        sop_class_uid=sop_class,
        transfer_syntax_uid=syntax,
        blob_key=str(number),
    )


def _above(tx: Transaction) -> None:
    _insert(tx, "patient", id=1)
    _insert(tx, "study", id=1, patient=1)
    _insert(tx, "series", id=1, study=1)


def _before(index: Index) -> None:
    """An index as it was before it kept this."""
    folder = resources.files("tuipacs.index") / "schema"
    before = MIGRATIONS.index("0009_held_syntaxes.sql")
    with index.write() as tx:
        for name in MIGRATIONS[:before]:
            for _ in tx.execute((folder / name).read_text(encoding="utf-8")):
                pass
        tx.execute(f"PRAGMA user_version = {before}")


def test_what_was_there_and_what_comes_is_known(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    _before(index)
    with index.write() as tx:
        _above(tx)
        for number, (sop_class, syntax) in enumerate([(CT, "1.1"), (CT, "1.1"), (MR, "1.2")], 1):
            _object(tx, number, sop_class, syntax)
    migrate(index)
    with index.write() as tx:
        _object(tx, 4, CT, "1.3")
        _object(tx, 5, CT, "1.3")
    with index.read() as reader:
        assert of_class(reader, CT) == {"1.1", "1.3"}
        assert of_class(reader, MR) == {"1.2"}
        assert of_class(reader, "1.2.3") == frozenset()
    index.close()


def test_no_object_is_looked_at(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    migrate(index)
    with index.read() as reader:
        plan = _plan(reader)
    assert plan == ["SEARCH held_syntax USING PRIMARY KEY (sop_class_uid=?)"]
    index.close()


def _plan(reader: Reader) -> list[str]:
    asked: list[str] = []

    class Spy(Reader):
        def execute(self, sql, parameters=()):  # type: ignore[no-untyped-def]
            asked.extend(row[3] for row in super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters))
            return super().execute(sql, parameters)

    of_class(Spy(reader.database, reader._connection), CT)
    return asked
