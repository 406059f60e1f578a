"""The bounded walk over the top level of a dataset: finds values without decoding the rest.

Plain loops over bytes, because this runs for each object received: decoding with pydicom costs more
than storing. Nothing here recurses, and nothing trusts a length. What pydicom reads, this reads the
same way: the first element tells implicit from explicit VR, an element that is there twice counts
with its last value, an unknown VR has a 16-bit length, UN of undefined length is a sequence.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from tuipacs.dicom.encoding import LONG_VRS, PIXEL_TAGS, SHORT_VRS, UNDEFINED, Buffer
from tuipacs.dicom.skip import (
    Budget,
    BudgetSpentError,
    Layout,
    TruncatedError,
    skip_fragments,
    skip_sequence,
)
from tuipacs.errors import InvalidObjectError

MAX_ELEMENTS = 50_000
MAX_VALUE_LENGTH = 1 << 20

PIXELS_CUT_SHORT = "the pixel data is cut short"


class Walked(NamedTuple):
    """What one walk found.

    ``values``: the tag's four bytes as stored -> (VR letters, or empty if implicit; the value).
    ``pixel_length``: bytes of native pixel data as declared; -1 if encapsulated, or there is none.
    ``is_cut_short``: the walk did not reach the end of the dataset.
    """

    values: dict[bytes, tuple[bytes, bytes]]
    has_pixels: bool
    pixel_length: int
    remarks: list[str]
    is_cut_short: bool


def walk(
    data: Buffer, start: int, *, implicit: bool, big_endian: bool, wanted: frozenset[bytes]
) -> Walked:
    """Collect the ``wanted`` elements (tags as stored) from ``start`` to the end of the data.

    An item delimiter ends the walk too, so the inside of an item can be walked. Raises
    :class:`InvalidObjectError` if the data ends inside a wanted element, or sequences are nested
    deeper than 32; all other damage ends the walk with a remark.
    """
    return _Walker(data, implicit, big_endian, wanted).run(start)


class _Walker:
    def __init__(
        self, data: Buffer, implicit: bool, big_endian: bool, wanted: frozenset[bytes]
    ) -> None:
        self.data = data
        self.end = len(data)
        self.implicit = implicit
        self.layout = _LAYOUTS[big_endian]
        self.pixel_keys = _PIXEL_KEYS[big_endian]
        self.wanted = wanted
        self.values: dict[bytes, tuple[bytes, bytes]] = {}
        self.has_pixels = False
        self.pixel_length = -1
        self.remarks: list[str] = []
        self.is_cut_short = False
        self.budget = Budget(MAX_ELEMENTS)

    def run(self, start: int) -> Walked:
        loop: Callable[[int], int] = self._implicit_loop if self.implicit else self._explicit_loop
        try:
            position = loop(start)
            if position < self.end:
                self.remarks.append("stray bytes follow the last element")
        except TruncatedError as error:
            self.is_cut_short = True
            self._end_inside(error.key)
        except BudgetSpentError:
            self.is_cut_short = True
            self.remarks.append(
                f"there are more than {MAX_ELEMENTS:,} elements; the rest was not looked at"
            )
        return Walked(
            self.values, self.has_pixels, self.pixel_length, self.remarks, self.is_cut_short
        )

    def _explicit_loop(self, position: int) -> int:
        data, end, wanted, values = self.data, self.end, self.wanted, self.values
        unpack: Callable[..., tuple[Any, ...]] = self.layout.explicit.unpack_from
        last = end - 8
        for _ in range(MAX_ELEMENTS):
            if position > last:
                return position
            key, vr, length = unpack(data, position)
            start = position + 8
            if vr not in SHORT_VRS:
                start, length = self._long_form(position, key, vr, length)
                if length < 0:
                    if start < 0:
                        return end  # an item delimiter: the end of this dataset
                    position = start
                    continue
            position = start + length
            if position > end:
                raise TruncatedError(key)
            if key in wanted:
                if key in values or length > MAX_VALUE_LENGTH:
                    self._keep(key, vr, start, position)
                else:
                    values[key] = (vr, bytes(data[start:position]))
        raise BudgetSpentError

    def _implicit_loop(self, position: int) -> int:
        data, end, wanted, values = self.data, self.end, self.wanted, self.values
        unpack: Callable[..., tuple[Any, ...]] = self.layout.implicit.unpack_from
        special = self.pixel_keys | {self.layout.item_end}
        last = end - 8
        for _ in range(MAX_ELEMENTS):
            if position > last:
                return position
            key, length = unpack(data, position)
            start = position + 8
            if length == UNDEFINED or key in special:
                position = self._special(key, b"", start, length)
                if position < 0:
                    return end
                continue
            position = start + length
            if position > end:
                raise TruncatedError(key)
            if key in wanted:
                if key in values or length > MAX_VALUE_LENGTH:
                    self._keep(key, b"", start, position)
                else:
                    values[key] = (b"", bytes(data[start:position]))
        raise BudgetSpentError

    def _long_form(self, position: int, key: bytes, vr: bytes, length: int) -> tuple[int, int]:
        """(start of the value, its length) of an element whose VR is not of the short form.

        A negative length means that the element is done: the start is then where to go on, or -1
        at the end of the dataset.
        """
        start = position + 8
        if vr in LONG_VRS:
            if start + 4 > self.end:
                raise TruncatedError(key)
            (length,) = self.layout.length.unpack_from(self.data, start)
            start += 4
        elif b"AA" <= vr <= b"ZZ":
            return start, length
        else:  # some writers switch to implicit VR
            (length,) = self.layout.length.unpack_from(self.data, position + 4)
            vr = b""
        if length == UNDEFINED or key in self.pixel_keys or key == self.layout.item_end:
            return self._special(key, vr, start, length), -1
        return start, length

    def _special(self, key: bytes, vr: bytes, start: int, length: int) -> int:
        """Undefined length, pixel data, or an item delimiter; return where to go on, or -1."""
        layout = self.layout
        if key == layout.item_end:
            return -1
        if key in self.pixel_keys:
            self.has_pixels = True
        if length != UNDEFINED:
            self.pixel_length = length
            if start + length > self.end:
                raise TruncatedError(key)
            return start + length
        if self._holds_fragments(key, vr, start):
            return skip_fragments(self.data, start, self.end, layout, key, self.budget)
        stop = skip_sequence(self.data, start, self.end, layout, not vr, key, self.budget)
        if key in self.wanted:
            self._keep(key, vr, start, stop)
        return stop

    def _holds_fragments(self, key: bytes, vr: bytes, start: int) -> bool:
        if vr:
            return vr not in (b"SQ", b"UN")
        return key in self.pixel_keys

    def _keep(self, key: bytes, vr: bytes, start: int, stop: int) -> None:
        if key in self.values:
            self.remarks.append(f"{self._name(key)} is there twice; the last one counts")
        if stop - start > MAX_VALUE_LENGTH:
            self.remarks.append(f"{self._name(key)} is longer than 1 MiB and was cut for the index")
            stop = start + MAX_VALUE_LENGTH
        self.values[key] = (vr, bytes(self.data[start:stop]))

    def _end_inside(self, key: bytes) -> None:
        if key in self.pixel_keys:
            self.remarks.append(PIXELS_CUT_SHORT)
        elif key in self.wanted:
            raise InvalidObjectError(f"the dataset ends inside {self._name(key)}")
        else:
            self.remarks.append(f"the dataset ends inside {self._name(key)}")

    def _name(self, key: bytes) -> str:
        group, element = struct.unpack(">HH" if self.layout.big_endian else "<HH", key)
        return f"element ({group:04X},{element:04X})"


_LAYOUTS = {False: Layout.of(big_endian=False), True: Layout.of(big_endian=True)}
_PIXEL_KEYS = {
    False: frozenset(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in PIXEL_TAGS),
    True: frozenset(struct.pack(">HH", tag >> 16, tag & 0xFFFF) for tag in PIXEL_TAGS),
}
