"""Counts of sub-operations in an answer (PS3.7 9.1.3, E.1)."""

from __future__ import annotations

import pytest

from tests.dimse.raw_peer import read_elements, us
from tuipacs.dimse.contract import Answer, Command, Counts
from tuipacs.dimse.messages import encode_answer

COMMAND = Command(0x0021, 7, True, "1.2", "", {})


@pytest.mark.parametrize(("count", "told"), [(0, 0), (65535, 65535), (65536, 65535)])
def test_what_does_not_fit_into_16_bits_is_told_as_the_most_that_does(
    count: int, told: int
) -> None:
    answer = Answer(0xFF00, "Pending", counts=Counts(count, count, 1, 2))
    elements = read_elements(encode_answer(COMMAND, answer))
    assert [elements[number] for number in range(0x1020, 0x1024)] == [
        us(told),
        us(told),
        us(1),
        us(2),
    ]


def test_elements_come_in_order_and_the_remaining_only_if_told() -> None:
    answer = Answer(
        0xA900, "no", "why", counts=Counts(None, 1, 2, 3), offending=(0x00080052, 0x0020000D)
    )
    elements = read_elements(encode_answer(COMMAND, answer))
    assert list(elements) == sorted(elements)
    assert 0x1020 not in elements
    assert elements[0x0901] == b"\x08\x00\x52\x00\x20\x00\x0d\x00"
