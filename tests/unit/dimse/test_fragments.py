"""A message is cut into PDUs that hold all of it, in order, and say where it ends (PS3.8 9.3.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.dimse.pdu import HEADER_SIZE, PduType, data_values, encode_data, fragments

ROOM = 16


@pytest.mark.parametrize("size", [0, 2, ROOM - 2, ROOM, ROOM + 2, 3 * ROOM, 3 * ROOM + 1])
@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("is_command", [True, False])
def test_fragments_hold_the_block_and_only_the_last_one_ends_it(
    size: int, is_last: bool, is_command: bool
) -> None:
    block = bytes(range(size))
    parts = fragments(7, memoryview(block), ROOM, is_last=is_last, is_command=is_command)
    heads, pieces = parts[::2], parts[1::2]
    assert b"".join(pieces) == block
    for number, (head, piece) in enumerate(zip(heads, pieces, strict=True)):
        pdu = memoryview(bytes(head) + bytes(piece))
        assert (pdu[0], pdu[1]) == (PduType.P_DATA, 0)
        assert int.from_bytes(pdu[2:HEADER_SIZE], "big") == len(pdu) - HEADER_SIZE
        ((context_id, control, fragment),) = data_values(pdu[HEADER_SIZE:])
        assert (context_id, fragment) == (7, piece)
        ends = is_last and number == len(pieces) - 1
        assert control == is_command | (2 if ends else 0)
        assert len(piece) <= ROOM
        assert len(piece) == ROOM or number == len(pieces) - 1
        assert len(piece) or not block  # some peers take an empty fragment for a fault


@given(st.binary(max_size=100), st.integers(16, 40))
def test_no_pdu_is_longer_than_the_peer_takes(data: bytes, longest: int) -> None:
    sent = memoryview(encode_data(1, data, longest, is_command=False))
    got = b""
    while sent:
        size = int.from_bytes(sent[2:HEADER_SIZE], "big")
        assert size <= longest
        got += b"".join(bytes(v) for *_, v in data_values(sent[HEADER_SIZE : HEADER_SIZE + size]))
        sent = sent[HEADER_SIZE + size :]
    assert got == data
