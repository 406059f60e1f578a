"""The shape of a pixel."""

from __future__ import annotations

from pydicom import Dataset

from tuipacs.dicom.pixels.groups import places
from tuipacs.dicom.pixels.values import numbers
from tuipacs.errors import DecodeError

_SPACINGS = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
)


def pixel_aspect(dataset: Dataset, index: int, notes: list[str]) -> float:
    """Return the height of a pixel divided by its width; 1.0 if the object does not say.

    Each of the attributes holds the vertical value first: row spacing, column spacing (PS3.3
    10.7.1.3), or the aspect ratio (C.7.6.3.1.7).
    """
    for place in places(dataset, index, "PixelMeasuresSequence"):
        for keyword in _SPACINGS:
            try:
                pair = numbers(place, keyword)
            except DecodeError:
                pair = [0.0, 0.0]
            if not pair:
                continue
            if len(pair) != 2 or min(pair) <= 0 or not 0.01 <= pair[0] / pair[1] <= 100:
                notes.append(f"{keyword} makes no sense: square pixels are shown")
                return 1.0
            return pair[0] / pair[1]
    return 1.0
