"""Who acts: made only by the session store, the node table and the job runner."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.permissions import Permission, Role


class ActorKind(StrEnum):
    """The sources of an actor."""

    USER = "user"
    PEER = "peer"
    SYSTEM = "system"


class Origin(Struct, frozen=True, kw_only=True):
    """Where the actor sits. Terminal and SSH client are what the client claims."""

    unix_user: str = ""  # from SO_PEERCRED of the control socket
    terminal: str = ""
    ssh_client: str = ""
    address: str = ""  # IP address of a DICOM peer


class Actor(Struct, frozen=True, kw_only=True):
    """An authenticated user, a DICOM peer, or the program itself."""

    kind: ActorKind
    name: str
    permissions: frozenset[Permission]
    role: Role | None = None
    origin: Origin = Origin()
    session_key: int = 0
