"""PALETTE COLOR (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6) and segmented palettes (C.7.9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tuipacs.dicom.pixels.values import numbers, value_of, words
from tuipacs.errors import DecodeError

Array = NDArray[Any]
_COLOURS = ("Red", "Green", "Blue")


def apply_palette(
    stored: Array, dataset: Dataset, *, big_endian: bool, notes: list[str]
) -> NDArray[np.uint8]:
    """Return uint8 RGB (rows, columns, 3) of stored palette indices of shape (rows, columns)."""
    tables = [_table(dataset, colour, big_endian, stored.dtype.kind == "i") for colour in _COLOURS]
    if len({(first, bits, len(entries)) for first, bits, entries in tables}) != 1:
        raise DecodeError("the three palettes of this object differ in form")
    first, bits, _ = tables[0]
    highest = max(int(entries.max()) for _, _, entries in tables)
    if bits == 8 and highest > 255:
        raise DecodeError("a palette of 8 bits holds larger values")
    if bits == 16 and 0 < highest < 256:
        notes.append("the palette says 16 bits but uses only 8: it is shown as dark as it says")
    count = len(tables[0][2])
    index = np.clip(stored.astype(np.int64) - first, 0, count - 1)
    out = np.empty((*stored.shape, 3), np.uint8)
    for channel, (_, _, entries) in enumerate(tables):
        eight = entries >> 8 if bits == 16 else entries
        out[..., channel] = np.take(eight.astype(np.uint8), index)
    return out


def _table(
    dataset: Dataset, colour: str, big_endian: bool, signed: bool
) -> tuple[int, int, NDArray[np.uint16]]:
    """Return (first value mapped, bits, entries) of one colour."""
    descriptor = numbers(dataset, f"{colour}PaletteColorLookupTableDescriptor")
    if len(descriptor) != 3:
        raise DecodeError("a palette has no usable descriptor")
    count = int(descriptor[0]) & 0xFFFF or 65536
    first = int(descriptor[1])
    first = first - 65536 if signed and first > 32767 else first
    first = first + 65536 if not signed and first < 0 else first
    bits = int(descriptor[2])
    if bits not in (8, 16):
        raise DecodeError(f"a palette with {bits} bits an entry is not possible")
    plain = f"{colour}PaletteColorLookupTableData"
    segmented = f"Segmented{plain}"
    if value_of(dataset, plain) is None and value_of(dataset, segmented) is not None:
        array, raw = words(dataset, segmented, big_endian)
        source = list(raw) if bits == 8 else array.tolist()
        return first, bits, _expand(source, bits, count)
    array, raw = words(dataset, plain, big_endian)
    if bits == 8 and len(array) < count <= len(raw):
        array = np.frombuffer(raw, np.uint8)  # two entries in a word
    if len(array) < count:
        raise DecodeError(f"a palette has {len(array)} entries instead of {count}")
    return first, bits, array[:count].astype(np.uint16)


def _expand(values: list[int], bits: int, count: int) -> NDArray[np.uint16]:
    """Expand a segmented palette to exactly ``count`` entries (C.7.9.2.1, .2, .3)."""
    out: list[int] = []
    position = 0
    while len(out) < count:
        opcode, length, body = _segment(values, bits, position)
        position += 2 + len(body)
        if opcode != 2:
            _draw(opcode, length, body, out, count)
            continue
        at = _target(body, bits)
        for _ in range(length):
            inner, size, inside = _segment(values, bits, at)
            if inner == 2:
                raise DecodeError("an indirect palette segment points to another one")
            _draw(inner, size, inside, out, count)
            at += 2 + len(inside)
    return np.array(out, np.uint16)


def _segment(values: list[int], bits: int, position: int) -> tuple[int, int, list[int]]:
    """Return (opcode, length, what follows them) of the segment at ``position``."""
    if not 0 <= position <= len(values) - 2:
        raise DecodeError("a segmented palette ends early")
    opcode, length = values[position : position + 2]
    needs = {0: length, 1: 1, 2: 32 // bits}.get(opcode)
    if needs is None or length == 0:
        raise DecodeError("a segmented palette has a segment nobody knows")
    body = values[position + 2 : position + 2 + needs]
    if len(body) != needs:
        raise DecodeError("a segmented palette ends early")
    return opcode, length, body


def _target(body: list[int], bits: int) -> int:
    """Return the position an indirect segment points to; it is stored as a 32-bit byte offset."""
    if bits == 8:
        return int.from_bytes(bytes(body), "little")
    offset = body[0] | body[1] << 16
    if offset % 2:
        raise DecodeError("an indirect palette segment points into the middle of an entry")
    return offset // 2


def _draw(opcode: int, length: int, body: list[int], out: list[int], count: int) -> None:
    """Append a discrete or a linear segment."""
    if len(out) + length > count:
        raise DecodeError("a segmented palette has more entries than its descriptor says")
    if opcode == 0:
        out.extend(body)
        return
    if not out:
        raise DecodeError("a segmented palette begins with a linear segment")
    begin, end = out[-1], body[0]
    out.extend(round(begin + (end - begin) * step / length) for step in range(1, length + 1))
