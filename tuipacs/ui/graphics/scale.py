"""Scale a frame to the canvas of its placement."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuipacs.domain.frame import Frame
from tuipacs.errors import DecodeError
from tuipacs.ui.graphics.geometry import Placement

Pixels = NDArray[np.uint8]


class Enlarge(StrEnum):
    """How pixels are made when a frame is smaller than its place."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


def frame_pixels(frame: Frame) -> Pixels:
    """The samples of a frame as (rows, columns) grey or (rows, columns, 3) RGB, uint8, read-only.

    Raises DecodeError if the number of bytes is not what the frame claims: a picture that is not
    certainly right is not shown.
    """
    if frame.samples not in (1, 3) or frame.rows < 1 or frame.columns < 1:
        raise DecodeError("the frame has an impossible size or number of samples")
    if len(frame.pixels) != frame.rows * frame.columns * frame.samples:
        raise DecodeError("the frame's pixels do not fill its rows and columns")
    shape = (frame.rows, frame.columns) + ((3,) if frame.samples == 3 else ())
    return np.frombuffer(frame.pixels, np.uint8).reshape(shape)


def to_canvas(pixels: Pixels, placement: Placement, enlarge: Enlarge = Enlarge.BILINEAR) -> Pixels:
    """Resample to the placement and centre on black; unchanged pixels when the sizes agree.

    Shrinking is an antialiased Lanczos after a box reduction; each axis is enlarged as asked.
    """
    size = (placement.width, placement.height)
    canvas_shape = (placement.canvas_height, placement.canvas_width, *pixels.shape[2:])
    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = _resample(pixels, size, enlarge)
    if pixels.shape == canvas_shape:
        return pixels
    canvas = np.zeros(canvas_shape, np.uint8)
    top = (placement.canvas_height - placement.height) // 2
    left = (placement.canvas_width - placement.width) // 2
    canvas[top : top + placement.height, left : left + placement.width] = pixels
    return canvas


def _resample(pixels: Pixels, size: tuple[int, int], enlarge: Enlarge) -> Pixels:
    image = Image.fromarray(pixels)
    smaller = (min(size[0], image.width), min(size[1], image.height))
    if smaller != image.size:
        image = image.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if image.size != size:
        nearest = enlarge is Enlarge.NEAREST
        method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        image = image.resize(size, method)
    return np.asarray(image)
