"""The grey-scale pipeline: modality LUT, VOI LUT, presentation (PS3.4 N.2), to eight bits.

Where the samples are whole numbers, each different stored value is computed once in double
precision and the frame is a table lookup: as exact as computing each pixel, and much faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from pydicom import Dataset

from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.dicom.pixels.modality import Modality, read_modality
from tuipacs.dicom.pixels.values import number, text
from tuipacs.dicom.pixels.voi import Voi, chosen_voi, window_from
from tuipacs.domain.frame import WindowRequest, WindowSource
from tuipacs.errors import DecodeError

Array = NDArray[Any]
_ROWS_AT_ONCE = 256


class Grey(Struct, frozen=True, kw_only=True):
    """``pixels`` is uint8 (rows, columns); minimum and maximum are in modality units."""

    pixels: Array
    voi: Voi
    minimum: float
    maximum: float


def render_grey(
    stored: Array,
    dataset: Dataset,
    header: PixelHeader,
    index: int,
    request: WindowRequest | None,
    *,
    big_endian: bool,
    notes: list[str],
) -> Grey:
    """Return the eight-bit picture of stored values of shape (rows, columns)."""
    modality = read_modality(
        dataset, index, signed=header.signed, big_endian=big_endian, notes=notes
    )
    minimum, maximum, padded = _range(stored, dataset, modality, notes)
    whole = stored.dtype.kind != "f" and modality.whole
    voi = chosen_voi(
        dataset,
        index,
        request,
        whole=whole,
        negative=_can_be_negative(modality, header),
        big_endian=big_endian,
        notes=notes,
    )
    if voi is None and header.bits_allocated == 1:
        voi = _binary()
    if voi is None:
        voi = _fractions(dataset)
    if voi is None and _is_ready_for_display(dataset, header, modality):
        voi = _full_range_of(header.bits_stored)
    if voi is None:
        voi = _automatic(minimum, maximum, padded, whole=whole)
        if minimum == maximum:
            notes.append(f"every pixel of this frame has the value {minimum:g}")
    invert = _inverted(dataset, header, notes)
    pixels = _map(stored, modality, voi, invert)
    return Grey(pixels=pixels, voi=voi, minimum=minimum, maximum=maximum)


def _binary() -> Voi:
    words = "one bit: 0 or 1"
    return Voi(source=WindowSource.NONE, window=window_from(0, 1), explanation=words)


def _fractions(dataset: Dataset) -> Voi | None:
    """A fractional segment from nothing to its Maximum Fractional Value (C.8.20.2), in all frames.

    Frame by frame, a segment that fills its frame would come out as black as one that is absent.
    """
    if text(dataset, "SegmentationType") != "FRACTIONAL":
        return None
    most = number(dataset, "MaximumFractionalValue")
    if most is None or most < 1:
        return None
    words = f"fractions of a segment: 0 to {most:g}"
    return Voi(source=WindowSource.NONE, window=window_from(0, most), explanation=words)


def _is_ready_for_display(dataset: Dataset, header: PixelHeader, modality: Modality) -> bool:
    """Whether stored values are grey levels as they are: unsigned, 8 bits, nothing to apply.

    Then the output of the modality LUT goes to the presentation unchanged (C.11.2.1.2), and frames
    of a cine keep one brightness. The values of a segmentation are labels, not levels, and a
    padding value tells that not all of them are for display.
    """
    return (
        not header.signed
        and header.bits_stored <= 8
        and modality.identity
        and text(dataset, "Modality") != "SEG"
        and "PixelPaddingValue" not in dataset
    )


def _full_range_of(bits: int) -> Voi:
    words = f"no window in the object: the full range of {bits} bits"
    return Voi(source=WindowSource.NONE, window=window_from(0, (1 << bits) - 1), explanation=words)


def _automatic(minimum: float, maximum: float, padded: bool, *, whole: bool) -> Voi:
    words = "no window in the object: minimum to maximum of this frame"
    if padded:
        words += " without its padding"
    window = window_from(minimum, maximum, whole=whole)
    return Voi(source=WindowSource.MINIMUM_MAXIMUM, window=window, explanation=words)


def _can_be_negative(modality: Modality, header: PixelHeader) -> bool:
    """Whether the input of the VOI LUT has a sign (C.11.2.1.1)."""
    if modality.table is not None:
        return False
    low, high = (-(1 << header.bits_stored - 1), (1 << header.bits_stored - 1) - 1)
    if not header.signed:
        low, high = 0, (1 << header.bits_stored) - 1
    return min(low * modality.slope, high * modality.slope) + modality.intercept < 0


def _inverted(dataset: Dataset, header: PixelHeader, notes: list[str]) -> bool:
    """Whether the lowest value is white: MONOCHROME1 (C.7.6.3.1.2) or the shape INVERSE, not twice.

    A shape that contradicts the photometric interpretation (PS3.3 allows neither) wins, as in
    DCMTK: it describes the output of the pipeline.
    """
    shape = text(dataset, "PresentationLUTShape")
    inverted = header.photometric == "MONOCHROME1"
    if shape in {"IDENTITY", "INVERSE"} and (shape == "INVERSE") != inverted:
        notes.append(
            f"{header.photometric} and the presentation shape {shape} contradict each other:"
            " shown by the shape"
        )
        return shape == "INVERSE"
    return inverted


def _padding(stored: Array, dataset: Dataset) -> tuple[float, float] | None:
    """Return the inclusive range of stored values that are padding (C.7.5.1.1.2)."""
    prefix = "" if stored.dtype.kind != "f" else "Float" * (stored.dtype.itemsize == 4)
    if stored.dtype.kind == "f" and not prefix:
        prefix = "DoubleFloat"
    try:
        value = number(dataset, f"{prefix}PixelPaddingValue")
        limit = number(dataset, f"{prefix}PixelPaddingRangeLimit")
    except DecodeError:
        return None
    if value is None:
        return None
    limit = value if limit is None else limit
    low, high = min(value, limit), max(value, limit)
    if stored.dtype.kind == "u" and low < 0:  # written as SS although the pixels are unsigned
        low, high = low + 65536, high + 65536 * (high < 0)
    elif stored.dtype.kind == "i" and high > 32767 and stored.dtype.itemsize == 2:
        low, high = low - 65536 * (low > 32767), high - 65536
    return min(low, high), max(low, high)


def _range(
    stored: Array, dataset: Dataset, modality: Modality, notes: list[str]
) -> tuple[float, float, bool]:
    """Return (minimum, maximum, whether padding was left out), in modality units.

    Padding is described "in order to prevent display applications from taking it into account when
    determining the dynamic range of an image" (C.7.5.1.1.2 note 2).
    """
    low, high = stored.min(), stored.max()
    padding = _padding(stored, dataset)
    counted = stored
    if stored.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        counted = stored[np.isfinite(stored)]
        if not counted.size:
            raise DecodeError("no pixel of this frame is a number")
        notes.append(f"{stored.size - counted.size} pixels are not finite numbers")
        low, high = counted.min(), counted.max()
    has_padding = padding is not None and padding[1] >= low and padding[0] <= high
    if not has_padding and modality.table is None:
        return *_ends(modality.apply(np.array([low, high]))), False
    present = _present(counted)
    padded = False
    if padding is not None:
        kept = present[(present < padding[0]) | (present > padding[1])]
        padded = 1 < kept.size < present.size  # a label on nothing else must not turn black
        present = kept if padded else present
    return *_ends(modality.apply(present)), padded


def _present(stored: Array) -> Array:
    """Return the different values that occur."""
    if stored.dtype.kind == "f" or stored.dtype.itemsize > 2:
        return np.unique(stored)
    bits = stored.dtype.itemsize * 8
    seen = np.zeros(1 << bits, np.bool_)
    seen[stored.view(f"u{stored.dtype.itemsize}")] = True
    return np.flatnonzero(seen).astype(f"u{stored.dtype.itemsize}").view(stored.dtype)


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _map(stored: Array, modality: Modality, voi: Voi, invert: bool) -> NDArray[np.uint8]:
    """Send each stored value through the pipeline."""
    if stored.dtype.kind == "f":
        return _map_each(stored, modality, voi, invert)
    low, high = int(stored.min()), int(stored.max())
    width = stored.dtype.itemsize
    if width > 2:
        if high - low >= max(65536, stored.size):
            return _map_each(stored, modality, voi, invert)
        table = _grey(np.arange(low, high + 1), modality, voi, invert)
        offsets: Array = stored - stored.dtype.type(low)
        return np.take(table, offsets)
    domain = np.arange(low, high + 1)
    table = np.zeros(1 << 8 * width, np.uint8)
    table[domain & ((1 << 8 * width) - 1)] = _grey(domain, modality, voi, invert)
    return np.take(table, stored.view(f"u{width}"))


def _map_each(stored: Array, modality: Modality, voi: Voi, invert: bool) -> NDArray[np.uint8]:
    out = np.empty(stored.shape, np.uint8)
    for first in range(0, len(stored), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        out[part] = _grey(stored[part], modality, voi, invert)
    return out


def _grey(stored: Array, modality: Modality, voi: Voi, invert: bool) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # floating point pixels may be anything
        levels = np.nan_to_num(voi.apply(modality.apply(stored)), nan=0.0)
    grey = np.floor(levels + 0.5).astype(np.uint8)
    return np.subtract(255, grey, dtype=np.uint8) if invert else grey
