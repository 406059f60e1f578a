"""SQLite's errors about the disk, by the names of our error tree."""

from __future__ import annotations

from types import TracebackType

import apsw
import peewee

from tuipacs.errors import StorageFailedError, StorageFullError, TuipacsError, UnavailableError


class storage_errors:
    """A block that gives SQLite's errors about the disk the names of our error tree."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            rename(error)


def rename(error: BaseException) -> None:
    """Raise our name for ``error``, if we have one."""
    if not isinstance(error, apsw.Error | peewee.PeeweeException):
        return
    # peewee puts its own names over the driver's, where it stands in between
    cause = error.__context__ if isinstance(error, peewee.PeeweeException) else error
    ours = _ours(cause)
    if ours is not None:
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
