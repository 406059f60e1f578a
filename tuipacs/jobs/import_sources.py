"""What an import is made of: the paths given, walked in an order that stays the same.

Folders are walked in byte order of their names, links are never followed, and only regular files
are opened. ZIP archives are told by their content. The DICOMDIR of a medium is no object: in a
folder all files are taken, whether it names them or not, and what it names and is missing is told;
given as a path itself, it stands for the files that it names.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tuipacs.domain.job import Refusal
from tuipacs.errors import InvalidObjectError
from tuipacs.jobs.dicomdir import Medium, is_dicomdir_name, missing_references, read_references
from tuipacs.jobs.import_item import (
    ImportItem,
    kind_of,
    open_below,
    open_regular,
    printable_path,
    reason_of,
    shortened,
)
from tuipacs.jobs.zip_source import ZipLimits, iter_zip

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_DEFAULT_LIMITS = ZipLimits()


def iter_sources(
    paths: Sequence[str], limits: ZipLimits = _DEFAULT_LIMITS
) -> Iterator[ImportItem | Refusal]:
    """Yield all that ``paths`` offer, lazily; what cannot be offered comes as a `Refusal`.

    Never raises for anything found on the disk. With nothing changed on the disk the order and the
    number are the same each time.
    """
    for text in paths:
        path = Path(text)
        try:
            mode = Path(text or "\0").lstat().st_mode  # an empty path is none, not "."
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else "not a path"
            yield Refusal(path=printable_path(path), reason=reason)
            continue
        if stat.S_ISDIR(mode):
            yield from _folder(path, limits)
        elif stat.S_ISREG(mode) and is_dicomdir_name(path.name):
            yield from _named_by_dicomdir(path)
        else:
            yield from _file(path, mode, limits, path.parent)


def _folder(root: Path, limits: ZipLimits) -> Iterator[ImportItem | Refusal]:
    # A stack, not recursion: folders can be nested deeper than Python's stack.
    waiting: list[Iterator[tuple[Path, int]]] = []
    folder: Path | None = root
    while folder is not None or waiting:
        if folder is not None:
            try:
                entries = _entries(folder, root)
            except OSError as error:
                yield Refusal(path=printable_path(folder), reason=reason_of(error))
            else:
                waiting.append(iter(entries))
                yield from _missing_on_medium(entries, root)
            folder = None
            continue
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        path, mode = entry
        if stat.S_ISDIR(mode):
            folder = path
        elif not (stat.S_ISREG(mode) and is_dicomdir_name(path.name)):
            yield from _file(path, mode, limits, root)


def _entries(folder: Path, root: Path) -> list[tuple[Path, int]]:
    """(path, mode) of a folder's entries in byte order of the names."""
    descriptor = open_below(folder, root, _FOLDER_FLAGS)
    try:
        found = []
        with os.scandir(descriptor) as entries:
            for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                with contextlib.suppress(FileNotFoundError):  # gone since the folder was read
                    mode = entry.stat(follow_symlinks=False).st_mode
                    found.append((folder / entry.name, mode))
        return found
    finally:
        os.close(descriptor)


def _file(path: Path, mode: int, limits: ZipLimits, root: Path) -> Iterator[ImportItem | Refusal]:
    shown = printable_path(path)
    problem = kind_of(mode)
    if problem:
        yield Refusal(path=shown, reason=problem)
        return
    try:
        with open_regular(path, root) as stream:
            start = stream.read(132)
            size = stream.seek(0, os.SEEK_END)
    except InvalidObjectError as error:
        yield Refusal(path=shown, reason=error.message)
        return
    if start.startswith(_ZIP_STARTS) and start[128:132] != b"DICM":
        yield from iter_zip(path, limits, root)
    else:
        yield ImportItem(shown, partial(open_regular, path, root), size)


def _references(path: Path, root: Path) -> tuple[tuple[str, ...], ...]:
    with open_regular(path, root) as stream:
        return read_references(stream)


def _missing_on_medium(entries: Sequence[tuple[Path, int]], root: Path) -> Iterator[Refusal]:
    """What the DICOMDIR of a folder names and is not there."""
    for path, mode in entries:
        if not (stat.S_ISREG(mode) and is_dicomdir_name(path.name)):
            continue
        shown = printable_path(path)
        try:
            references = _references(path, root)
        except InvalidObjectError as error:
            yield Refusal(path=shown, reason=f"a DICOMDIR that cannot be read: {error.message}")
            continue
        for reference, reason in missing_references(references, path.parent):
            yield Refusal(path=f"{shown} -> {shortened(reference)}", reason=reason)


def _named_by_dicomdir(path: Path) -> Iterator[ImportItem | Refusal]:
    shown = printable_path(path)
    try:
        references = _references(path, path.parent)
    except InvalidObjectError as error:
        yield Refusal(path=shown, reason=f"a DICOMDIR that cannot be read: {error.message}")
        return
    medium = Medium(path.parent)
    for components in references:
        told = f"{shown} -> " + shortened("\\".join(components))
        try:
            found = medium.resolve(components)
            size = os.lstat(found).st_size
        except InvalidObjectError as error:
            yield Refusal(path=told, reason=error.message)
        except OSError as error:
            yield Refusal(path=told, reason=reason_of(error))
        else:
            opened = partial(open_regular, found, path.parent)
            yield ImportItem(printable_path(found), opened, size)
