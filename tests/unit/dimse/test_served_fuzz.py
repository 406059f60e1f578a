"""Whatever a peer sends while we serve its requests, we answer each whole one once, or end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.dimse.raw_peer import CT, EXPLICIT, element, p_data, pdu, us
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import AcceptedContext, Answer, Request
from tuipacs.dimse.gathering import Gathering
from tuipacs.dimse.messages import C_GET_RQ, C_STORE_RQ
from tuipacs.dimse.pdu import ContextAnswer, ProposedContext
from tuipacs.dimse.requestor.answers import Sent
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.requestor.loop import Requestor, RequestorSettings
from tuipacs.dimse.requestor.negotiation import Accept, Proposal

GET = "1.2.840.10008.5.1.4.1.2.2.3"
PROPOSAL = Proposal(
    called_ae_title="A",
    calling_ae_title="B",
    contexts=[ProposedContext(1, GET, (EXPLICIT,)), ProposedContext(3, CT, (EXPLICIT,))],
    max_pdu=4096,
)
ACCEPT = Accept(
    (ContextAnswer(1, 0, EXPLICIT), ContextAnswer(3, 0, EXPLICIT)), 16384, {}, "", False
)
SETTINGS = RequestorSettings(acse_timeout=2, dimse_timeout=2, max_pdu=4096, max_object_bytes=100)


def _store(number: int, sop_class: str = CT) -> bytes:
    body = element(0x0002, sop_class.encode()) + element(0x0100, us(C_STORE_RQ))
    body += element(0x0110, us(number)) + element(0x0800, us(1)) + element(0x1000, b"1.2")
    return element(0, len(body).to_bytes(4, "little")) + body


def _object(number: int, size: int = 8) -> bytes:
    return p_data(3, 3, _store(number)) + p_data(3, 2, bytes(size))


def _final() -> bytes:
    body = element(0x0100, us(C_GET_RQ | 0x8000)) + element(0x0120, us(1))
    body += element(0x0800, us(0x0101)) + element(0x0900, us(0))
    return p_data(1, 3, element(0, len(body).to_bytes(4, "little")) + body)


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def _converse(listener: socket.socket, said: bytes) -> tuple[list[bytes], Requestor, bytes]:
    """A C-GET whose peer has said this already: datasets taken, the requestor, what it sent."""
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    taken: list[bytes] = []

    def begin(_: Request) -> Gathering:
        def finish(data: bytearray) -> Answer:
            taken.append(bytes(data))
            return Answer(0x0000, "Success")

        return Gathering(1 << 20, Answer(0xA700, "too large"), finish)

    with theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        requestor = Requestor(Channel(ours, 1 << 16), SETTINGS, PROPOSAL, ACCEPT)
        requestor.serve(C_STORE_RQ, frozenset((CT,)), begin)
        try:
            requestor.send(Sent(AcceptedContext(1, GET, EXPLICIT), C_GET_RQ, 1), b"")
            requestor.receive()
            requestor.release()
        except AssociationFailedError:
            pass
        requestor.abort()
        sent = b""
        while part := theirs.recv(65536):
            sent += part
    assert ours.fileno() == -1
    return taken, requestor, sent


def test_what_the_fuzzing_damages_is_right_at_first(listener: socket.socket) -> None:
    said = _object(7) + _object(8, 100) + _object(9, 102) + _final() + pdu(6, bytes(4))
    taken, requestor, sent = _converse(listener, said)
    assert taken == [bytes(8), bytes(100)]  # the third is larger than may be
    assert requestor.ended is not None
    assert requestor.ended.failure is Failure.ENDED
    assert requestor.served == 3
    assert sent.count(element(0x0900, us(0xA700))) == 1


def test_an_object_of_another_class_than_its_context_is_refused(listener: socket.socket) -> None:
    said = p_data(3, 3, _store(7, "1.2.840.10008.5.1.4.1.1.4")) + p_data(3, 2, bytes(8))
    taken, requestor, sent = _converse(listener, said + _final() + pdu(6, bytes(4)))
    assert taken == []
    assert element(0x0900, us(0x0122)) in sent
    assert requestor.ended is not None
    assert requestor.ended.failure is Failure.ENDED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([_object(7), _object(8, 100), _final(), p_data(3, 3, _store(9))]),
            st.binary(max_size=40),
            st.builds(
                p_data, st.sampled_from([1, 3, 5]), st.integers(0, 3), st.binary(max_size=40)
            ),
        ),
        max_size=6,
    )
)
@example([_object(7)[:-1]])
@example([p_data(1, 3, _store(9))])
def test_anything_is_served_or_ends(listener: socket.socket, said: list[bytes]) -> None:
    taken, requestor, _ = _converse(listener, b"".join(said))
    assert requestor.ended is not None
    assert requestor.ended.message
    assert len(taken) <= requestor.served
