"""Letting the disk begin before anyone waits for it; no promise rests on this."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, and do not wait


def _find() -> Callable[[int, int, int, int], int] | None:
    """``sync_file_range(2)``, where there is one."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    found: Callable[[int, int, int, int], int] = function
    return found


_sync_file_range = _find()


def begin_writeback(descriptor: int, start: int) -> None:
    """Begin to write what lies behind ``start``; returns at once. Errors come with the fsync."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, start, 0, _WRITE)
