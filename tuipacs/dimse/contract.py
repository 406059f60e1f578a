"""The seam between the association engine and those above it.

The engine (listener, negotiation, message loop) knows callers, contexts, requests and answers. Who
a caller is, what a request does and who watches come in through these types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from tuipacs.domain.admission import Admission
from tuipacs.domain.node import AssociationState, ContextOutcome
from tuipacs.domain.permissions import NodeService


@dataclass(frozen=True, kw_only=True)
class ListenerSettings:
    """What the listener needs to know. Times in seconds, sizes in bytes."""

    ae_title: str = "TUIPACS"
    host: str = "127.0.0.1"
    port: int = 11112  # 0: any free one
    check_called_ae: bool = True
    max_associations: int = 32
    max_associations_per_ae: int = 16
    max_associations_per_address: int = 24
    max_waiting: int = 128  # connections that have not associated yet
    max_waiting_per_address: int = 32
    max_pdu: int = 131072
    max_object_bytes: int = 4 << 30
    acse_timeout: float = 30.0  # from the connection to the whole A-ASSOCIATE-RQ
    dimse_timeout: float = 60.0  # for one PDU, and for sending an answer
    idle_timeout: float = 60.0  # between PDUs


@dataclass(frozen=True)
class Caller:
    """The two AE titles as they came (hostile, 16 characters at most), and the IP address."""

    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True)
class AcceptedContext:
    """An accepted presentation context (PS3.8 9.3.3.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class AssociationInfo:
    """An open association, as the services above see it. ``key`` is the observer's."""

    key: int
    caller: Caller
    admission: Admission
    contexts: Mapping[int, AcceptedContext] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Request:
    """One DIMSE request with what a service needs of the command set (PS3.7 9.3).

    ``dataset`` is the very bytes that followed, valid until the answer is given; None if none came.
    """

    context: AcceptedContext
    sop_class_uid: str
    sop_instance_uid: str = ""
    dataset: memoryview | None = None


class Outcome(StrEnum):
    """How an answer counts on the incoming screen."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OTHER = "other"


@dataclass(frozen=True)
class Answer:
    """A DIMSE status (PS3.7 C) and why, in at most 64 characters of ASCII without PHI."""

    status: int
    meaning: str
    comment: str = ""
    outcome: Outcome = Outcome.OTHER

    @property
    def text(self) -> str:
        """ "0xA700 out of resources: the disk is full"."""
        words = f"0x{self.status:04X} {self.meaning}"
        return f"{words}: {self.comment}" if self.comment else words


class Admit(Protocol):
    """Says what a calling AE at an IP address may do. Called for each association, any thread."""

    def __call__(self, calling_ae_title: str, address: str) -> Admission: ...


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

    @property
    def takes_dataset(self) -> bool:
        """Whether a dataset belongs to its request; one that comes all the same is dropped."""
        ...

    def serves(self, abstract_syntax: str) -> bool:
        """Whether this SOP class belongs to the service."""
        ...

    def takes(self, transfer_syntax: str) -> bool:
        """Whether datasets may come in this transfer syntax."""
        ...

    def handle(self, association: AssociationInfo, request: Request) -> Answer:
        """Do it, then answer; in the association's thread. A Success is a promise.

        What it raises is a bug: the peer gets 0x0110 and the association goes on.
        """
        ...


class Observer(Protocol):
    """Whoever watches the listener. Called from all its threads; must not raise."""

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

    def answered(self, key: int, answer: Answer, size: int) -> None:
        """A request was answered; ``size`` of its dataset in bytes."""
        ...

    def closed(self, key: int, state: AssociationState, reason: str, offence: bool) -> None:
        """It ended; ``offence`` when the peer broke the protocol."""
        ...

    def tick(self) -> None:
        """Twice a second, from the accepting thread."""
        ...
