"""Importing files, folders, ZIPs and DICOMDIR media: asked for here, done by a durable job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import JobKind, JobRecord, and_more
from tuipacs.domain.permissions import Permission
from tuipacs.errors import UsageError
from tuipacs.index import jobs
from tuipacs.index.database import Index
from tuipacs.schema.messages import ImportRequest
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.wakeups import Wakeups

MAX_PATHS = 10_000


class Imports(Service):
    """The way in for what lies on the daemon's disks."""

    def __init__(self, index: Index, clock: Clock, wakeups: Wakeups) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self.on_submit: Callable[[int], None] = lambda key: None

    @guarded(Permission.IMPORT, AuditEvent.IMPORT)
    def submit(self, actor: Actor, request: ImportRequest) -> JobRecord:
        """Queue an import. What cannot be read is refused by the job, path by path."""
        if not 1 <= len(request.paths) <= MAX_PATHS:
            raise UsageError(f"an import takes 1 to {MAX_PATHS} paths")
        for path in request.paths:
            if not Path(path).is_absolute() or "\0" in path:
                raise UsageError("a path to import has to be absolute")
        title = f"import {and_more(request.paths)}"
        about(detail=title)
        with self.transaction() as tx:
            key = jobs.add(
                tx,
                JobKind.IMPORT,
                title,
                msgspec.json.encode(request.paths).decode(),
                actor.name,
                self._clock(),
            )
            record = jobs.written(tx, key, self._clock())
        self.on_submit(key)
        self._wakeups.jobs()
        return record
