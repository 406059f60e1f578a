"""Lookup tables as the grey-scale pipeline stores them (PS3.3 C.11.1, C.11.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from pydicom import Dataset

from tuipacs.dicom.pixels.values import numbers, words
from tuipacs.errors import DecodeError


class LookupTable(Struct, frozen=True, kw_only=True):
    """``entries`` are unsigned numbers of ``bits`` bits; the first belongs to input ``first``."""

    first: int
    bits: int
    entries: NDArray[Any]

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint16]:
        """Return the entries for the values; outside the table its ends hold (C.11.1.1)."""
        index = np.rint(values) if values.dtype.kind == "f" else values.astype(np.int64)
        index = np.clip(index - self.first, 0, len(self.entries) - 1)
        found: NDArray[np.uint16] = self.entries[index.astype(np.intp)]
        return found


def read_table(item: Dataset, big_endian: bool, *, negative_input: bool) -> LookupTable:
    """Read an item of a Modality or VOI LUT Sequence; DecodeError if it contradicts itself.

    ``negative_input``: whether values below zero can come in; then the first input value is
    signed, whatever the value representation claims: it has 16 bits for both.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        raise DecodeError("a lookup table has no usable descriptor")
    count = int(descriptor[0]) & 0xFFFF or 65536
    first = int(descriptor[1])
    if negative_input and first >= 32768:
        first -= 65536
    elif not negative_input and first < 0:
        first += 65536
    bits = int(descriptor[2])
    if not 8 <= bits <= 16:
        raise DecodeError(f"a lookup table with {bits} bits an entry is not possible")
    array, raw = words(item, "LUTData", big_endian)
    if bits == 8 and len(array) < count <= len(raw):
        entries = np.frombuffer(raw, np.uint8)[:count].astype(np.uint16)
    elif len(array) < count:
        raise DecodeError(f"a lookup table has {len(array)} entries instead of {count}")
    else:
        entries = array[:count].astype(np.uint16)
    return LookupTable(
        first=first, bits=max(bits, int(entries.max()).bit_length()), entries=entries
    )
