"""Colours: what is stored is what is shown, by the formulas of PS3.3 C.7.6.3.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.data import get_palette_files, get_testdata_file
from pydicom.pixels import apply_color_lut
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from tuipacs.dicom.pixels.colour import to_rgb
from tuipacs.domain.frame import Frame, WindowRequest, WindowSource
from tuipacs.errors import DecodeError

from .images import BIG, EXPLICIT, IMPLICIT, as_array, fragments, image, render_frame, write

RGB = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]]


def show(dataset: Dataset, tmp_path: Path, syntax: str = EXPLICIT) -> Frame:
    """The frame of an object."""
    return render_frame(write(dataset, tmp_path / "a.dcm", syntax))


def test_rgb_by_pixel_and_by_plane_are_the_same_picture(tmp_path: Path) -> None:
    planes = np.array(RGB, np.uint8).transpose(2, 0, 1).tobytes()
    by_plane = image(RGB, "u1", PlanarConfiguration=1, PixelData=planes)
    assert as_array(show(image(RGB, "u1"), tmp_path)).tolist() == RGB
    assert as_array(show(by_plane, tmp_path)).tolist() == RGB


def test_a_window_does_not_touch_colours(tmp_path: Path) -> None:
    path = write(image(RGB, "u1", WindowCenter=10, WindowWidth=5), tmp_path / "a.dcm")
    frame = render_frame(path, 1, WindowRequest(center=3, width=4))
    assert as_array(frame).tolist() == RGB
    assert frame.window_source is WindowSource.NONE
    assert frame.window_center is None


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_colours_keep_their_high_bits(tmp_path: Path, bits: int) -> None:
    top = (1 << bits) - 1
    values = [[[0, top, top // 2 + 1]]]
    frame = show(image(values, "u2", BitsStored=bits), tmp_path)
    assert as_array(frame).tolist() == [[[0, 255, 128]]]


def test_shallow_colours_are_stretched(tmp_path: Path) -> None:
    frame = show(image([[[0, 31, 16]]], "u1", BitsStored=5), tmp_path)
    assert as_array(frame).tolist() == [[[0, 255, 132]]]


def test_ybr_full_is_converted_by_the_formula(tmp_path: Path) -> None:
    """Y 76, CB 85, CR 255 is the red of JFIF; 128 in both chroma samples is grey."""
    values = [[[76, 85, 255], [100, 128, 128], [150, 44, 21]]]
    frame = show(image(values, "u1", PhotometricInterpretation="YBR_FULL"), tmp_path)
    # R = 76 + 1.402*127 = 254.05; G = 76 + .344*43 - .714*127 = .1; B = 76 - 1.772*43 = -.2
    # R = 150 - 1.402*107 = -.01; G = 150 + .344*84 + .714*107 = 255.3; B = 150 - 1.772*84 = 1.2
    assert as_array(frame).tolist() == [[[254, 0, 0], [100, 100, 100], [0, 255, 1]]]


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_ybr_full_is_within_half_a_level_of_the_formula(ybr: tuple[int, int, int]) -> None:
    y, cb, cr = ybr
    exact = (
        y + 1.402 * (cr - 128),
        y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
        y + 1.772 * (cb - 128),
    )
    found = to_rgb(np.array([[ybr]], np.uint8), "YBR_FULL", 8)[0, 0]
    for one, wanted in zip(found, exact, strict=True):
        assert abs(int(one) - min(max(wanted, 0), 255)) <= 0.51


def test_422_shares_chroma_between_two_pixels(tmp_path: Path) -> None:
    """Stored as Y1 Y2 CB CR; here the first pair is grey, the second strongly red."""
    data = bytes([10, 200, 128, 128, 76, 76, 85, 255])
    picture = image(
        np.zeros((1, 4, 3)), "u1", PhotometricInterpretation="YBR_FULL_422", PixelData=data
    )
    assert as_array(show(picture, tmp_path)).tolist() == [
        [[10, 10, 10], [200, 200, 200], [254, 0, 0], [254, 0, 0]]
    ]


def test_422_that_is_none_is_seen_and_said(tmp_path: Path) -> None:
    """Some files say 4:2:2 although every chroma sample is there."""
    values = [[[76, 85, 255], [100, 128, 128]]]
    frame = show(image(values, "u1", PhotometricInterpretation="YBR_FULL_422"), tmp_path)
    assert as_array(frame).tolist() == [[[254, 0, 0], [100, 100, 100]]]
    assert any("holds all of it" in note for note in frame.notes)


def test_partial_range_puts_black_at_16_and_white_at_235(tmp_path: Path) -> None:
    picture = image(
        np.zeros((1, 2, 3)),
        "u1",
        PhotometricInterpretation="YBR_PARTIAL_422",
        PixelData=bytes([16, 235, 128, 128]),
    )
    assert as_array(show(picture, tmp_path)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("photometric", ["YBR_ICT", "YBR_RCT"])
def test_what_only_jpeg_2000_has_is_refused_elsewhere(tmp_path: Path, photometric: str) -> None:
    with pytest.raises(DecodeError, match="JPEG 2000"):
        show(image(RGB, "u1", PhotometricInterpretation=photometric), tmp_path)


def palette(
    values: list[list[int]],
    descriptor: list[int],
    tables: list[Any],
    dtype: str = "u1",
    *,
    segmented: bool = False,
    **attributes: Any,
) -> Dataset:
    """A PALETTE COLOR object."""
    picture = image(values, dtype, PhotometricInterpretation="PALETTE COLOR", **attributes)
    for colour, data in zip(("Red", "Green", "Blue"), tables, strict=True):
        name = f"{colour}PaletteColorLookupTable"
        setattr(picture, f"{name}Descriptor", descriptor)
        setattr(picture, f"{'Segmented' * segmented}{name}Data", data)
    return picture


def test_a_palette_of_16_bits_shows_the_high_bytes(tmp_path: Path) -> None:
    """Values below the first and above the last mapped one take the ends (C.7.6.3.1.5)."""
    tables = [np.array(one, "<u2").tobytes() for one in ([0, 65535], [256, 512], [65280, 0])]
    frame = show(palette([[0, 10, 11, 200]], [2, 10, 16], tables), tmp_path)
    assert as_array(frame).tolist() == [[[0, 1, 255], [0, 1, 255], [255, 2, 0], [255, 2, 0]]]
    assert frame.samples == 3


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_palette_of_8_bits_has_two_entries_in_a_word(tmp_path: Path, syntax: str) -> None:
    tables = [bytes(one) for one in ([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12])]
    if syntax == BIG:
        tables = [np.frombuffer(one, "<u2").byteswap().tobytes() for one in tables]
    frame = show(palette([[0, 1, 2, 3]], [4, 0, 8], tables), tmp_path, syntax)
    assert as_array(frame).tolist() == [[[1, 5, 9], [2, 6, 10], [3, 7, 11], [4, 8, 12]]]


def test_a_palette_of_8_bits_may_waste_a_word_on_each_entry(tmp_path: Path) -> None:
    tables = [np.array(one, "<u2").tobytes() for one in ([1, 2], [3, 4], [5, 6])]
    frame = show(palette([[0, 1]], [2, 0, 8], tables), tmp_path)
    assert as_array(frame).tolist() == [[[1, 3, 5], [2, 4, 6]]]


def test_a_palette_takes_signed_indices(tmp_path: Path) -> None:
    tables = [np.array([0, 65280], "<u2").tobytes()] * 3
    frame = show(palette([[-1, 0]], [2, -1, 16], tables, "i2"), tmp_path)
    assert as_array(frame).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_a_segmented_palette_is_expanded(tmp_path: Path) -> None:
    """C.7.9.2: discrete 0, 256; linear to 1280 in four; then both once more by an indirect one."""
    data = [0, 2, 0, 256, 1, 4, 1280, 2, 2, 0, 0]
    tables = [np.array(data, "<u2").tobytes()] * 3
    frame = show(palette([list(range(12))], [12, 0, 16], tables, segmented=True), tmp_path)
    once = [0, 1, 2, 3, 4, 5]
    assert as_array(frame)[0, :, 0].tolist() == once + once


def test_an_indirect_segment_counts_its_offset_in_bytes(tmp_path: Path) -> None:
    """C.7.9.2.3; four words or eight bytes in comes the second segment."""
    data = [0, 2, 256, 512, 0, 1, 1024, 2, 1, 8, 0]
    tables = [np.array(data, "<u2").tobytes()] * 3
    frame = show(palette([[0, 1, 2, 3]], [4, 0, 16], tables, segmented=True), tmp_path)
    assert as_array(frame)[0, :, 0].tolist() == [1, 2, 4, 4]


@pytest.mark.parametrize(
    "data",
    [
        [1, 4, 9],  # begins with a line
        [0, 9, 1],  # ends early
        [7, 1, 1],  # unknown
        [0, 1, 5, 2, 1, 6, 0],  # points to itself
        [0, 1, 5, 2, 1, 3, 0],  # points between entries
        [0, 1, 5, 2, 65535, 0xFFFF, 0xFFFF],  # points nowhere
        [0, 0],
        [0, 5, 1, 2, 3, 4, 5],  # too many
    ],
)
def test_a_damaged_segmented_palette_is_refused(tmp_path: Path, data: list[int]) -> None:
    tables = [np.array(data, "<u2").tobytes()] * 3
    with pytest.raises(DecodeError, match="palette"):
        show(palette([[0, 1]], [4, 0, 16], tables, segmented=True), tmp_path)


def test_the_well_known_palettes_give_what_pydicom_gives(tmp_path: Path) -> None:
    """The colour palettes of PS3.6 B, half of them segmented with 8-bit entries."""
    from pydicom import dcmread

    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for path in get_palette_files("*.dcm"):
        known = dcmread(path)
        picture = image(ramp, "u1", PhotometricInterpretation="PALETTE COLOR")
        for element in known.group_dataset(0x0028):
            if element.keyword.endswith(("Descriptor", "TableData")):
                picture[element.tag] = element
        frame = show(picture, tmp_path)
        expected = apply_color_lut(ramp, known)
        assert np.abs(as_array(frame).astype(int) - expected).max() <= 1, path


def test_a_palette_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="1 entries instead of 4"):
        show(palette([[0]], [4, 0, 16], [b"\0\0"] * 3), tmp_path)


def _jpeg(name: str) -> bytes:
    """The compressed picture of a bundled file."""
    from pydicom import dcmread
    from pydicom.encaps import generate_frames

    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return next(generate_frames(dcmread(path).PixelData, number_of_frames=1))


def _compressed(
    name: str,
    photometric: str,
    size: tuple[int, int],
    tmp_path: Path,
    syntax: str = JPEGBaseline8Bit,
) -> Frame:
    picture = image(np.zeros((*size, 3)), "u1", PhotometricInterpretation=photometric)
    path = write(picture, tmp_path / "a.dcm", syntax, encapsulated=fragments([_jpeg(name)]))
    return render_frame(path)


def test_a_jpeg_that_says_ycbcr_is_converted_even_if_the_header_says_rgb(tmp_path: Path) -> None:
    """A JFIF picture holds YCbCr; the header is wrong, and that is said."""
    right = _compressed("SC_rgb_jpeg_dcmtk.dcm", "YBR_FULL", (100, 100), tmp_path)
    wrong = _compressed("SC_rgb_jpeg_dcmtk.dcm", "RGB", (100, 100), tmp_path)
    assert wrong.pixels == right.pixels
    assert right.notes == ()
    assert any("says it holds YCbCr" in note for note in wrong.notes)


def test_a_jpeg_that_says_rgb_is_not_converted_even_if_the_header_says_ycbcr(
    tmp_path: Path,
) -> None:
    """An Adobe marker with transform 0."""
    right = _compressed("SC_rgb_dcmtk_+eb+cr.dcm", "RGB", (100, 100), tmp_path)
    wrong = _compressed("SC_rgb_dcmtk_+eb+cr.dcm", "YBR_FULL", (100, 100), tmp_path)
    assert wrong.pixels == right.pixels
    assert any("says it holds RGB" in note for note in wrong.notes)


def test_a_jpeg_that_says_nothing_is_what_the_header_says(tmp_path: Path) -> None:
    """No marker, components 0, 1, 2: the IJG library would take it for YCbCr."""
    name = "SC_jpeg_no_color_transform.dcm"
    plain = as_array(_compressed(name, "RGB", (256, 256), tmp_path))
    converted = as_array(_compressed(name, "YBR_FULL", (256, 256), tmp_path))
    expected = to_rgb(plain, "YBR_FULL", 8)
    assert np.abs(converted.astype(int) - expected).max() <= 1
    assert np.abs(converted.astype(int) - plain).max() > 50


def test_jpeg_2000_undoes_its_own_transform(tmp_path: Path) -> None:
    right = _compressed("GDCMJ2K_TextGBR.dcm", "YBR_RCT", (400, 400), tmp_path, JPEG2000Lossless)
    wrong = _compressed("GDCMJ2K_TextGBR.dcm", "YBR_FULL", (400, 400), tmp_path, JPEG2000Lossless)
    assert right.notes == ()
    assert wrong.pixels == right.pixels
    assert any("holds RGB" in note for note in wrong.notes)
