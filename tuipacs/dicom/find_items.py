"""Sequences within identifiers and stored headers: their items as bytes, read within bounds."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from tuipacs.dicom.encoding import Buffer
from tuipacs.dicom.tree import ITEM, TreeEndedError, tree
from tuipacs.errors import InvalidObjectError

MAX_NODES = 5000


class Element(NamedTuple):
    """One element of an item: its VR (by the dictionaries where none is stored), and its value.

    ``items`` of a sequence, which has no ``raw``.
    """

    vr: str
    raw: bytes
    items: tuple[Mapping[int, Element], ...] = ()


def read_items(
    tag: int, raw: bytes, *, implicit: bool, big_endian: bool
) -> tuple[Mapping[int, Element], ...]:
    """The items of a sequence with this value.

    Raises `InvalidObjectError` for what cannot be followed to its end, nests deeper than 32, or has
    more than 5,000 elements.
    """
    order = ">" if big_endian else "<"
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    head += (b"" if implicit else b"SQ\0\0") + struct.pack(f"{order}L", len(raw))
    data = head + raw
    try:
        return _gather(data, implicit=implicit, big_endian=big_endian)
    except TreeEndedError as error:
        raise InvalidObjectError(f"a sequence: {error}") from None


def _gather(data: Buffer, *, implicit: bool, big_endian: bool) -> tuple[Mapping[int, Element], ...]:
    """The nodes come in order, parents first: the open ones are a stack."""
    top: list[dict[int, Element]] = []
    sequences = [top]  # by half of the depth
    items: list[dict[int, Element]] = []
    opened: list[tuple[dict[int, Element], int, list[dict[int, Element]]]] = []
    nodes = tree(data, 0, len(data), implicit=implicit, big_endian=big_endian)
    for count, node in enumerate(nodes):
        if count > MAX_NODES:
            raise InvalidObjectError("a sequence has too many elements")
        if node.depth == 0:
            continue  # the sequence itself
        if node.tag == ITEM:
            of = (node.depth - 1) // 2
            del items[of:]
            del sequences[of + 1 :]
            item: dict[int, Element] = {}
            sequences[of].append(item)
            items.append(item)
            continue
        inside = (node.depth - 2) // 2
        if node.stop < 0:
            held: list[dict[int, Element]] = []
            del sequences[inside + 1 :]
            sequences.append(held)
            opened.append((items[inside], node.tag, held))
            items[inside][node.tag] = Element("SQ", b"")
        else:
            items[inside][node.tag] = Element(node.vr, bytes(data[node.start : node.stop]))
    for item, tag, held in opened:
        item[tag] = Element("SQ", b"", tuple(held))
    return tuple(top)
