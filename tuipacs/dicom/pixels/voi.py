"""The values-of-interest transformation: modality units to 8-bit grey (PS3.3 C.11.2)."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from pydicom import Dataset

from tuipacs.dicom.pixels.groups import places
from tuipacs.dicom.pixels.lookup import LookupTable, read_table
from tuipacs.dicom.pixels.values import items, numbers, text, value_of
from tuipacs.domain.frame import WindowRequest, WindowSource
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DecodeError, UsageError


class WindowFunction(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


class Window(Struct, frozen=True, kw_only=True):
    """``center`` and ``width`` are in modality units."""

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR

    @property
    def valid(self) -> bool:
        """C.11.2.1.2.1: LINEAR needs a width of at least 1, the others one above 0."""
        return self.width >= 1 if self.function is WindowFunction.LINEAR else self.width > 0

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return grey levels from 0 to 255, not rounded (C.11.2.1.2.1, .3.1, .3.2)."""
        x = values.astype(np.float64)
        if self.function is WindowFunction.SIGMOID:
            exponent = np.clip(-4.0 * (x - self.center) / self.width, -700.0, 700.0)
            return 255.0 / (1.0 + np.exp(exponent))
        if self.function is WindowFunction.LINEAR:
            low = self.center - 0.5 - (self.width - 1.0) / 2.0
            span = self.width - 1.0
        else:
            low = self.center - self.width / 2.0
            span = self.width
        if span <= 0.0:  # a width of 1 is a threshold: black up to c - 0.5, white above
            return np.where(x <= low, 0.0, 255.0)
        scaled: NDArray[np.float64] = np.clip((x - low) / span, 0.0, 1.0) * 255.0
        return scaled


class Voi(Struct, frozen=True, kw_only=True):
    """What to do with modality values, and how to say it: a window or a table."""

    source: WindowSource
    explanation: str
    window: Window | None = None
    table: LookupTable | None = None

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return grey levels from 0 to 255, not rounded."""
        if self.table is not None:
            entries = self.table.apply(values).astype(np.float64)
            return np.multiply(entries, 255.0 / ((1 << self.table.bits) - 1))
        if self.window is None:
            raise DecodeError("no window is known")
        return self.window.apply(values)


def chosen_voi(
    dataset: Dataset,
    index: int,
    request: WindowRequest | None,
    *,
    whole: bool,
    negative: bool,
    big_endian: bool,
    notes: list[str],
) -> Voi | None:
    """Return the transformation for the frame of 0-based ``index``, None if nothing tells one.

    A person's window wins, then the first window of the object, then its first VOI LUT. ``whole``:
    the values are whole numbers; ``negative``: they may be below zero.
    """
    if request is not None:
        return _requested(dataset, index, request, whole=whole)
    for place in places(dataset, index, "FrameVOILUTSequence"):
        voi = _window_of(place, notes)
        if voi is not None:
            return voi
    for place in places(dataset, index, "FrameVOILUTSequence"):
        voi = _table_of(place, big_endian, negative, notes)
        if voi is not None:
            return voi
    return None


def _function(place: Dataset, notes: list[str]) -> WindowFunction | None:
    name = text(place, "VOILUTFunction")
    if not name:
        return None
    try:
        return WindowFunction(name)
    except ValueError:
        notes.append("the VOI LUT function of the object is unknown: LINEAR is used")
        return None


def _requested(dataset: Dataset, index: int, request: WindowRequest, *, whole: bool) -> Voi:
    function = None
    for place in places(dataset, index, "FrameVOILUTSequence"):
        function = function or _function(place, [])
    if function is None:
        function = WindowFunction.LINEAR if whole else WindowFunction.LINEAR_EXACT
    window = Window(center=request.center, width=request.width, function=function)
    if not (np.isfinite(window.center) and np.isfinite(window.width) and window.valid):
        raise UsageError(f"a {function} window cannot have a width of {request.width:g}")
    return Voi(
        source=WindowSource.USER, window=window, explanation=f"set by the user, {_words(function)}"
    )


def _words(function: WindowFunction) -> str:
    return {
        WindowFunction.LINEAR: "linear",
        WindowFunction.LINEAR_EXACT: "linear exact",
        WindowFunction.SIGMOID: "sigmoid",
    }[function]


def _window_of(place: Dataset, notes: list[str]) -> Voi | None:
    try:
        centers = numbers(place, "WindowCenter")
        widths = numbers(place, "WindowWidth")
    except DecodeError as error:
        notes.append(f"the window of the object is not used: {error.message}")
        return None
    if not centers and not widths:
        return None
    if not centers or not widths:
        notes.append("the window of the object is not used: half of it is missing")
        return None
    function = _function(place, notes) or WindowFunction.LINEAR
    window = Window(center=centers[0], width=widths[0], function=function)
    if not window.valid:
        notes.append(f"the window of the object is not used: its width is {window.width:g}")
        return None
    which = "window" if len(centers) == 1 else f"window 1 of {len(centers)}"
    named = _explanation(place)
    return Voi(
        source=WindowSource.DATASET,
        window=window,
        explanation=f"{which} of the object{named}, {_words(function)}",
    )


def _explanation(place: Dataset) -> str:
    try:
        value = value_of(place, "WindowCenterWidthExplanation")
    except DecodeError:
        return ""
    if value is not None and not isinstance(value, (str, bytes)):
        value = value[0]
    named = clean(str(value or "").strip(), limit=40)
    return f' "{named}"' if named else ""


def _table_of(place: Dataset, big_endian: bool, negative: bool, notes: list[str]) -> Voi | None:
    """The first VOI LUT of the object, or of a frame (C.7.6.16.2.10b has them in groups too)."""
    try:
        tables = items(place, "VOILUTSequence")
        if not tables:
            return None
        table = read_table(tables[0], big_endian, negative_input=negative)
    except DecodeError as error:
        notes.append(f"the VOI lookup table of the object is not used: {error.message}")
        return None
    which = "VOI LUT" if len(tables) == 1 else f"VOI LUT 1 of {len(tables)}"
    return Voi(source=WindowSource.VOI_LUT, table=table, explanation=f"{which} of the object")


def window_from(minimum: float, maximum: float, *, whole: bool = True) -> Window:
    """Return the window that shows ``minimum`` as black and ``maximum`` as white."""
    if whole:
        return Window(center=(minimum + maximum + 1) / 2, width=maximum - minimum + 1)
    return Window(
        center=(minimum + maximum) / 2,
        width=(maximum - minimum) or 1.0,
        function=WindowFunction.LINEAR_EXACT,
    )
