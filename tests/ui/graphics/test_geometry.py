"""Placing and scaling: proportions in millimetres, never past the room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.ui.graphics.picture_app import frame_of
from tuipacs.errors import DecodeError
from tuipacs.ui.graphics.geometry import Placement, fit
from tuipacs.ui.graphics.scale import Enlarge, frame_pixels, to_canvas


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.floats(0.2, 5),
    st.integers(1, 300),
    st.integers(1, 100),
    st.tuples(st.integers(4, 30), st.integers(8, 60)),
    st.booleans(),
)
def test_proportions_are_kept_and_the_room_is_not_left(
    columns: int,
    rows: int,
    aspect: float,
    width: int,
    height: int,
    cell: tuple[int, int],
    half: bool,
) -> None:
    units = (1, 2) if half else cell
    placed = fit(columns, rows, aspect, columns=width, rows=height, cell=cell, units_per_cell=units)
    assert placed is not None
    assert placed.columns <= width
    assert placed.rows <= height
    assert placed.canvas_width == placed.columns * units[0] >= placed.width
    assert placed.canvas_height == placed.rows * units[1] >= placed.height
    # In screen pixels, each side within half a unit of the exact one.
    unit = (cell[0] / units[0], cell[1] / units[1])
    scale = min(width * cell[0] / columns, height * cell[1] / (rows * aspect))
    exact = (columns * scale / unit[0], rows * aspect * scale / unit[1])
    assert placed.width == pytest.approx(exact[0], abs=0.51) or placed.width == 1
    assert placed.height == pytest.approx(exact[1], abs=0.51) or placed.height == 1
    touches = (placed.columns == width, placed.rows == height)
    assert any(touches)


def test_tall_pixels_make_a_tall_picture() -> None:
    placed = fit(100, 100, 2.0, columns=80, rows=40, cell=(10, 20))
    assert placed is not None
    assert (placed.width, placed.height) == (400, 800)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf")])
def test_an_absurd_aspect_is_not_drawn(aspect: float) -> None:
    assert fit(10, 10, aspect, columns=10, rows=10, cell=(10, 20)) is None


def test_no_room_no_picture() -> None:
    assert fit(10, 10, 1.0, columns=0, rows=5, cell=(10, 20)) is None


def test_the_terminals_largest_picture_is_respected() -> None:
    placed = fit(100, 100, 1.0, columns=200, rows=100, cell=(10, 20), limit=(1000, 995))
    assert placed is not None
    assert (placed.canvas_width, placed.canvas_height) == (980, 980)


def _placement(width: int, height: int, canvas: tuple[int, int]) -> Placement:
    return Placement(
        columns=1,
        rows=1,
        width=width,
        height=height,
        canvas_width=canvas[0],
        canvas_height=canvas[1],
    )


@given(st.integers(1, 9), st.integers(1, 9))
def test_pixels_are_untouched_when_the_sizes_agree_and_the_rest_is_black(
    width: int, height: int
) -> None:
    pixels = np.random.default_rng(1).integers(1, 256, (height, width), dtype=np.uint8)
    canvas = to_canvas(pixels, _placement(width, height, (10, 10)))
    assert canvas.shape == (10, 10)
    top, left = (10 - height) // 2, (10 - width) // 2
    assert (canvas[top : top + height, left : left + width] == pixels).all()
    assert np.count_nonzero(canvas) == pixels.size


def test_nearest_repeats_pixels_and_bilinear_does_not() -> None:
    pixels = np.array([[0, 255]], np.uint8)
    place = _placement(8, 4, (8, 4))
    assert set(to_canvas(pixels, place, Enlarge.NEAREST).ravel()) == {0, 255}
    assert len(set(to_canvas(pixels, place, Enlarge.BILINEAR).ravel())) > 2


def test_shrinking_averages_instead_of_dropping_lines() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    small = to_canvas(stripes, _placement(8, 8, (8, 8)))
    assert np.abs(small.astype(int) - 127).max() <= 12


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([1, 2, 3, 4]), st.integers(0, 80))
def test_a_frame_that_does_not_fill_its_size_is_refused(
    rows: int, columns: int, samples: int, size: int
) -> None:
    assume(samples in (2, 4) or not rows or not columns or rows * columns * samples != size)
    frame = frame_of(np.zeros((1, 1), np.uint8))
    wrong = type(frame)(
        rows=rows,
        columns=columns,
        samples=samples,
        pixels=bytes(size),
        frame_number=1,
        number_of_frames=1,
    )
    with pytest.raises(DecodeError):
        frame_pixels(wrong)
