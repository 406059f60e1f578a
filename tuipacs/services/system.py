"""The state of the archive, and its end."""

from __future__ import annotations

import logging
import resource
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission
from tuipacs.domain.system import Health, SystemStatus
from tuipacs.index import audit, browse, jobs, users
from tuipacs.index.changes import last_seq
from tuipacs.index.database import Index
from tuipacs.paths import ArchivePaths
from tuipacs.schema.messages import Empty
from tuipacs.services.guard import Service, before_login, guarded
from tuipacs.storage.blob import BlobStore
from tuipacs.storage.quarantine import Quarantine

log = logging.getLogger(__name__)

_LOG_LINES = 100
_LOG_BYTES = 64 * 1024


class System(Service):
    """What the system screen and ``tuipacs status`` show."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        *,
        paths: ArchivePaths,
        store: BlobStore,
        quarantine: Quarantine,
        health: Callable[[], Health],
        associations: Callable[[], int],
        stop: Callable[[], None],
        reserve: int,
        unknown_callers: str,
    ) -> None:
        super().__init__(index, clock)
        self._paths = paths
        self._store = store
        self._quarantine = quarantine
        self._health = health
        self._associations = associations
        self._stop = stop
        self._reserve = reserve
        self._unknown_callers = unknown_callers

    @before_login("says that an archive is here, and nothing about its content")
    def health(self, request: Empty) -> Health:
        """Who answers on this socket."""
        return self._health()

    @before_login("the daemon says that it has started")
    def started(self) -> None:
        """Write the start of the archive to the audit log (PS3.15 A.5.3.1)."""
        self._note("system.started")

    @before_login("the daemon says that it ends")
    def stopped(self) -> None:
        """Write the orderly end of the archive to the audit log."""
        self._note("system.stopped")

    def _note(self, operation: str) -> None:
        with self._index.write() as tx:
            audit.append(tx, new_record(AuditEvent.APPLICATION_ACTIVITY, operation, self._clock()))
            seq, digest = audit.head(tx)
        # Outside the index: a log rewritten as a whole, or an old copy put back, does not fit this.
        log.info("%s: the audit log ends with record %d, hash %s", operation, seq, digest)

    @guarded(
        Permission.VIEW_SYSTEM,
        AuditEvent.APPLICATION_ACTIVITY,
        only_refusals="totals, no patient data",
    )
    def status(self, actor: Actor, request: Empty) -> SystemStatus:
        """Everything about the archive but its content."""
        free, total = self._store.free()
        now = self._clock()
        with self._index.read() as reader:
            return SystemStatus(
                health=self._health(),
                archive=str(self._paths.root),
                totals=browse.totals(reader),
                modalities=browse.modality_use(reader),
                disk_total=total,
                disk_free=free,
                reserve=self._reserve,
                read_only=self._store.failure,
                associations=self._associations(),
                jobs_running=jobs.open_count(reader),
                sessions=len(users.sessions(reader, now)),
                as_of_seq=last_seq(reader),
                memory_bytes=_resident_bytes(),
                quarantined=self._quarantine.count(),
                unknown_callers=self._unknown_callers,
                log_tail=_tail(self._paths.log),
            )

    @guarded(Permission.STOP_ARCHIVE, AuditEvent.APPLICATION_ACTIVITY)
    def stop(self, actor: Actor, request: Empty) -> Empty:
        """Let the daemon end as at SIGTERM: what is being received is finished first."""
        self._stop()
        return request


def _tail(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(deque(lines, maxlen=_LOG_LINES))


def _resident_bytes() -> int:
    """Memory of this process now; its peak where only that is told (not Linux)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
