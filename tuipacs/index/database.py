"""The SQLite file: connections, transactions, and the one place where its errors get our names.

The driver is APSW with its own SQLite, newer than the interpreter's (which has a WAL-reset bug with
two writers). Connections are one a thread; writers queue on a lock, so nobody meets SQLITE_BUSY.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import apsw
from playhouse.apsw_ext import APSWDatabase

from tuipacs.index.disk_errors import rename, storage_errors
from tuipacs.index.shared_commits import SharedCommits

Row = tuple[Any, ...]
R = TypeVar("R")
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

    def __init__(self, database: APSWDatabase, connection: apsw.Connection) -> None:
        self.database = database
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> apsw.Cursor:
        """Run one statement; iterate over the answer for its rows."""
        return self._connection.execute(sql, parameters)

    def all(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """Return all rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """Return the first row, or None."""
        # The cursor ends with this line. Closed by hand before its last row, it leaks (apsw 3.54).
        row: Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def scalar(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]


class Transaction(Reader):
    """A reader that may also write. Committed when its block ends, rolled back if it raises.

    ``chain_end`` is the audit log's (seq, hash) as this transaction leaves it; None where it has
    to be read.
    """

    def __init__(
        self,
        database: APSWDatabase,
        connection: apsw.Connection,
        chain_end: tuple[int, bytes] | None = None,
    ) -> None:
        super().__init__(database, connection)
        self.chain_end = chain_end
        self._is_mixed = False

    @property
    def is_open(self) -> bool:
        """False once SQLite has rolled it back by itself, as it may when the disk fails."""
        return not self._connection.getautocommit()

    @property
    def is_sound(self) -> bool:
        """False if it must not be committed: it is gone, or holds what a failed part left."""
        return self.is_open and not self._is_mixed

    def insert(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run an INSERT and return the row id."""
        self._connection.execute(sql, parameters)
        return int(self._connection.last_insert_rowid())

    def change(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run an UPDATE or DELETE and return the number of rows."""
        self._connection.execute(sql, parameters)
        return int(self._connection.changes())

    @contextmanager
    def part(self) -> Iterator[None]:
        """What fails inside leaves nothing, and the rest of the transaction stands."""
        chain_end = self.chain_end
        self.execute("SAVEPOINT part")
        self._is_mixed = True
        try:
            yield
            self.execute("RELEASE part")
        except BaseException:
            self.chain_end = chain_end
            if self.is_open:
                self.execute("ROLLBACK TO part; RELEASE part")
                self._is_mixed = False
            raise
        self._is_mixed = False


class Index:
    """The index of one archive. Thread-safe.

    ``read``, ``write`` and ``share`` raise `StorageFullError`, `StorageFailedError` or
    `UnavailableError` for what SQLite reports of the disk; anything else is a bug and is raised as
    it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = threading.RLock()  # a write inside a write is an error, not a deadlock
        self._chain_end: tuple[int, bytes] | None = None  # guarded by the lock
        self._here = threading.local()
        self._shared = SharedCommits(self)
        self.database = APSWDatabase(str(path), pragmas=_PRAGMAS, timeout=BUSY_TIMEOUT)
        with storage_errors():
            self._connection()

    def close(self) -> None:
        """Close this thread's connection; other threads' close with them."""
        self._here.connection = None
        if not self.database.is_closed():
            self.database.close()

    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._here, "connection", None)
        if connection is None:
            if self.database.is_closed():  # peewee keeps one connection a thread
                self.database.connect()
            connection = self._here.connection = self.database.connection()
            # Else SQLite compiles most queries anew for each new value, which costs more than to
            # run them: it hopes for a better plan, and there are no statistics to base one on.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        return connection

    def read(self) -> _Read:
        """A block with a snapshot: all queries inside see one moment."""
        return _Read(self)

    def glance(self) -> _Glance:
        """A block for one query, which is a snapshot by itself; half the price of `read`."""
        return _Glance(self)

    def write(self) -> _Write:
        """The only way to change the index; durable when the block has ended without an error."""
        return _Write(self)

    def share(self, work: Callable[[Transaction], R]) -> R:
        """Run ``work`` in a transaction, together with that of other threads who wait for theirs.

        Durable when it returns. What ``work`` raises undoes its own changes only, and is raised
        here. It may run in another thread: it must not wait for anything.
        """
        return self._shared.run(work)


class _Block:
    """What the blocks have in common. Plain classes: these run for every object."""

    __slots__ = ("_connection", "_index")

    def __init__(self, index: Index) -> None:
        self._index = index


class _Glance(_Block):
    __slots__ = ()

    def __enter__(self) -> Reader:
        with storage_errors():
            return Reader(self._index.database, self._index._connection())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            rename(error)


class _Read(_Block):
    __slots__ = ()

    def __enter__(self) -> Reader:
        with storage_errors():
            self._connection = self._index._connection()
            self._connection.execute("BEGIN")
            return Reader(self._index.database, self._connection)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with storage_errors():
            if not self._connection.getautocommit():  # SQLite may have ended it
                self._connection.execute("COMMIT")
        if error is not None:
            rename(error)


class _Write(_Block):
    __slots__ = ("_transaction",)

    def __enter__(self) -> Transaction:
        index = self._index
        index._writer.acquire()
        try:
            with storage_errors():
                self._connection = index._connection()
                self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            index._writer.release()
            raise
        self._transaction = Transaction(index.database, self._connection, index._chain_end)
        index._chain_end = None
        return self._transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        index = self._index
        try:
            with storage_errors():
                if error is None:
                    try:
                        self._connection.execute("COMMIT")
                        index._chain_end = self._transaction.chain_end
                        return
                    except BaseException:
                        self._roll_back()
                        raise
                self._roll_back()
        finally:
            index._writer.release()
        rename(error)

    def _roll_back(self) -> None:
        if not self._connection.getautocommit():
            self._connection.execute("ROLLBACK")
