"""One thing to import, and how regular files are opened so that nothing else ever is."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tuipacs.errors import InvalidObjectError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 1 << 20  # bytes
MAX_NAME = 1024  # characters

# O_NONBLOCK: a FIFO that takes a file's place between look and open must not hang the job.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_KINDS = (
    (stat.S_ISLNK, "a symbolic link: not followed"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
)


@dataclass(frozen=True)
class ImportItem:
    """Bytes offered for import.

    ``open`` gives a seekable stream; opening it, or reading it, raises `InvalidObjectError` with
    the reason in words. Read it up to its end: only there is a file that changed in the meantime,
    or a wrong ZIP checksum, noticed. Open an item before asking for the next one.
    """

    display_path: str  # for people: valid Unicode, uncleaned
    open: Callable[[], BinaryIO]
    size: int  # bytes when it was looked at


def printable_path(path: Path) -> str:
    """The path as valid Unicode; bytes that are no UTF-8 become ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def shortened(name: str) -> str:
    """A name out of an archive or a DICOMDIR, which may have any length, as long as a path may."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}..."


def kind_of(mode: int) -> str:
    """Say what a non-regular file is; empty for a regular one."""
    if stat.S_ISREG(mode):
        return ""
    return next((words for test, words in _KINDS if test(mode)), "not a regular file")


def reason_of(error: OSError) -> str:
    """An operating system error in words, without the path."""
    if error.errno == errno.ELOOP:
        return "a symbolic link: not followed"
    return f"cannot be read: {error.strerror or type(error).__name__}"


def open_below(path: Path, root: Path, flags: int) -> int:
    """A descriptor of ``path``, reached from ``root`` through real folders only."""
    if path == root:
        return os.open(path, flags | os.O_NOFOLLOW)
    *folders, name = path.relative_to(root).parts
    descriptor = os.open(root, _FOLDER_FLAGS)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, below: Path | None = None) -> BinaryIO:
    """Open a regular file, following no link. Raises `InvalidObjectError` for anything else.

    The folders between ``below`` and the file must be no links either: whoever may write there
    could put one in a folder's place between the look and the opening.
    """
    try:
        descriptor = open_below(path, below or path.parent, _OPEN_FLAGS)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = reason_of(error) if isinstance(error, OSError) else "not a path"
        raise InvalidObjectError(reason) from error
    state = os.fstat(descriptor)
    kind = kind_of(state.st_mode)
    if kind:
        os.close(descriptor)
        raise InvalidObjectError(kind)
    return buffered(_SteadyFile(descriptor, state))


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """``raw`` with a large buffer."""
    return cast(BinaryIO, io.BufferedReader(raw, BUFFER_SIZE))


class _SteadyFile(io.RawIOBase):
    """A file that raises `InvalidObjectError` at its end if it is not the file that was opened."""

    def __init__(self, descriptor: int, state: os.stat_result) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._before = (state.st_size, state.st_mtime_ns)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = os.readv(self._descriptor, [buffer])
            state = os.fstat(self._descriptor) if count == 0 else None
        except OSError as error:
            raise InvalidObjectError(reason_of(error)) from error
        if state is not None and (state.st_size, state.st_mtime_ns) != self._before:
            raise InvalidObjectError("changed while it was read")
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return os.lseek(self._descriptor, offset, whence)
        except OSError as error:  # some files of /proc have no end
            raise InvalidObjectError(reason_of(error)) from error

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def write(self, _: ReadableBuffer) -> int:
        raise io.UnsupportedOperation("read-only")

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
