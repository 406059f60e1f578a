"""A whole association in one thread: bytes in, legal PDUs out, and everything given back."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from tests.dimse import raw_peer
from tuipacs.dimse.acceptor.association import Association
from tuipacs.dimse.acceptor.engine import Engine
from tuipacs.dimse.acceptor.slots import AssociationSlots
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import (
    Answer,
    AssociationInfo,
    Caller,
    Exchange,
    IsCancelled,
    ListenerSettings,
    Reply,
    Request,
)
from tuipacs.dimse.pdu import HEADER_SIZE, PduType
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import Admission
from tuipacs.domain.node import AssociationState, ContextOutcome
from tuipacs.domain.permissions import NodeService

SETTINGS = ListenerSettings(max_object_bytes=1000, max_pdu=16384, idle_timeout=5, dimse_timeout=5)
PEER = Actor(kind=ActorKind.PEER, name="PEER", role=None, permissions=frozenset())
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
LONGEST = 60_000  # bytes of input that a connection holds unread
ANSWERS = (PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.P_DATA, PduType.RELEASE_RP)
LAST = (PduType.ASSOCIATE_RJ, PduType.RELEASE_RP, PduType.ABORT)


class _Witness:
    """Sees that every association that opens also closes, and that no service had a bug."""

    def __init__(self) -> None:
        self.open = 0

    def opened(self, caller: Caller, known: bool, contexts: tuple[ContextOutcome, ...]) -> int:
        self.open += 1
        return 1

    def rejected(
        self,
        caller: Caller,
        known: bool,
        reason: str,
        contexts: tuple[ContextOutcome, ...] = (),
    ) -> None:
        assert reason

    def receiving(self, key: int, size: int) -> None:
        assert size > 0

    def answered(self, key: int, answer: Answer, size: int) -> None:
        assert answer.status != 0x0110, "a service raised"

    def closed(self, key: int, state: AssociationState, reason: str, offence: bool) -> None:
        self.open -= 1
        assert reason or state is AssociationState.RELEASED

    def tick(self) -> None:
        raise AssertionError("an association has no clock")


class _Service:
    """Echo, store or find without anything behind it; ``living`` counts its exchanges."""

    right = NodeService.ECHO

    def __init__(self, command_field: int, *sop_classes: str, answers: int = 0) -> None:
        self.command_field = command_field
        self._sop_classes = sop_classes
        self.answers = answers
        self.living = 0

    def serves(self, abstract_syntax: str) -> bool:
        return abstract_syntax in self._sop_classes

    def takes(self, transfer_syntax: str) -> bool:
        return transfer_syntax in (raw_peer.IMPLICIT, raw_peer.EXPLICIT)

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        if not self.answers:
            return Reply(Answer(0, "Success"))
        self.living += 1
        return _Many(self)


class _Many:
    def __init__(self, service: _Service) -> None:
        self._service = service
        self._is_over = False

    def write(self, fragment: memoryview) -> None:
        assert not self._is_over

    def finish(self, is_cancelled: IsCancelled) -> Iterator[Answer]:
        for _ in range(self._service.answers):
            if is_cancelled():
                yield Answer(0xFE00, "cancel")
                return
            yield Answer(0xFF00, "pending", dataset=b"\x08\0\x05\0\0\0\0\0")
        yield Answer(0, "Success")

    def discard(self) -> None:
        self._service.living -= not self._is_over
        self._is_over = True


def association(data: bytes) -> None:
    """All that a peer sends on one connection before it closes its side."""
    witness, slots = _Witness(), AssociationSlots(SETTINGS)
    services = [
        _Service(0x0030, raw_peer.VERIFICATION),
        _Service(0x0001, raw_peer.CT, answers=1),
        _Service(0x0020, FIND, answers=3),
    ]
    admission = Admission(actor=PEER, known=True, services=frozenset(NodeService))
    engine = Engine(SETTINGS, lambda caller: admission, services, witness, slots)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname(), timeout=10) as peer,
    ):
        accepted, _ = listening.accept()
        peer.sendall(data[:LONGEST])
        peer.shutdown(socket.SHUT_WR)
        channel = Channel(accepted, SETTINGS.max_pdu + 4 * HEADER_SIZE)
        Association(engine, channel, "127.0.0.1").run()
        check_answers(_everything(peer))
    assert witness.open == 0
    assert slots.taken == 0
    assert [service.living for service in services] == [0, 0, 0]


def _everything(peer: socket.socket) -> bytes:
    data = b""
    try:
        while part := peer.recv(65536):
            data += part
    except ConnectionResetError:  # it was closed before all was read: what came, came
        return data
    return data


def check_answers(data: bytes) -> None:
    """Whole PDUs of the types that an acceptor sends, the last word last."""
    at, kinds = 0, []
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + HEADER_SIZE], "big")
        kinds.append(PduType(data[at]))
        at += HEADER_SIZE + length
    assert at == len(data)
    assert all(kind in ANSWERS for kind in kinds[:-1])
    assert not [kind for kind in kinds[:-1] if kind in LAST]
    assert PduType.ASSOCIATE_AC not in kinds[1:]


def conversations() -> Iterator[bytes]:
    """Whole conversations, from which to go astray."""
    ct = (3, raw_peer.CT, [raw_peer.EXPLICIT])
    find = (5, FIND, [raw_peer.IMPLICIT])
    open_ = raw_peer.associate_rq([raw_peer.ECHO_CONTEXT, ct, find])
    echo = raw_peer.p_data(1, 3, raw_peer.command(0x0030, raw_peer.VERIFICATION, dataset=False))
    store = raw_peer.command(0x0001, raw_peer.CT, dataset=True, instance="1.2.3")
    query = raw_peer.p_data(5, 3, raw_peer.command(0x0020, FIND, dataset=True))
    cancel = raw_peer.element(0x0100, raw_peer.us(0x0FFF)) + raw_peer.element(0x0120, b"\7\0")
    cancel += raw_peer.element(0x0800, raw_peer.us(0x0101))
    release = raw_peer.pdu(5, bytes(4))
    yield open_ + echo + release
    yield open_ + raw_peer.p_data(3, 3, store) + raw_peer.p_data(3, 2, b"data") + echo + release
    yield open_ + query + raw_peer.p_data(5, 2, b"keys") + raw_peer.p_data(5, 3, cancel) + release
    yield open_ + raw_peer.p_data(3, 1, store[:30]) + raw_peer.p_data(3, 3, store[30:])
    packed = raw_peer.p_data(3, 3, store)[6:] + raw_peer.p_data(3, 2, b"x" * 100)[6:]
    yield open_ + raw_peer.pdu(4, packed + echo[6:]) + raw_peer.pdu(7, bytes(4))
