"""A file as bytes that are read where they are looked at."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuipacs.errors import InvalidObjectError


@contextmanager
def mapped_file(path: Path) -> Iterator[mmap.mmap]:
    """The file's bytes while the block lasts.

    Raises :class:`InvalidObjectError` for an empty file; :class:`OSError` passes.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise InvalidObjectError("the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            yield mapping
