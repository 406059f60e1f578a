"""Who is calling now, and who called of late: the incoming screen's data."""

from __future__ import annotations

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission
from tuipacs.index.database import Index
from tuipacs.schema import messages
from tuipacs.services.guard import Service, guarded
from tuipacs.services.incoming_board import IncomingBoard


class Incoming(Service):
    """Reads the board that the listener writes."""

    def __init__(self, index: Index, clock: Clock, board: IncomingBoard) -> None:
        super().__init__(index, clock)
        self._board = board

    @guarded(
        Permission.VIEW_INCOMING,
        AuditEvent.APPLICATION_ACTIVITY,
        only_refusals="associations carry no patient data, and screens ask all the time",
    )
    def list(self, actor: Actor, request: messages.Empty) -> messages.Incoming:
        """Associations: open ones first, then the newest ended and refused ones."""
        version, associations = self._board.snapshot()
        return messages.Incoming(associations=associations, version=version)
