"""Our sixels, drawn by a strict decoder, against the pixels they were made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.ui.graphics.sixel_decoder import SixelError, decode
from tuipacs.ui.graphics.sixel import encode_sixel


def error(pixels: np.ndarray, **options: int) -> int:
    """The largest difference between what was given and what the terminal draws."""
    drawn = decode(encode_sixel(pixels, **options).data)
    assert drawn.drawn.all()
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    return int(np.abs(drawn.pixels.astype(int) - expected).max())


def ct_slice() -> np.ndarray:
    path = get_testdata_file("CT_small.dcm", download=False)
    values = dcmread(str(path)).pixel_array.astype(float)
    return ((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)


def test_a_ramp_of_all_greys_is_within_two() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    assert error(ramp) <= 2


def test_a_real_ct_slice_is_within_two() -> None:
    assert error(ct_slice()) <= 2


def test_grey_stored_as_colour_is_as_exact_as_grey() -> None:
    assert error(np.repeat(ct_slice()[..., None], 3, 2)) <= 2


def test_few_colours_are_exact_to_the_percent() -> None:
    generator = np.random.default_rng(1)
    palette = generator.integers(0, 256, (200, 3), dtype=np.uint8)
    assert error(palette[generator.integers(0, 200, (50, 70))]) <= 2


def test_many_colours_lose_no_rare_one() -> None:
    """A thin green marker line in a picture with thousands of colours must stay green."""
    generator = np.random.default_rng(2)
    y, x = np.mgrid[:200, :200]
    pixels = np.stack((x, y, (x + y) // 2), 2) + generator.integers(0, 50, (200, 200, 3))
    pixels = pixels.astype(np.uint8)
    pixels[100] = (0, 255, 0)
    image = encode_sixel(pixels)
    drawn = decode(image.data).pixels.astype(int)
    assert image.colours <= 256
    assert np.abs(drawn[100] - (0, 255, 0)).max() <= 25
    assert abs(int(np.abs(drawn - pixels).max()) - image.largest_error) <= 1
    assert image.mean_error < 8


@pytest.mark.parametrize("registers", [2, 16, 64, 101, 256])
def test_no_more_colours_than_the_terminal_has_and_the_error_is_stated(registers: int) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (12, 1))
    image = encode_sixel(ramp, registers=registers)
    drawn = decode(image.data)
    assert drawn.registers == image.colours <= registers
    shown = np.abs(drawn.pixels[..., 0].astype(int) - ramp)
    assert int(shown.max()) == image.largest_error <= 128 / (registers - 1) + 2
    assert float(shown.mean()) == pytest.approx(image.mean_error)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_every_size_and_pattern_is_drawn_completely(
    width: int, height: int, levels: int, colour: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 256, levels, dtype=np.uint8)
    shape = (height, width, 3) if colour else (height, width)
    assert error(values[generator.integers(0, levels, shape)]) <= (3 if levels**3 > 256 else 2) * (
        20 if colour and levels**3 > 256 else 1
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_covered_pixels_are_left_alone(width: int, height: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (height, width), dtype=np.uint8)
    draw = generator.random((height, width)) < 0.5
    drawn = decode(encode_sixel(pixels, draw=draw).data)
    assert (drawn.drawn == draw).all()
    assert np.abs(drawn.pixels[draw][:, 0].astype(int) - pixels[draw]).max(initial=0) <= 2


def test_a_large_picture_is_drawn_the_same_in_pieces() -> None:
    """More than one chunk of bands: 101 levels, 1200 columns, 1300 rows."""
    y, x = np.mgrid[:1300, :1200]
    assert error(((x // 40 + y // 5) % 256).astype(np.uint8)) <= 2


def test_the_decoder_does_not_select_a_colour_that_is_only_defined() -> None:
    """The mistake this encoder exists to avoid must be seen by the tests."""
    with pytest.raises(SixelError, match="before a colour"):
        decode('\x1bP0;1;0q"1;1;2;6#0;2;100;0;0~~\x1b\\')
