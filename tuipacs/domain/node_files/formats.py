"""The kinds of lists, and which one a text is."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from tuipacs.domain.node_files import conquest, dcmqrscp, orthanc
from tuipacs.domain.node_files.found import FileNodes
from tuipacs.errors import UsageError


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
