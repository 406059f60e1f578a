"""Pictures as upper half blocks: the foreground is the upper pixel, the background the lower."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style

from tuipacs.ui.graphics.scale import Pixels
from tuipacs.ui.graphics.segments import ImageSegment

UPPER_HALF = "▀"
_CUBE = np.array([0, 95, 135, 175, 215, 255], np.int16)  # xterm's 6 x 6 x 6 colours, from 16
_GREYS = np.arange(8, 239, 10, dtype=np.int16)  # and its 24 greys, from 232


def half_block_rows(pixels: Pixels, *, indexed: bool = False) -> list[list[ImageSegment]]:
    """One list of segments for each row of cells.

    ``pixels`` is uint8 grey (2 * rows, columns) or RGB (2 * rows, columns, 3). ``indexed`` takes
    the nearest of the 240 fixed colours of a 256-colour terminal.
    """
    colours = _indexed(pixels) if indexed else _packed(pixels)
    rows = []
    for upper, lower in zip(colours[0::2], colours[1::2], strict=True):
        ends = np.flatnonzero((np.diff(upper) != 0) | (np.diff(lower) != 0)) + 1
        starts = [0, *ends.tolist()]
        lengths = np.diff(starts, append=len(upper)).tolist()
        rows.append(
            [
                ImageSegment(UPPER_HALF * length, _style(int(upper[at]), int(lower[at]), indexed))
                for at, length in zip(starts, lengths, strict=True)
            ]
        )
    return rows


def _packed(pixels: Pixels) -> NDArray[np.int32]:
    wide = pixels.astype(np.int32)
    if wide.ndim == 2:
        return wide * 0x010101
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _indexed(pixels: Pixels) -> NDArray[np.int32]:
    """Number of the nearest fixed colour; a grey wins over a cube colour when it is nearer."""
    rgb = (pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)).astype(np.int16)
    steps = np.abs(rgb[..., None] - _CUBE).argmin(-1)
    mean = rgb.mean(-1)
    grey = np.clip(np.round((mean - 8) / 10), 0, len(_GREYS) - 1).astype(np.intp)
    cube_error = np.abs(_CUBE[steps] - rgb).sum(-1)
    grey_error = np.abs(_GREYS[grey][..., None] - rgb).sum(-1)
    cube = 16 + 36 * steps[..., 0] + 6 * steps[..., 1] + steps[..., 2]
    nearest: NDArray[np.int32] = np.where(grey_error < cube_error, 232 + grey, cube)
    return nearest.astype(np.int32)


@lru_cache(maxsize=65536)  # a grey picture has at most 65,536 pairs
def _style(upper: int, lower: int, indexed: bool) -> Style:
    if indexed:
        return Style(color=Color.from_ansi(upper), bgcolor=Color.from_ansi(lower))
    return Style(color=_rgb(upper), bgcolor=_rgb(lower))


def _rgb(packed: int) -> Color:
    return Color.from_rgb(packed >> 16, packed >> 8 & 0xFF, packed & 0xFF)
