"""Whom a retrieve job is to bring objects to, while it runs: nobody's pictures go to a stranger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tuipacs.domain.node import NodeRecord
from tuipacs.errors import TuipacsError
from tuipacs.index import nodes
from tuipacs.index.database import Index
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import Held

_LOOK_EVERY = 0.2


def until_changed(index: Index, to: NodeRecord | None, progress: Progress) -> Progress:
    """The same, but that its check raises `Held` once the destination was removed or changed.

    The next run finds out what became of it. None, for here, changes nothing.
    """
    return progress if to is None else replace(progress, check=_Check(index, to, progress.check))


class _Check:
    """Called by the job and by what watches over it, in two threads."""

    def __init__(self, index: Index, to: NodeRecord, before: Callable[[], None]) -> None:
        self._index = index
        self._to = to
        self._before = before
        self._lock = threading.Lock()
        self._looked_at = -_LOOK_EVERY
        self._is_other = False

    def __call__(self) -> None:
        self._before()
        with self._lock:
            now = time.monotonic()
            if not self._is_other and now >= self._looked_at + _LOOK_EVERY:
                self._looked_at = now
                self._is_other = self._has_changed()
        if self._is_other:
            raise Held

    def _has_changed(self) -> bool:
        try:
            with self._index.read() as reader:
                node = nodes.node(reader, self._to.key)
        except TuipacsError:  # whatever the job does next with the index says so
            return False
        if node is None or node.created_at != self._to.created_at:
            return True
        return not node.is_called_as(self._to)
