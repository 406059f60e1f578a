"""C-ECHO: the right to be answered, and its record (one a minute for each caller)."""

from __future__ import annotations

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission
from tuipacs.index.database import Index
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.repeats import Repeats


class Verification(Service):
    """The verification service (PS3.4 A)."""

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self._repeats = Repeats()

    @guarded(Permission.DICOM_ECHO, AuditEvent.NETWORK_ENTRY)
    def echo(self, actor: Actor) -> None:
        """Answer a peer. Raises `ForbiddenError` for one who may not even echo."""
        earlier = self._repeats.report((actor.origin.address, actor.name), self._clock())
        if earlier is None:
            covered()
        else:
            about(detail=f"C-ECHO; {earlier} more since the record before" if earlier else "C-ECHO")
