"""The seam between the association engine and those above it.

The engine (listener, negotiation, message loop) knows callers, contexts, requests and answers. Who
a caller is, what a request does and who watches come in through these types.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from tuipacs.dimse.sending import DatasetSource
from tuipacs.domain.admission import Admission
from tuipacs.domain.node import AssociationState, ContextOutcome
from tuipacs.domain.permissions import NodeService

PROGRESS_BYTES = 16384
"""How much of an unfinished message has to come in each DIMSE timeout.

A slow line (2 kbit/s at the default) is served; a peer that drips to hold a slot is not.
"""


@dataclass(frozen=True, kw_only=True)
class ListenerSettings:
    """What the listener needs to know. Times in seconds, sizes in bytes."""

    ae_title: str = "TUIPACS"
    host: str = "127.0.0.1"
    port: int = 11112  # 0: any free one
    is_plain: bool = True  # whether ``port`` is opened at all
    tls_port: int = 2762  # opened when the listener is given a `TlsSource`; 0: any free one
    check_called_ae: bool = True
    max_associations: int = 32
    max_associations_per_ae: int = 16
    max_associations_per_address: int = 24
    max_waiting: int = 128  # connections that have not associated yet
    max_waiting_per_address: int = 32
    max_pdu: int = 131072
    max_object_bytes: int = 64 << 30  # of one dataset
    acse_timeout: float = 30.0  # from the connection to the whole A-ASSOCIATE-RQ
    dimse_timeout: float = 60.0  # for one PDU, for sending an answer, and see PROGRESS_BYTES
    idle_timeout: float = 60.0  # between messages
    stranger_pause: float = 0.02  # after each answer to who may only echo, or is no known node
    dismissal_grace: float = 30.0  # for the message at hand when a node was removed or changed


@dataclass(frozen=True)
class Caller:
    """The two AE titles as they came (hostile, 16 characters at most), and the IP address.

    ``certificate_sha256`` is of the certificate that TLS has proven, ``user`` whom the user
    identity (PS3.7 D.3.3.7) has proven; ``remark`` says what of it was left unused, and why.
    """

    calling_ae_title: str
    called_ae_title: str
    address: str
    is_tls: bool = False
    certificate_sha256: str = ""
    user: str = ""
    remark: str = ""
    implementation: str = ""  # what the peer says that it is: a name or a UID (hostile, 64 at most)


@dataclass(frozen=True)
class AcceptedContext:
    """An accepted presentation context (PS3.8 9.3.3.2), and the peer's roles on it.

    An SCU sends requests, an SCP takes them: what a C-GET gives goes to an SCP (PS3.7 D.3.3.4).
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    peer_is_scu: bool = True
    peer_is_scp: bool = False


@dataclass(frozen=True)
class AssociationInfo:
    """An open association, as the services above see it. ``key`` is the observer's.

    ``extended``: what was agreed by extended negotiation, application information by SOP class.
    """

    key: int
    caller: Caller
    admission: Admission
    contexts: Mapping[int, AcceptedContext] = field(default_factory=lambda: MappingProxyType({}))
    extended: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Command:
    """A command set (PS3.7 6.3, E). ``sop_*_uid`` are the affected or the requested ones.

    ``message_id`` is the one responded to in an answer and in a C-CANCEL. ``elements`` are all of
    group 0000 as they came, by element number.
    """

    field: int
    message_id: int
    dataset_follows: bool
    sop_class_uid: str
    sop_instance_uid: str
    elements: Mapping[int, bytes]


class StoreReply(NamedTuple):
    """The peer's answer to a C-STORE of ours; its comment is hostile."""

    status: int
    comment: str


class Line(Protocol):
    """The association of a C-GET, for the objects that leave on it before its answer.

    What its methods raise, `SourceFailedError` apart, ends the association and has to pass.
    """

    def is_cancelled(self) -> bool:
        """As `IsCancelled`."""
        ...

    def store(
        self, context: AcceptedContext, sop_instance_uid: str, source: DatasetSource
    ) -> StoreReply:
        """Send one object, and wait for the peer's answer.

        Raises `SourceFailedError` if the object cannot be read and nothing was sent of it.
        """
        ...


@dataclass(frozen=True)
class Request:
    """One DIMSE request: on which presentation context, and its command set.

    ``line``: of a C-GET, and of no other.
    """

    context: AcceptedContext
    command: Command
    line: Line | None = field(default=None, repr=False, compare=False)


class Outcome(StrEnum):
    """How an answer counts on the incoming screen."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OTHER = "other"


@dataclass(frozen=True)
class Counts:
    """Sub-operations of a C-MOVE or C-GET (PS3.7 9.1.3.1); ``remaining``: None in the last answer.

    They go out as numbers of 16 bits: 65535 stands for more.
    """

    remaining: int | None
    completed: int
    failed: int
    warning: int


PENDING = frozenset((0xFF00, 0xFF01))  # statuses after which more answers follow (PS3.7 C.1.3)


@dataclass(frozen=True)
class Answer:
    """A DIMSE status (PS3.7 C) and why, in at most 64 characters of ASCII without PHI.

    ``dataset``: an identifier, encoded in the transfer syntax of the request's context.
    ``offending``: tags of elements of the request that are at fault. ``subject``: the UID that it
    is about; not sent, but shown here.
    """

    status: int
    meaning: str
    comment: str = ""
    outcome: Outcome = Outcome.OTHER
    dataset: bytes | None = None
    counts: Counts | None = None
    offending: tuple[int, ...] = ()
    subject: str = ""

    @property
    def is_pending(self) -> bool:
        """True if more answers to the same request follow."""
        return self.status in PENDING

    @property
    def text(self) -> str:
        """ "0xA700 out of resources: the disk is full"; the subject in brackets."""
        words = f"0x{self.status:04X} {self.meaning}"
        if self.comment:
            words += f": {self.comment}"
        return f"{words} ({self.subject})" if self.subject else words


USERNAME, PASSCODE = 1, 2  # kinds of `IdentityClaim` that can be checked


@dataclass(frozen=True)
class IdentityClaim:
    """A user identity as it came (PS3.7 D.3.3.7); hostile, and the passcode is nobody's to see.

    ``kind`` USERNAME: a user's name; PASSCODE: it and a passcode; 3 to 5: tokens of other systems.
    """

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    wants_response: bool = False


class Admit(Protocol):
    """Says what a caller may do. For each association, and again for each request; any thread."""

    def __call__(self, caller: Caller) -> Admission: ...


class Expects(Protocol):
    """Whether calls of known nodes come from an address. For each connection in a crowd; quick."""

    def __call__(self, address: str) -> bool: ...


class Identify(Protocol):
    """Checks a claim of type 1 or 2 from a known node over TLS, once an association.

    Returns the account's name. Raises `AuthenticationError`, `ThrottledError`, `UnavailableError`.
    """

    def __call__(self, claim: IdentityClaim, caller: Caller, admission: Admission) -> str: ...


IsCancelled = Callable[[], bool]
"""Whether the peer cancelled this request (C-CANCEL). Cheap: ask between any answers.

Raises when nobody is there for an answer any more (the peer aborted or went, or the association is
dismissed): what it raises has to pass.
"""


class Exchange(Protocol):
    """One request while it is served, in the association's thread.

    What `write` and `finish` raise is a bug: the peer gets 0x0110 and the association goes on.
    """

    def write(self, fragment: memoryview) -> None:
        """The next bytes of the dataset; they are valid during this call only."""
        ...

    def finish(self, is_cancelled: IsCancelled) -> Answer | Iterator[Answer]:
        """All of the dataset came, or none was announced: do it, then answer.

        A Success is a promise. Of several answers the last is the final one, and the others are
        Pending; they are sent in batches.
        """
        ...

    def discard(self) -> None:
        """Let go of it, finished or not: the last call, and it never raises."""
        ...


SendEvent = Callable[[int, bytes, Callable[[int], None]], None]
"""Sends an N-EVENT-REPORT on the context and about the SOP instance of the request.

Event Type ID, dataset as of the context, and what is called with the status once it is answered; it
never is if the association ends before. Raises what ends the association, and has to pass.
"""


class HasSequel(Protocol):
    """An `Exchange` that may have something to report on its association, after its answer."""

    def sequel(self, send: SendEvent) -> None:
        """Called once the answer is out, in the association's thread. What it raises is a bug."""
        ...


class Reply:
    """An exchange that needs no dataset and has its answer ready."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def write(self, fragment: memoryview) -> None:
        """Drop it."""

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        """The ready answer."""
        return self._answer

    def discard(self) -> None:
        """Nothing is held."""


class TlsSource(Protocol):
    """Gives the TLS port its context, anew for each connection."""

    def context(self) -> ssl.SSLContext:
        """As `dimse.tls.server_context` makes it. Never raises for files that went bad."""
        ...


class ServiceProvider(Protocol):
    """One DIMSE service as SCP."""

    @property
    def command_field(self) -> int:
        """Of its request (PS3.7 E)."""
        ...

    @property
    def right(self) -> NodeService:
        """What a caller's admission must open for this service's contexts to be accepted."""
        ...

    def serves(self, abstract_syntax: str) -> bool:
        """Whether this SOP class belongs to the service."""
        ...

    def takes(self, transfer_syntax: str) -> bool:
        """Whether datasets may come in this transfer syntax."""
        ...

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        """A command came whole; its dataset, if one was announced, follows.

        What it raises is a bug, as in `Exchange`.
        """
        ...


@runtime_checkable
class Giver(Protocol):
    """A `ServiceProvider` that sends objects on the association of its request (C-GET).

    For them the peer takes the role of an SCP; ``right`` is needed for that, too.
    """

    @property
    def right(self) -> NodeService:
        """See `ServiceProvider`."""
        ...

    def gives(self, abstract_syntax: str) -> bool:
        """Whether objects of this SOP class may be among them."""
        ...

    def choose(self, abstract_syntax: str, proposed: Sequence[str]) -> str:
        """In which of the proposed transfer syntaxes to give them; empty: in none of them."""
        ...


def called_by_scp(provider: ServiceProvider) -> bool:
    """Whether the caller is the SCP of the SOP class (N-EVENT-REPORT): it has `called_by_scp`.

    Asked for each request: `isinstance` of a protocol would take 8 microseconds.
    """
    return getattr(provider, "called_by_scp", False)


@runtime_checkable
class ExtendsNegotiation(Protocol):
    """A `ServiceProvider` whose SOP classes have extended negotiation (PS3.7 D.3.3.5)."""

    def extend(self, abstract_syntax: str, information: bytes) -> bytes:
        """The answer to application information of any length, and what holds from then on."""
        ...


class Observer(Protocol):
    """Whoever watches the listener. Must not raise.

    Called from the associations' threads, and from one that tells of refused connections.
    """

    def opened(self, caller: Caller, known: bool, contexts: tuple[ContextOutcome, ...]) -> int:
        """Accepted; the key returned stands for this association."""
        ...

    def rejected(
        self,
        caller: Caller,
        known: bool,
        reason: str,
        contexts: tuple[ContextOutcome, ...] = (),
    ) -> None:
        """A connection or association was refused, after the peer was told."""
        ...

    def receiving(self, key: int, size: int) -> None:
        """``size`` bytes of a large message have come, and more follow."""
        ...

    def answered(self, key: int, answer: Answer, size: int) -> None:
        """A request was answered; ``size`` of its dataset in bytes."""
        ...

    def closed(self, key: int, state: AssociationState, reason: str, offence: bool) -> None:
        """It ended; ``offence`` when the peer broke the protocol."""
        ...

    def tick(self) -> None:
        """Twice a second, from the thread that tells of refused connections."""
        ...
