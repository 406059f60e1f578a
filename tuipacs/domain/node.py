"""Remote AEs ("nodes" on screen) and what the listener saw of them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.fingerprint import short_fingerprint
from tuipacs.domain.permissions import NodeService


class CallService(StrEnum):
    """What this archive may ask of a node."""

    ECHO = "echo"
    SEND = "send"
    QUERY = "query"
    MOVE = "move"
    GET = "get"
    COMMIT = "commit"


USUALLY_ASKED: tuple[CallService, ...] = (
    CallService.ECHO,
    CallService.SEND,
    CallService.QUERY,
    CallService.MOVE,
)
"""Of a node that is called and of which nothing else is said."""


class NodeCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this archive calls a node. Times in seconds, ``max_pdu`` in bytes.

    ``host``: name or IP address; empty: it is never called. ``calling_ae_title``: as whom; empty:
    with the archive's own. ``preferred_syntaxes``: transfer syntax UIDs to fall back to, in order,
    where it does not take an object as it is stored. ``max_associations``: jobs at once.
    ``kib_per_second``: 0 for no limit. ``window``: "22:00-06:00", the local time in which its jobs
    run; empty: always. ``report_on_same_association``: a storage commitment that it asks for is
    reported where it was asked, if that is open still.
    """

    host: str = ""
    port: int = 104
    services: tuple[CallService, ...] = ()
    calling_ae_title: str = ""
    use_tls: bool = False
    preferred_syntaxes: tuple[str, ...] = ()
    max_associations: int = 1
    max_pdu: int = 131072
    connect_timeout: float = 10.0
    acse_timeout: float = 30.0
    dimse_timeout: float = 60.0
    kib_per_second: int = 0
    window: str = ""
    report_on_same_association: bool = False


NEVER_CALLED = NodeCall()


class NodeRecord(Struct, frozen=True, kw_only=True):
    """A known node: calling AE title and the address it may come from, and what proves it.

    With ``certificate_sha256`` (see `domain.fingerprint`; empty for none) only who shows that
    certificate over TLS is this node. ``require_identity`` asks for a user as well, over TLS.

    ``character_set``: the defined term (PS3.3 C.12.1.1.2) assumed where it names none.
    ``max_results``: C-FIND answers that it gets at most; 0: the archive's own limit. ``paused``:
    no job calls it.
    """

    key: int
    ae_title: str
    address: str  # IP address or CIDR; empty means any address
    services: tuple[NodeService, ...]
    description: str
    created_at: float
    certificate_sha256: str = ""
    require_tls: bool = False
    require_identity: bool = False
    call: NodeCall = NEVER_CALLED
    character_set: str = ""
    max_results: int = 0
    paused: bool = False

    def is_called_as(self, other: NodeRecord) -> bool:
        """Whether both are one node that is called the same way."""
        mine = (self.key, self.ae_title, self.call, self.certificate_sha256)
        return mine == (other.key, other.ae_title, other.call, other.certificate_sha256)

    @property
    def needs_tls(self) -> bool:
        """Whether it is not this node without TLS."""
        return self.require_tls or self.require_identity or bool(self.certificate_sha256)


def is_same_machine(one: NodeRecord, other: NodeRecord) -> bool:
    """Whether what one of them has promised is the other's promise: who is called, and where.

    The trigger `commitment_forgets_machine` of the index says the same.
    """
    called = [
        (node.ae_title, node.call.host, node.call.port, node.certificate_sha256)
        for node in (one, other)
    ]
    return called[0] == called[1]


def proof_words(node: NodeRecord) -> str:
    """What a caller has to show beside its title and address: "certificate 0123456789ab…, user"."""
    parts = []
    if node.certificate_sha256:
        parts.append(f"certificate {short_fingerprint(node.certificate_sha256)}")
    elif node.needs_tls:
        parts.append("TLS")
    if node.require_identity:
        parts.append("user")
    return ", ".join(parts)


class AssociationState(StrEnum):
    """How an association stands or ended."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"
    REJECTED = "rejected"


class ContextOutcome(Struct, frozen=True, kw_only=True):
    """One presentation context as negotiated (PS3.8 9.3.3.2)."""

    abstract_syntax: str  # UID
    abstract_syntax_name: str
    transfer_syntax: str  # name of the accepted syntax, or the proposed ones
    accepted: bool
    reason: str = ""


class AssociationRecord(Struct, frozen=True, kw_only=True):
    """One association, live or of late, as the incoming screen shows it."""

    key: int
    calling_ae_title: str
    called_ae_title: str
    address: str
    state: AssociationState
    started_at: float
    ended_at: float | None
    stored: int = 0
    duplicate: int = 0
    refused: int = 0
    other: int = 0  # requests that carry no object: C-ECHO, C-FIND
    bytes_received: int = 0  # of finished objects
    bytes_receiving: int = 0  # of a large object that is on its way
    last_status: str = ""  # "0x0000 Success", "0xA700 out of resources: ..."
    last_at: float = 0.0
    reason: str = ""  # why it was rejected or aborted, in words
    known_node: bool = False
    implementation: str = ""  # what the peer's software calls itself
    is_tls: bool = False
    certificate_sha256: str = ""  # of the caller's own, as TLS has proven it
    user: str = ""  # proven by user identity negotiation
    remark: str = ""  # on how the caller showed who it is
    contexts: tuple[ContextOutcome, ...] = ()
