"""Half blocks: each cell is two pixels, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from rich.color import Color, ColorType

from tuipacs.ui.graphics.halfblock import half_block_rows
from tuipacs.ui.graphics.segments import ImageSegment


def pixels_of(rows: list[list[ImageSegment]]) -> np.ndarray:
    """Undo the cells: (2 * rows, columns, 3)."""
    lines = []
    for row in rows:
        upper, lower = [], []
        for segment in row:
            assert set(segment.text) == {"▀"}
            assert segment.style is not None
            upper += [segment.style.color] * len(segment.text)
            lower += [segment.style.bgcolor] * len(segment.text)
        lines += [upper, lower]
    return np.array([[tuple(c.get_truecolor()) for c in line if c] for line in lines])


@pytest.mark.parametrize("shape", [(2, 1), (46, 80), (46, 80, 3), (2, 300, 3)])
def test_the_cells_are_the_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    assert (pixels_of(half_block_rows(pixels)) == expected).all()


def test_equal_neighbours_share_a_segment() -> None:
    assert [len(row) for row in half_block_rows(np.zeros((4, 50), np.uint8))] == [1, 1]


def test_256_colours_take_the_nearest_fixed_colour() -> None:
    """Against a search through all 240 fixed colours, as Rich knows them."""
    table = np.array([tuple(Color.from_ansi(n).get_truecolor()) for n in range(16, 256)])
    greys = np.arange(256, dtype=np.uint8).reshape(2, 128)
    rows = half_block_rows(greys, indexed=True)
    drawn = pixels_of(rows).astype(int)
    wanted = np.repeat(greys[..., None], 3, 2).astype(int)
    best = np.abs(wanted[..., None, :] - table).sum(-1).min(-1)
    assert (np.abs(drawn - wanted).sum(-1) == best).all()
    assert np.abs(drawn - wanted).max() <= 8
    assert all(
        segment.style and segment.style.color and segment.style.color.type is ColorType.EIGHT_BIT
        for row in rows
        for segment in row
    )


def test_256_colours_keep_a_colour_a_colour() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert (pixels_of(half_block_rows(red, indexed=True)) == (255, 0, 0)).all()
