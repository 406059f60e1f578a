"""Elements into another of the native encodings (PS3.5 A): all lengths first, then one pass."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

import numpy as np

from tuipacs.dicom.encoding import LONG_VRS, UNDEFINED
from tuipacs.dicom.transcoding.dictionary import (
    BYTES,
    PIXEL_DATA,
    TEXT,
    UNITS,
    Context,
    is_said_by_dictionary,
    vr_of,
)
from tuipacs.dicom.transcoding.reading import ITEM, ITEM_END, SEQUENCE_END, Data, Element, Item
from tuipacs.errors import DecodeError

CHUNK = 1 << 20
_LONG = frozenset(vr.decode("ascii") for vr in LONG_VRS)
_LONGEST_SHORT = 0xFFFE
_MOST = UNDEFINED - 1
_BITS_ALLOCATED, _PIXEL_REPRESENTATION, _WAVEFORM_BITS = 0x00280100, 0x00280103, 0x54001004

Write = Callable[[bytes | memoryview], object]
Tick = Callable[[], None]


class Pixels(Protocol):
    """Pixel data that is made while it is written."""

    length: int  # bytes, even
    vr: str

    def write(self, write: Write, tick: Tick) -> None:
        """All of it, in the byte order of the target."""
        ...


class Encoder:
    """Writes the elements of one dataset. Raises `DecodeError` before anything was written.

    ``pixels`` replaces compressed pixel data, by the place of its value. Group lengths are left
    out, which are retired and would be wrong (PS3.5 7.2). A value of odd length gets its padding.
    """

    def __init__(
        self,
        data: Data,
        elements: list[Element],
        *,
        from_big_endian: bool,
        implicit: bool,
        big_endian: bool,
        pixels: dict[int, Pixels] | None = None,
        keep_fragments: bool = False,
    ) -> None:
        self._data = data
        self._elements = elements
        self._implicit = implicit
        self._swap = from_big_endian != big_endian
        self._pixels = pixels or {}
        self._keep_fragments = keep_fragments
        order = ">" if big_endian else "<"
        self._tag = struct.Struct(order + "HH")
        self._short = struct.Struct(order + "HH2sH")
        self._explicit = struct.Struct(order + "HH2sHL")
        self._plain = struct.Struct(order + "HHL")
        self._order = "big" if from_big_endian else "little"
        self._lengths: dict[int, int] = {}  # of sequences and items, by id
        self._settle(elements, Context())
        self.size = self._measure(elements)

    # -- what each element becomes

    def _settle(self, elements: list[Element], above: Context) -> None:
        """Give each element the VR that it is written with, and leave out what has to go."""
        context = self._context(elements, above)
        if any(not element.tag >> 16 for element in elements):
            raise DecodeError("elements of a command are among its own")
        elements[:] = [element for element in elements if element.tag & 0xFFFF]
        for element in elements:
            if element.start in self._pixels and element.fragments:
                element.vr = self._pixels[element.start].vr
                continue
            if element.fragments and not self._keep_fragments:
                raise DecodeError("it has compressed pixel data in a place of its own")
            if not element.vr:
                element.vr = "SQ" if element.items is not None else vr_of(element.tag, context)
            elif (
                self._implicit
                and element.length
                and not is_said_by_dictionary(element.tag, element.vr)
            ):
                raise DecodeError(
                    "an element has another value representation than the standard's, which"
                    " Implicit VR cannot say"
                )
            self._check_value(element, context)
            if element.vr not in _LONG and self._padded(element) > _LONGEST_SHORT:
                element.vr = "UN"  # PS3.5 6.2.2
            for item in element.items or ():
                self._settle(item.elements, context)

    def _context(self, elements: list[Element], above: Context) -> Context:
        context = Context(above)
        for element in elements:
            if element.length != 2:
                continue
            if element.tag == _PIXEL_REPRESENTATION:
                context.signed = self._number(element) == 1
            elif element.tag == _BITS_ALLOCATED:
                context.bits_allocated = self._number(element)
            elif element.tag == _WAVEFORM_BITS:
                context.waveform_bits = self._number(element)
        return context

    def _number(self, element: Element) -> int:
        value = element.literal or self._data.read(element.start, 2)
        return int.from_bytes(value, self._order)  # type: ignore[arg-type]

    def _check_value(self, element: Element, context: Context) -> None:
        if element.literal is not None or element.items is not None:
            return
        odd = element.length % 2
        if odd and (element.verbatim or element.fragments):
            raise DecodeError("a value of odd length is inside one that is copied as a whole")
        unit = UNITS.get(element.vr, 1)
        if element.length % unit and (self._swap or (odd and element.vr not in BYTES)):
            raise DecodeError(f"a value is not made of whole numbers of {unit} bytes")
        if not self._swap:
            return
        if element.tag == PIXEL_DATA and (
            context.bits_allocated > 16 or (context.bits_allocated > 8 and element.vr != "OW")
        ):
            raise DecodeError("the byte order of its pixel data can be read in two ways")
        if self._padded(element) > _LONGEST_SHORT and element.vr not in _LONG:
            raise DecodeError("a long value would lose its byte order")

    def _padded(self, element: Element) -> int:
        if element.literal is not None:
            return len(element.literal)
        if element.start in self._pixels and element.fragments:
            return self._pixels[element.start].length
        return element.length + (element.length & 1)

    # -- how long they become

    def _measure(self, elements: list[Element]) -> int:
        return sum(self._measure_element(element) for element in elements)

    def _measure_element(self, element: Element) -> int:
        head = 12 if not self._implicit and element.vr in _LONG else 8
        if element.items is None:
            length = self._padded(element)
        else:
            length = sum(self._measure_item(item) for item in element.items)
            self._lengths[id(element)] = length
            length += 8 if element.undefined else 0
        if length > _MOST:
            raise DecodeError("an element would become longer than 4 GiB")
        return head + length

    def _measure_item(self, item: Item) -> int:
        length = self._measure(item.elements)
        self._lengths[id(item)] = length
        return 8 + length + (8 if item.undefined else 0)

    # -- writing

    def write(self, write: Write, tick: Tick) -> None:
        """All of it, `size` bytes. ``tick`` is called now and then."""
        self._write_elements(self._elements, write, tick)

    def _write_elements(self, elements: list[Element], write: Write, tick: Tick) -> None:
        for element in elements:
            if element.items is not None:
                self._write_sequence(element, write, tick)
            elif element.start in self._pixels and element.fragments:
                pixels = self._pixels[element.start]
                write(self._head(element, pixels.length))
                pixels.write(write, tick)
            elif element.literal is not None:
                write(self._head(element, len(element.literal)) + element.literal)
            else:
                length = UNDEFINED if element.undefined else self._padded(element)
                write(self._head(element, length))
                self._write_value(element, write, tick)

    def _write_sequence(self, element: Element, write: Write, tick: Tick) -> None:
        length = UNDEFINED if element.undefined else self._lengths[id(element)]
        write(self._head(element, length))
        for item in element.items or ():
            length = UNDEFINED if item.undefined else self._lengths[id(item)]
            write(self._delimiter(ITEM, length))
            self._write_elements(item.elements, write, tick)
            if item.undefined:
                write(self._delimiter(ITEM_END))
        if element.undefined:
            write(self._delimiter(SEQUENCE_END))
        tick()

    def _delimiter(self, tag: int, length: int = 0) -> bytes:
        return self._plain.pack(tag >> 16, tag & 0xFFFF, length)

    def _head(self, element: Element, length: int) -> bytes:
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if self._implicit:
            return self._plain.pack(group, number, length)
        vr = element.vr.encode("ascii")
        if element.vr in _LONG:
            return self._explicit.pack(group, number, vr, 0, length)
        return self._short.pack(group, number, vr, length)

    def _write_value(self, element: Element, write: Write, tick: Tick) -> None:
        unit = UNITS.get(element.vr, 1) if self._swap else 1
        end = element.start + element.length
        for position in range(element.start, end, CHUNK):
            chunk = self._data.read(position, min(CHUNK, end - position))
            write(np.frombuffer(chunk, f"u{unit}").byteswap().tobytes() if unit > 1 else chunk)
            tick()
        if element.length % 2:
            write(b" " if element.vr in TEXT and element.vr != "UI" else b"\0")
