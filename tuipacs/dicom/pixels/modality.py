"""The modality transformation: stored values to what the modality measured (PS3.3 C.11.1)."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from pydicom import Dataset

from tuipacs.dicom.pixels.groups import places
from tuipacs.dicom.pixels.lookup import LookupTable, read_table
from tuipacs.dicom.pixels.values import items, number, text
from tuipacs.errors import DecodeError


class Modality(Struct, frozen=True, kw_only=True):
    """Either ``table``, or output = slope * stored + intercept (C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0
    table: LookupTable | None = None

    @property
    def identity(self) -> bool:
        """Whether stored values are the modality values."""
        return self.table is None and self.slope == 1.0 and self.intercept == 0.0

    @property
    def whole(self) -> bool:
        """Whether whole numbers stay whole numbers."""
        return self.table is not None or (
            self.slope == int(self.slope) and self.intercept == int(self.intercept)
        )

    def apply(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return values in modality units."""
        if self.table is not None:
            return self.table.apply(stored)
        if self.identity:
            return stored
        return stored.astype(np.float64) * self.slope + self.intercept


def read_modality(
    dataset: Dataset, index: int, *, signed: bool, big_endian: bool, notes: list[str]
) -> Modality:
    """Return the modality transformation of the frame of 0-based ``index``."""
    if _is_for_measuring_only(dataset, index):
        notes.append(
            "the modality transformation of this X-ray image is for measuring, not for display"
        )
        return Modality()
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        if len(tables) > 1:
            raise DecodeError("the object has more than one modality lookup table")
        return Modality(table=read_table(tables[0], big_endian, negative_input=signed))
    for place in places(dataset, index, "PixelValueTransformationSequence"):
        slope = number(place, "RescaleSlope")
        intercept = number(place, "RescaleIntercept")
        if slope is None and intercept is None:
            continue
        if slope is None:
            notes.append("Rescale Slope is missing: taken as 1")
        if intercept is None:
            notes.append("Rescale Intercept is missing: taken as 0")
        if slope == 0:
            raise DecodeError("a rescale slope of 0 makes no sense")
        return Modality(slope=1.0 if slope is None else slope, intercept=intercept or 0.0)
    return Modality()


def _is_for_measuring_only(dataset: Dataset, index: int) -> bool:
    """XA and XRF with a LOG or DISP relationship: C.8.7.1.1.2 keeps the LUT out of the display."""
    return text(dataset, "Modality") in {"XA", "RF"} and text(
        dataset, "PixelIntensityRelationship"
    ) in {"LOG", "DISP"}
