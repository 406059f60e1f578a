"""ZIP archives as a source: members are read in place, their names are never paths.

Everything in a ZIP is a claim. What is claimed is capped before a byte is unpacked, and reading
stops at the claimed size, so nothing grows beyond what was accepted here.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO

from tuipacs.domain.job import Refusal
from tuipacs.errors import InvalidObjectError
from tuipacs.jobs.dicomdir import components_problem, is_dicomdir_name, read_references
from tuipacs.jobs.import_item import ImportItem, buffered, open_regular, printable_path, shortened

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ENCRYPTED = 0x1  # general purpose flag (APPNOTE 4.4.4)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound on memory
_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_UNPACK = "unpack it and import the folder"


@dataclass(frozen=True)
class ZipLimits:
    """Bounds of one ZIP archive, in bytes unless said otherwise.

    ``ratio`` (unpacked to packed) matters only above ``ratio_free`` bytes: a small black image
    packs a thousandfold and is no bomb.
    """

    member: int = 16 << 30
    total: int = 256 << 30
    members: int = 500_000
    directory: int = 64 << 20
    ratio: int = 200
    ratio_free: int = 256 << 20


def iter_zip(
    path: Path, limits: ZipLimits, below: Path | None = None
) -> Iterator[ImportItem | Refusal]:
    """Yield the members of a ZIP file in the order of its directory; ``below`` as `open_regular`.

    The archive stays open while the iterator is alive; items can be opened until then.
    """
    shown = printable_path(path)
    try:
        file = _BoundedFile(open_regular(path, below), limits.directory)
    except InvalidObjectError as error:
        yield Refusal(path=shown, reason=error.message)
        return
    with closing(file):
        try:
            archive = zipfile.ZipFile(file)
        except (*_ERRORS, InvalidObjectError) as error:
            yield Refusal(path=shown, reason=f"a ZIP archive that cannot be read: {_words(error)}")
            return
        file.bound = None
        members = [member for member in archive.infolist() if not member.is_dir()]
        problem = _archive_problem(members, file.size(), limits)
        if problem:
            yield Refusal(path=shown, reason=problem)
            return
        with archive:
            yield from _members(archive, members, shown, limits)


def _archive_problem(members: Sequence[zipfile.ZipInfo], size: int, limits: ZipLimits) -> str:
    total = sum(member.file_size for member in members)
    if len(members) > limits.members:
        return f"a ZIP archive of more than {limits.members} files; {_UNPACK}"
    if total > limits.total:
        return f"a ZIP archive of more than {limits.total >> 30} GiB unpacked; {_UNPACK}"
    if total > limits.ratio_free and total > limits.ratio * size:
        return f"a ZIP archive that would grow more than {limits.ratio} times; {_UNPACK}"
    return ""


def _members(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], shown: str, limits: ZipLimits
) -> Iterator[ImportItem | Refusal]:
    for member in members:
        display = f"{shown}:{_display_name(member)}"
        problem = _member_problem(member, limits)
        if problem:
            yield Refusal(path=display, reason=problem)
        elif is_dicomdir_name(PurePosixPath(member.filename).name):
            yield from _dicomdir(archive, member, display)
        else:
            yield ImportItem(display, partial(_open_member, archive, member), member.file_size)


def _display_name(member: zipfile.ZipInfo) -> str:
    return shortened(member.filename.encode("utf-8", "backslashreplace").decode("utf-8"))


def _member_problem(member: zipfile.ZipInfo, limits: ZipLimits) -> str:
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "a symbolic link: not followed"
    if member.flag_bits & _ENCRYPTED:
        return "encrypted; unpack it with its password and import the folder"
    if member.compress_type not in _METHODS:
        return f"packed with a method that is not read here ({member.compress_type}); {_UNPACK}"
    if member.file_size > limits.member:
        return f"larger than {limits.member >> 30} GiB unpacked; {_UNPACK}"
    grown = member.file_size > limits.ratio * max(member.compress_size, 1)
    if grown and member.file_size > limits.ratio_free:
        return f"would grow more than {limits.ratio} times; {_UNPACK}"
    if member.filename.lower().endswith(".zip"):
        return f"a ZIP archive inside a ZIP archive; {_UNPACK}"
    return ""


def _dicomdir(archive: zipfile.ZipFile, member: zipfile.ZipInfo, display: str) -> Iterator[Refusal]:
    """The directory of a medium is no object itself: tell only what it names and is not there."""
    try:
        with _open_member(archive, member) as stream:
            references = read_references(stream)
    except InvalidObjectError as error:
        yield Refusal(path=display, reason=f"a DICOMDIR that cannot be read: {error.message}")
        return
    folder = str(PurePosixPath(member.filename).parent)
    prefix = "" if folder == "." else f"{folder}/"
    present = {name.upper() for name in archive.namelist()}
    for components in references:
        reason = components_problem(components)
        if not reason and f"{prefix}{'/'.join(components)}".upper() not in present:
            reason = "named in the DICOMDIR and missing in the ZIP archive"
        if reason:
            yield Refusal(path=f"{display} -> " + shortened("\\".join(components)), reason=reason)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    try:
        return buffered(_Member(archive.open(member)))
    except _ERRORS as error:
        raise InvalidObjectError(f"damaged in its ZIP archive: {_words(error)}") from error


class _Member(io.RawIOBase):
    """A member whose damage is told as `InvalidObjectError`; its checksum is checked at its end."""

    def __init__(self, inner: IO[bytes]) -> None:
        super().__init__()
        self._inner = inner

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._inner.read(len(view))
        except _ERRORS as error:
            raise InvalidObjectError(f"damaged in its ZIP archive: {_words(error)}") from error
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._inner.seek(offset, whence)
        except _ERRORS as error:
            raise InvalidObjectError(f"damaged in its ZIP archive: {_words(error)}") from error

    def tell(self) -> int:
        return self._inner.tell()

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


class _BoundedFile(io.RawIOBase):
    """A file that refuses one huge read: zipfile takes a whole directory at once, of any size."""

    def __init__(self, inner: BinaryIO, bound: int) -> None:
        super().__init__()
        self._inner = inner
        self.bound: int | None = bound

    def size(self) -> int:
        here = self._inner.tell()
        size = self._inner.seek(0, os.SEEK_END)
        self._inner.seek(here)
        return size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.bound is not None and size > self.bound:
            raise zipfile.BadZipFile("its directory is too large")
        return self._inner.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()
