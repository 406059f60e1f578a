"""The SQLite file: connections, transactions, and the one place where its errors get our names.

The driver is APSW with its own SQLite, newer than the interpreter's (which has a WAL-reset bug with
two writers). Connections are one a thread; writers queue on a lock, so nobody meets SQLITE_BUSY.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import peewee
from playhouse.apsw_ext import APSWDatabase

from tuipacs.errors import StorageFailedError, StorageFullError, TuipacsError, UnavailableError

Row = tuple[Any, ...]
BUSY_TIMEOUT = 10.0  # seconds; only another process can make us wait

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",  # an acknowledged object survives a power cut
    "foreign_keys": 1,
    "temp_store": "memory",
    "cache_size": -8192,  # KiB for each connection
    "mmap_size": 0,  # an I/O error must be an error, not a SIGBUS
    "journal_size_limit": 67108864,
    "trusted_schema": 0,
}


class Reader:
    """One consistent view of the index; every query inside sees the same moment."""

    def __init__(self, database: APSWDatabase) -> None:
        self.database = database
        self._connection: apsw.Connection = database.connection()

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> apsw.Cursor:
        """Run one statement; iterate over the answer for its rows."""
        return self._connection.execute(sql, parameters)

    def all(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """Return all rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """Return the first row, or None."""
        cursor = self._connection.execute(sql, parameters)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row

    def scalar(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]


class Transaction(Reader):
    """A reader that may also write. Committed when its block ends, rolled back if it raises."""

    def insert(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run an INSERT and return the row id."""
        self._connection.execute(sql, parameters)
        return int(self._connection.last_insert_rowid())

    def change(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run an UPDATE or DELETE and return the number of rows."""
        self._connection.execute(sql, parameters)
        return int(self._connection.changes())


class Index:
    """The index of one archive. Thread-safe.

    ``read`` and ``write`` raise `StorageFullError`, `StorageFailedError` or `UnavailableError`
    for what SQLite reports of the disk; anything else is a bug and is raised as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = threading.RLock()  # a write inside a write is an error, not a deadlock
        self.database = APSWDatabase(str(path), pragmas=_PRAGMAS, timeout=BUSY_TIMEOUT)
        with storage_errors():
            self._open_here()

    def close(self) -> None:
        """Close this thread's connection; other threads' close with them."""
        if not self.database.is_closed():
            self.database.close()

    def _open_here(self) -> None:
        if self.database.is_closed():  # peewee keeps one connection a thread
            self.database.connect()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A snapshot: all queries inside see one moment."""
        with storage_errors():
            self._open_here()
            reader = Reader(self.database)
            reader.execute("BEGIN")
            try:
                yield reader
            finally:
                if not self.database.connection().getautocommit():  # SQLite may have ended it
                    reader.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The only way to change the index; durable when the block has ended without an error."""
        with self._writer, storage_errors():
            self._open_here()
            transaction = Transaction(self.database)
            transaction.execute("BEGIN IMMEDIATE")
            try:
                yield transaction
                transaction.execute("COMMIT")
            except BaseException:
                if not self.database.connection().getautocommit():
                    transaction.execute("ROLLBACK")
                raise


@contextmanager
def storage_errors() -> Iterator[None]:
    """Give SQLite's errors about the disk the names of our error tree."""
    try:
        yield
    except (apsw.Error, peewee.PeeweeException) as error:
        # peewee puts its own names over the driver's, where it stands in between
        cause = error.__context__ if isinstance(error, peewee.PeeweeException) else error
        ours = _ours(cause)
        if ours is None:
            raise
        raise ours from cause


def _ours(error: BaseException | None) -> TuipacsError | None:
    if isinstance(error, apsw.FullError):
        return StorageFullError("the disk of the index is full")
    if isinstance(error, apsw.IOError | apsw.ReadOnlyError | apsw.CantOpenError):
        return StorageFailedError(f"the index cannot be written: {error}")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StorageFailedError(f"the index file is damaged: {error}")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return UnavailableError("another process holds the index")
    return None
