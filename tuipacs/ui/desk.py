"""What all screens share: the link to the archive, who is logged in, and what the header tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from tuipacs.domain.job import JobRecord, LaneRecord
from tuipacs.domain.node import AssociationRecord
from tuipacs.domain.permissions import Permission, Role
from tuipacs.domain.system import Health, SystemStatus, Totals
from tuipacs.domain.user import Session
from tuipacs.errors import DaemonUnreachableError
from tuipacs.schema.messages import Wake
from tuipacs.schema.operations import Answer, Operation, Request


class ArchiveLink(Protocol):
    """What `tuipacs.client.async_connection.AsyncConnection` offers; tests bring their own."""

    token: str

    async def call(self, operation: Operation[Request, Answer], request: Request) -> Answer:
        """Carry out one operation."""

    def download(self, key: int, *, document: bool = False) -> AsyncIterator[bytes]:
        """Yield stored bytes, or the document encapsulated in them."""

    def events(self) -> AsyncIterator[Wake]:
        """Yield wake-ups until the daemon goes away."""

    async def close(self) -> None:
        """Close the sockets."""


class Desk:
    """The shared state of one running UI. Screens read it; the app and the feed write it."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self.now = now
        self._link: ArchiveLink | None = None
        self.health: Health | None = None
        self.session: Session | None = None
        self.reachable = True
        self.trouble = ""  # why the archive cannot be reached, in words
        self.as_of_seq = -1  # of the change feed, when the first page was read
        self.totals: Totals | None = None
        self.status: SystemStatus | None = None
        self.jobs: tuple[JobRecord, ...] = ()
        self.lanes: tuple[LaneRecord, ...] = ()
        self.sent_to = 0  # the node that was last sent to, of this login
        self.associations: tuple[AssociationRecord, ...] = ()
        self.associations_open = 0

    @property
    def link(self) -> ArchiveLink:
        """The link; there is one from the first question to the archive on."""
        if self._link is None:
            raise DaemonUnreachableError("not connected to an archive yet")
        return self._link

    @property
    def is_linked(self) -> bool:
        """Whether there is a link."""
        return self._link is not None

    def connect(self, link: ArchiveLink) -> None:
        """Use this link from now on."""
        self._link = link

    @property
    def role(self) -> Role | None:
        """The role of whoever is logged in."""
        return self.session.role if self.session else None

    def may(self, permission: Permission | None) -> bool:
        """Whether the person logged in holds ``permission``; the daemon checks again."""
        if permission is None:
            return True
        return self.session is not None and permission in self.session.permissions

    @property
    def running_jobs(self) -> tuple[JobRecord, ...]:
        """Jobs that have not ended."""
        return tuple(job for job in self.jobs if not job.state.ended)

    def forget(self) -> None:
        """Drop all that belongs to a login."""
        if self._link is not None:
            self._link.token = ""
        self.session = None
        self.as_of_seq = -1
        self.totals = None
        self.status = None
        self.jobs = ()
        self.lanes = ()
        self.sent_to = 0
        self.associations = ()
        self.associations_open = 0
