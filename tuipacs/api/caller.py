"""Who sends a request: the session token it carries, and the Unix user the kernel names."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request

from tuipacs.api.peer import UNIX_USER
from tuipacs.domain.actor import Actor, Origin


class SessionDoor(Protocol):
    """What the API itself asks of the sessions service."""

    def resolve(self, token: str, origin: Origin) -> Actor:
        """The actor of a token, or an `AuthenticationError`."""
        ...

    def state(self, token: str) -> str:
        """``active``, ``locked`` or ``ended``; asking is no sign of life."""
        ...


def token_of(request: Request) -> str:
    """The session token of ``Authorization: Bearer``; empty without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def origin_of(request: Request) -> Origin:
    """Where the request came from, as far as the kernel knows."""
    return Origin(unix_user=str(request.scope["state"][UNIX_USER]))
