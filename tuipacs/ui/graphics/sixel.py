"""Our own sixel encoder: every colour is selected, whole bands are packed at once with NumPy.

Format: VT330/VT340 Programmer Reference, chapter 14; raster attributes there in 14.3.3. Colours are
given in percent, so grey has 101 levels; the nearest is at most 1.3 of 255 away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuipacs.ui.graphics.scale import Pixels

_BAND = 6  # rows of pixels in one row of sixels
_CHUNK = 6_000_000  # bytes of bit planes worked on at once, to stay in the processor's cache
_MANY_COLOURS = 16_384
_FULL = np.array([0b1, 0b11, 0b111, 0b1111, 0b11111, 0b111111], np.uint8)

Bits = NDArray[np.uint8]
Indices = NDArray[np.uint8]


@dataclass(frozen=True)
class SixelImage:
    """An encoded picture and how far its colours are from the pixels (of 255)."""

    data: str
    colours: int
    largest_error: int
    mean_error: float


def encode_sixel(
    pixels: Pixels, *, registers: int = 256, draw: NDArray[np.bool_] | None = None
) -> SixelImage:
    """Encode uint8 grey (h, w) or RGB (h, w, 3), aspect 1:1, with at most ``registers`` colours.

    ``draw`` (h, w) leaves pixels where it is False as they are on the terminal.
    """
    height, width = pixels.shape[:2]
    indices, palette = _palette(pixels, registers)
    shown = np.asarray((palette.astype(np.int32) * 255 + 50) // 100, np.int16)
    error = np.abs(shown[indices] - (pixels if pixels.ndim == 3 else pixels[..., None]))
    # P2=1: what is not drawn stays, so the last band never paints below the picture.
    parts = [f'\x1bP0;1;0q"1;1;{width};{height}'.encode()]
    parts += [b"#%d;2;%d;%d;%d" % (i, *colour) for i, colour in enumerate(palette.tolist())]
    bands = -(-height // _BAND)
    step = max(1, _CHUNK // (len(palette) * width))
    for first in range(0, bands, step):
        rows = slice(first * _BAND, (first + step) * _BAND)
        parts += _encode_bands(
            indices[rows], None if draw is None else draw[rows], len(palette), first > 0
        )
    parts.append(b"\x1b\\")
    return SixelImage(
        data=b"".join(parts).decode("ascii"),
        colours=len(palette),
        largest_error=int(error.max()),
        mean_error=float(error.mean()),
    )


def _palette(pixels: Pixels, registers: int) -> tuple[Indices, Bits]:
    """Return the index of each pixel (h, w) and the palette (n, 3) in percent."""
    percent = np.asarray((np.arange(256) * 100 + 127) // 255, np.uint8)
    if pixels.ndim == 3 and _is_grey(pixels):
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        return _grey_palette(pixels, percent, registers)
    red, green, blue = (percent[pixels[..., i]].astype(np.int32) for i in range(3))
    packed = (red * 101 + green) * 101 + blue
    present = np.zeros(101**3, np.bool_)
    present[packed] = True
    colours = np.flatnonzero(present)
    if len(colours) <= registers:
        lookup = np.zeros(101**3, np.uint8)
        lookup[colours] = np.arange(len(colours), dtype=np.uint8)
        return lookup[packed], _unpack(colours)
    if len(colours) > _MANY_COLOURS:  # keeps the next step under 50 ms
        pixels = (pixels & np.uint8(0xFC)) | np.uint8(2)
    # Maximum coverage: median cut is closer on average, but a rare colour (a thin marker line)
    # may be 90 of 255 off.
    reduced = Image.fromarray(pixels).quantize(
        registers, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    table = np.asarray(reduced.getpalette(), np.uint8).reshape(-1, 3)
    return np.asarray(reduced), percent[table]


def _grey_palette(pixels: Pixels, percent: Bits, registers: int) -> tuple[Indices, Bits]:
    levels: Bits = np.unique(percent[np.bincount(pixels.ravel(), minlength=256).nonzero()[0]])
    if len(levels) > registers:  # evenly spread: the largest error is the smallest possible
        spread = np.round(np.linspace(levels[0], levels[-1], registers))
        levels = np.unique(spread.astype(np.uint8))
    middles = (levels[1:] + levels[:-1].astype(np.float64)) / 2
    lookup = np.searchsorted(middles, np.arange(256) / 2.55).astype(np.uint8)
    return lookup[pixels], np.repeat(levels[:, None], 3, axis=1)


def _is_grey(pixels: Pixels) -> bool:
    red = pixels[..., 0]
    return bool((red == pixels[..., 1]).all() and (red == pixels[..., 2]).all())


def _unpack(colours: NDArray[np.intp]) -> Bits:
    return np.stack((colours // 10201, colours // 101 % 101, colours % 101), 1).astype(np.uint8)


def _encode_bands(
    indices: Indices, draw: NDArray[np.bool_] | None, colours: int, continued: bool
) -> list[bytes]:
    """Encode rows of pixels, a multiple of six except at the end of the picture."""
    height, width = indices.shape
    bands = -(-height // _BAND)
    planes = _planes(indices, draw, bands, colours)
    fills = [b""] * bands
    if draw is None:
        fills = _fill_commonest(planes, height)
    tokens, band_starts = _tokens(planes.reshape(-1, width), colours, bands)
    parts: list[bytes] = []
    for band in range(bands):
        body = tokens[band_starts[band] : band_starts[band + 1]]
        text = body.tobytes().translate(None, b"\0")
        lead = b"-" if continued or band else b""
        # Every colour but the first goes back to the left edge; a fill always comes first.
        parts += [lead, fills[band], text if fills[band] else text[1:]]
    return parts


def _planes(indices: Indices, draw: NDArray[np.bool_] | None, bands: int, colours: int) -> Bits:
    """Bit planes (bands, colours, width): bit r is row r of the band in that colour."""
    width = indices.shape[1]
    planes = np.zeros((bands, colours, width), np.uint8)
    flat = planes.reshape(-1)
    columns = np.arange(width, dtype=np.intp)
    for row in range(_BAND):
        here = indices[row::_BAND].astype(np.intp)
        if not len(here):
            break
        here += np.arange(len(here), dtype=np.intp)[:, None] * colours
        here *= width
        here += columns
        at = here.ravel() if draw is None else here[draw[row::_BAND]]
        flat[at] |= np.uint8(1 << row)  # one pixel a column: no position occurs twice
    return planes


def _fill_commonest(planes: Bits, height: int) -> list[bytes]:
    """Take the commonest colour of each band out of ``planes`` and paint it first, everywhere."""
    bands, _, width = planes.shape
    common = np.count_nonzero(planes, axis=2).argmax(axis=1)
    planes[np.arange(bands), common] = 0
    fills = []
    for band, colour in enumerate(common.tolist()):
        rows = min(_BAND, height - band * _BAND)
        fills.append(b"#%d!%d%c" % (colour, width, 63 + int(_FULL[rows - 1])))
    return fills


def _tokens(planes: Bits, colours: int, bands: int) -> tuple[Bits, list[int]]:
    """Turn plane rows into NUL-padded text, one line a run of equal sixels.

    Returns the lines and, for each band, the first of its lines (and the end).
    """
    width = planes.shape[1]
    flat = planes.reshape(-1)
    at = np.flatnonzero(flat)
    if not len(at):
        return np.zeros((0, 20), np.uint8), [0] * (bands + 1)
    values = flat[at]
    rows, columns = np.divmod(at, width)
    is_start = np.empty(len(at), np.bool_)
    is_start[0] = True
    is_start[1:] = (np.diff(at) != 1) | (values[1:] != values[:-1]) | (columns[1:] == 0)
    starts = np.flatnonzero(is_start)
    lengths = np.diff(starts, append=len(at))
    rows, columns, values = rows[starts], columns[starts], values[starts] + np.uint8(63)
    first = np.empty(len(starts), np.bool_)
    first[0] = True
    first[1:] = rows[1:] != rows[:-1]
    ends = columns + lengths
    gaps = columns.copy()
    gaps[1:] -= np.where(first[1:], 0, ends[:-1])

    lines = np.zeros((len(starts), 20), np.uint8)
    lines[first, 0] = ord("$")
    lines[first, 1:5] = _table(b"#%d", colours, 4)[rows[first] % colours]
    lines[:, 5:11] = _gap_table(width)[gaps]
    counts = _table(b"!%d", width + 1, 6)
    counts[:4] = 0
    lines[:, 11:17] = counts[lengths]
    lines[:, 17] = values
    lines[:, 18] = np.where((lengths == 2) | (lengths == 3), values, 0)
    lines[:, 19] = np.where(lengths == 3, values, 0)
    band_starts = np.searchsorted(rows, np.arange(bands + 1) * colours).tolist()
    return lines, band_starts


def _table(pattern: bytes, count: int, size: int) -> Bits:
    text = b"".join((pattern % n).ljust(size, b"\0") for n in range(count))
    return np.frombuffer(text, np.uint8).reshape(count, size).copy()


def _gap_table(width: int) -> Bits:
    texts = (b"?" * n if n < 4 else b"!%d?" % n for n in range(width + 1))
    joined = b"".join(text.ljust(6, b"\0") for text in texts)
    return np.frombuffer(joined, np.uint8).reshape(width + 1, 6)
