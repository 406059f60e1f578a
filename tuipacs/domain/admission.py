"""What a calling AE may do here: decided once by the node table, obeyed by the listener."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.actor import Actor
from tuipacs.domain.permissions import NodeService


class UnknownCallers(StrEnum):
    """What a caller that is no known node may do (``dicom.unknown_callers``)."""

    ECHO = "echo"
    STORE = "store"  # and echo
    REFUSE = "refuse"


class Admission(Struct, frozen=True, kw_only=True):
    """A calling AE at an address, and the DIMSE services that are open to it.

    ``reason`` says in words why the caller is not a known node; empty if it is one.
    ``by_certificate``: its own certificate proved it; ``require_identity``: a user has to, too.
    ``node``: its key, 0 if it is none. ``character_set`` and ``max_results`` as its node has them.
    """

    actor: Actor
    known: bool
    services: frozenset[NodeService]
    reason: str = ""
    by_certificate: bool = False
    require_identity: bool = False
    character_set: str = ""
    max_results: int = 0
    node: int = 0
