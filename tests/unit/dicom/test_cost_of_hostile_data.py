"""What a dataset can cost before it is given up: bounded by its size, whatever it says."""

from __future__ import annotations

import struct
from typing import Any

from tests.e2e import hostile
from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.elements import list_elements
from tuipacs.dicom.encoding import EXPLICIT_LE
from tuipacs.dicom.skip import MAX_FRAGMENTS

_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
_DATASET_ENDS = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


class Counted(bytes):
    """Bytes that count how many of them were copied out."""

    copied = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        if isinstance(at, slice):
            self.copied += len(found)
        return found


def _opening(number: int) -> bytes:
    """An element of undefined length that holds fragments."""
    return struct.pack("<HH2sHL", 0x0041, 0x1000 + number, b"OB", 0, 0xFFFFFFFF)


def _through_the_same_fragments(elements: int, fragments: int) -> bytes:
    """Each element's first fragment reaches to one chain at the end that leads nowhere.

    So each is followed through the whole chain, and then its delimiter is found close by.
    """
    head, size = hostile.make({0x7FE00010: None}), 28
    chain_at = len(head) + elements * size + len(_DATASET_ENDS)
    body = b"".join(
        _opening(number)
        + _ITEM
        + struct.pack("<L", chain_at - (len(head) + number * size + 20))
        + _END
        for number in range(elements)
    )
    return head + body + _DATASET_ENDS + (_ITEM + bytes(4)) * fragments + b"\xff" * 8


def test_elements_that_share_a_chain_of_fragments_do_not_multiply_its_cost() -> None:
    """50,000 elements through 1,000,000 fragments would keep a thread busy for hours."""
    share = MAX_FRAGMENTS // 4
    data = _through_the_same_fragments(elements=8, fragments=share)
    remarks = " ".join(read_attributes(data, EXPLICIT_LE).remarks)
    assert "the rest was not looked at" in remarks


def test_the_list_of_elements_gives_up_on_a_shared_chain_of_fragments() -> None:
    data = _through_the_same_fragments(elements=8, fragments=MAX_FRAGMENTS // 4)
    assert "too many fragments" in list_elements(hostile.part10(data)).truncated


def test_the_search_for_a_near_delimiter_does_not_copy_what_lies_behind_it() -> None:
    """Else each of some thousand damaged elements costs as much as the whole object."""
    damaged = b"".join(_opening(number) + b"\xff" * 8 + _END for number in range(500))
    tail = hostile.element(0x00431010, "OB", bytes(4 << 20))
    data = Counted(hostile.make({0x7FE00010: None}) + damaged + tail)
    read_attributes(data, EXPLICIT_LE)
    assert data.copied < 2 * len(data)


def test_a_far_delimiter_of_damaged_fragments_is_found() -> None:
    """Searched as pydicom does, over the borders of the windows of the search."""
    for padding in range(4090, 4104):
        damaged = _opening(1) + b"\xff" * padding + _END
        data = hostile.make({0x7FE00010: None}) + damaged
        data += hostile.element(0x00431010, "LO", b"after ")
        lines = list_elements(hostile.part10(data)).lines
        assert lines[-1].value == "after", padding
