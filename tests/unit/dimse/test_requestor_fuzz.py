"""Whatever a peer sends to our requestor is an answer or a clear end; nothing else is raised."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.dimse.raw_peer import CT, EXPLICIT, element, p_data, pdu, us
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.messages import C_FIND_RQ
from tuipacs.dimse.pdu import ContextAnswer, ProposedContext
from tuipacs.dimse.requestor.answers import Received, Sent
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.requestor.loop import Requestor, RequestorSettings
from tuipacs.dimse.requestor.negotiation import Accept, Proposal

CONTEXT = AcceptedContext(1, CT, EXPLICIT)
PROPOSAL = Proposal(
    called_ae_title="A",
    calling_ae_title="B",
    contexts=[ProposedContext(1, CT, (EXPLICIT,))],
    max_pdu=4096,
)
ACCEPT = Accept((ContextAnswer(1, 0, EXPLICIT),), 16384, {}, "", False)
SETTINGS = RequestorSettings(acse_timeout=2, dimse_timeout=2, max_pdu=4096)


def _command(status: int, dataset: int) -> bytes:
    body = element(0x0100, us(0x8020)) + element(0x0120, us(1))
    body += element(0x0800, us(dataset)) + element(0x0900, us(status))
    return element(0, len(body).to_bytes(4, "little")) + body


PENDING = p_data(1, 3, _command(0xFF00, 1)) + p_data(1, 2, b"identifier")
FINAL = p_data(1, 3, _command(0, 0x0101))


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def _converse(listener: socket.socket, said: bytes) -> tuple[list[Received], Requestor]:
    """Ask with C-FIND a peer that has said this already, and then closes."""
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    with theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        requestor = Requestor(Channel(ours, 1 << 16), SETTINGS, PROPOSAL, ACCEPT)
        answers: list[Received] = []
        try:
            requestor.send(Sent(CONTEXT, C_FIND_RQ, 1), b"")
            while not answers or answers[-1].is_pending:
                answers.append(requestor.receive(is_final=False))
            requestor.release()
        except AssociationFailedError:
            pass
        requestor.abort()
    assert ours.fileno() == -1  # closed, whatever happened
    return answers, requestor


def test_what_the_fuzzing_damages_is_right_at_first(listener: socket.socket) -> None:
    answers, requestor = _converse(listener, PENDING * 2 + FINAL + pdu(6, bytes(4)))
    assert [answer.status for answer in answers] == [0xFF00, 0xFF00, 0]
    assert [answer.dataset for answer in answers] == [b"identifier", b"identifier", b""]
    assert requestor.ended is not None
    assert requestor.ended.failure is Failure.ENDED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.just(PENDING),
            st.just(FINAL),
            st.binary(max_size=40),
            st.builds(pdu, st.integers(0, 9), st.binary(max_size=40)),
            st.builds(p_data, st.integers(0, 3), st.integers(0, 4), st.binary(max_size=60)),
        ),
        max_size=5,
    ),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=4),
)
@example([pdu(5, bytes(4))], [])
@example([PENDING, pdu(7, b"")], [])
def test_anything_is_an_answer_or_an_end(
    listener: socket.socket, pieces: list[bytes], damage: list[tuple[int, int]]
) -> None:
    said = bytearray(b"".join(pieces))
    for at, value in damage:
        if at < len(said):
            said[at] = value
    answers, requestor = _converse(listener, bytes(said))
    assert requestor.ended is not None
    assert requestor.ended.message
    assert all(answer.is_pending for answer in answers[:-1])
