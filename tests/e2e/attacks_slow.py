"""Attacks by waiting: silence, drips, and answers that nobody takes. All go on at the same time."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from itertools import repeat

from tests.dimse.raw_peer import (
    CT,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    element,
    p_data,
    us,
)
from tests.e2e.attacks import ABORTED, BEYOND, PATIENCE, Attack, End, closed, timed_out
from tests.e2e.attacks_retrieve import GET_CONTEXTS, TAKES_CT, first_store
from tuipacs.dimse.acceptor.pdus import MAX_REQUEST

SETTINGS = {"acse_timeout": 1, "dimse_timeout": 1, "idle_timeout": 2}


STORE = command(0x0001, CT, dataset=True, instance="1.2")
CANCEL = element(0x0100, us(0x0FFF)) + element(0x0120, us(9)) + element(0x0800, us(0x0101))
LONGEST_REQUEST = b"\x01\0" + MAX_REQUEST.to_bytes(4, "big")  # its header alone
NOT_IN_TIME = "sent no whole PDU in time"
TOO_LITTLE = timed_out("sent too little of a message in 1 s")
NO_REQUEST = timed_out("sent no request for 2 s")
NO_ASSOCIATION = closed("sent no whole association request in 1 s")


def _drips(
    drops: Callable[[], Iterator[bytes]], *, first: bytes = b""
) -> Callable[[RawPeer], None]:
    """Send ``first``, then a drop now and then until the archive says something."""

    def sends(peer: RawPeer) -> None:
        until = time.monotonic() + PATIENCE
        peer.send(first)
        for drop in drops():
            if select.select([peer.socket], [], [], 0.04)[0]:
                return
            assert time.monotonic() < until, "nobody ever put an end to it"
            peer.send(drop)

    return sends


def _shifted(drop: bytes) -> Callable[[], Iterator[bytes]]:
    """The same PDU again and again, cut so that half of the next header always waits."""

    def drops() -> Iterator[bytes]:
        yield drop[:3]
        yield from repeat(drop[3:] + drop[:3])

    return drops


def _takes_nothing(peer: RawPeer) -> None:
    """Echoes whose answers are long, and fill what the system holds for a connection."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    instance = "1" * 60_000
    request = p_data(1, 3, command(0x0030, VERIFICATION, dataset=False, instance=instance))
    until = time.monotonic() + PATIENCE
    for _ in range(100):
        peer.send(request)
    with contextlib.suppress(OSError):  # once the archive has closed the connection
        while time.monotonic() < until:
            peer.send(p_data(1, 1, b""))
            time.sleep(0.04)


def _takes_one(peer: RawPeer) -> None:
    first_store(peer)


_BYTE = p_data(3, 0, b"x")
_NOTHING = p_data(3, 0, b"")
_BEGUN = p_data(3, 3, STORE)

ATTACKS = (
    Attack("half a header, then silence", "", b"\x01\0\0", NO_ASSOCIATION),
    Attack("half a header, then silence", "not even that", b"", NO_ASSOCIATION),
    Attack(
        "half a header, then silence", "all but the last byte", associate_rq()[:-1], NO_ASSOCIATION
    ),
    Attack(
        "half a header, then silence",
        "inside the association",
        b"\x04\0\0",
        timed_out(NOT_IN_TIME),
        inside=True,
    ),
    Attack(
        "half a header, then silence",
        "inside a PDU",
        p_data(1, 3, STORE)[:-1],
        timed_out(NOT_IN_TIME),
        inside=True,
    ),
    Attack(
        "half a header, then silence",
        "half a TLS hello",
        b"\x16\x03\x01\x02\x00\x01",
        closed("finished no TLS handshake in 1 s"),
        to_tls_port=True,
    ),
    Attack("length FFFFFFFF", "the longest there may be", LONGEST_REQUEST, NO_ASSOCIATION),
    Attack(
        "one byte at a time",
        "too slowly",
        _drips(lambda: (bytes((byte,)) for byte in associate_rq() * 2)),
        NO_ASSOCIATION,
    ),
    Attack("a missing last fragment", "then silence", _BEGUN + _BYTE, TOO_LITTLE, inside=True),
    Attack(
        "a missing last fragment",
        "of a command, then silence",
        p_data(3, 1, STORE),
        TOO_LITTLE,
        inside=True,
    ),
    Attack(
        "a command in 1,000 fragments",
        "of nothing, for ever",
        _drips(lambda: repeat(p_data(3, 1, b""))),
        TOO_LITTLE,
        inside=True,
    ),
    *(
        Attack(BEYOND, f"an object {name}, for ever", _drips(drops, first=_BEGUN), TOO_LITTLE, True)
        for name, drops in (
            ("of empty fragments", lambda: repeat(_NOTHING)),
            ("a byte at a time", lambda: repeat(_BYTE)),
            ("a byte at a time, half a header always waiting", _shifted(_BYTE)),
        )
    ),
    Attack(
        "C-CANCEL for nothing",
        "for ever",
        _drips(lambda: repeat(p_data(1, 3, CANCEL))),
        NO_REQUEST,
        inside=True,
    ),
    Attack(
        "C-CANCEL for nothing",
        "for ever, half a header always waiting",
        _drips(_shifted(p_data(1, 3, CANCEL))),
        NO_REQUEST,
        inside=True,
    ),
    Attack(
        "C-GET without role",
        "whose objects nobody answers",
        _takes_one,
        timed_out("did not answer a C-STORE within 1 s"),
        True,
        GET_CONTEXTS,
        user=TAKES_CT,
    ),
    Attack(BEYOND, "silence in an association", b"", NO_REQUEST, inside=True),
    Attack(
        BEYOND,
        "answers that nobody takes",
        _takes_nothing,
        End(last="gone", state=ABORTED, words="took no answer"),
        inside=True,
    ),
)
