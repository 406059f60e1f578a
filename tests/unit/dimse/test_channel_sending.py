"""Gathered writes: all bytes in order, however little the kernel takes at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tuipacs.dimse.channel import Channel
from tuipacs.dimse.faults import PeerGoneError, PeerSlowError


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel whose kernel takes only some kilobytes at a time, and its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield Channel(ours, 1 << 16), theirs


def test_parts_that_the_kernel_takes_in_pieces_arrive_whole(
    pair: tuple[Channel, socket.socket],
) -> None:
    """More parts than one sendmsg takes, of lengths that never meet the kernel's."""
    channel, theirs = pair
    parts = [bytes((n % 251,)) * (1500 + n % 777) for n in range(1100)]
    received = bytearray()

    def read() -> None:
        while part := theirs.recv(100_000):
            received.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    channel.send_parts(parts, 10)
    assert not channel.is_torn
    channel.close(linger=False)
    reader.join(10)
    assert bytes(received) == b"".join(parts)


def test_a_peer_that_takes_nothing_more_ends_the_wait_inside_a_pdu(
    pair: tuple[Channel, socket.socket],
) -> None:
    channel, _ = pair
    with pytest.raises(PeerSlowError):
        channel.send_parts([bytes(1 << 20)] * 8, 0.1)
    assert channel.is_torn


def test_a_peer_that_is_gone_is_told(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.close()
    with pytest.raises(PeerGoneError):
        channel.send_parts([bytes(1 << 20)] * 8, 5)
