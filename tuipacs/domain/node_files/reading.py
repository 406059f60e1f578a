"""A file of nodes, whichever kind it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from tuipacs.domain.node_files import conquest, dcmqrscp, orthanc
from tuipacs.domain.node_files.found import FileNode, FileNodes, LeftOut
from tuipacs.errors import NotFoundError, UsageError

MAX_BYTES = 1 << 20


class Format(StrEnum):
    """Programs whose lists can be read."""

    ORTHANC = "orthanc"
    DCMQRSCP = "dcmqrscp"
    CONQUEST = "conquest"


class _Reader(NamedTuple):
    looks_like: Callable[[str], bool]
    read: Callable[[str], FileNodes]


_READERS = {
    Format.ORTHANC: _Reader(orthanc.looks_like, orthanc.read),
    Format.DCMQRSCP: _Reader(dcmqrscp.looks_like, dcmqrscp.read),
    Format.CONQUEST: _Reader(conquest.looks_like, conquest.read),  # anything may look like it: last
}


def read_files(paths: list[Path], format_: Format | None) -> FileNodes:
    """All nodes of these files; without a format each one's is guessed.

    Raises `NotFoundError`, and `UsageError` that names the file for one that cannot be read.
    """
    nodes: list[FileNode] = []
    left_out: list[LeftOut] = []
    for path in paths:
        try:
            found = parse(read_text(path), format_)
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", remedy=error.remedy) from None
        nodes += found.nodes
        left_out += found.left_out
    return FileNodes(nodes=tuple(nodes), left_out=tuple(left_out))


def parse(text: str, format_: Format | None) -> FileNodes:
    """The nodes in a text. Raises `UsageError`."""
    if format_ is None:
        likely = (each for each, reader in _READERS.items() if reader.looks_like(text))
        format_ = next(likely, None)
    if format_ is None:
        raise UsageError(
            "neither a configuration of Orthanc nor of dcmqrscp, nor an acrnema.map",
            remedy=f"if it is one after all: --format {'|'.join(Format)}",
        )
    return _READERS[format_].read(text)


def read_text(path: Path) -> str:
    """A regular file of a fair size, as text. Raises `NotFoundError` and `UsageError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES >> 20} MiB, which no list of nodes is")
    if b"\0" in data:
        raise UsageError("not a text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
