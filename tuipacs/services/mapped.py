"""Looking at a file without reading it into memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def mapped(file: BinaryIO) -> Iterator[memoryview]:
    """The bytes of an open file: mapped if it is a real one, read if it is in memory or empty."""
    try:
        descriptor = file.fileno()
        mapping = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except (io.UnsupportedOperation, AttributeError, ValueError):
        file.seek(0)
        yield memoryview(file.read())
        return
    view = memoryview(mapping)
    try:
        yield view
    finally:
        view.release()
        with suppress(BufferError):  # an error on its way out may hold a piece of it
            mapping.close()
