"""glibc gives each thread an arena of its own, and what was freed there stays with the process."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


def use_few_arenas() -> None:
    """Let threads share arenas, as ``MALLOC_ARENA_MAX`` would. Does nothing on another libc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
