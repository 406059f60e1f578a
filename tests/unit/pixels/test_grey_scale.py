"""The grey-scale pipeline, against values worked out by hand from PS3.3 C.7.6.3, C.11.1, C.11.2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from tuipacs.dicom.pixels.voi import Window, WindowFunction
from tuipacs.domain.frame import WindowRequest, WindowSource
from tuipacs.errors import DecodeError, UsageError

from .images import BIG, EXPLICIT, IMPLICIT, grey, image, render_frame, write


def table(descriptor: list[int], data: list[int] | bytes, vr: str = "US") -> Dataset:
    """An item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.add_new(0x00283002, vr, descriptor)
    item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    return item


def test_a_linear_window_is_the_formula_of_the_standard(tmp_path: Path) -> None:
    """C.11.2.1.2.1 gives this example: c=2048, w=4096 maps 0 to 0 and 4095 to 255."""
    picture = image(
        [[0, 1, 1024, 2047, 2048, 4094, 4095, 5000]], WindowCenter=2048, WindowWidth=4096
    )
    assert grey(picture, tmp_path) == [0, 0, 64, 127, 128, 255, 255, 255]


def test_a_linear_window_of_width_one_is_a_threshold(tmp_path: Path) -> None:
    """C.11.2.1.2.1: c=2048, w=1 maps up to 2047 to black and from 2048 to white."""
    picture = image([[0, 2047, 2048, 4095]], WindowCenter=2048, WindowWidth=1)
    assert grey(picture, tmp_path) == [0, 0, 255, 255]


def test_a_linear_window_with_an_odd_width_is_centred_half_a_level_lower(tmp_path: Path) -> None:
    """C.11.2.1.2.1: c=0, w=100 has its ends at -50 and 49, its middle at -0.5."""
    picture = image([[-51, -50, -25, 0, 49, 50]], "i2", WindowCenter=0, WindowWidth=100)
    # 255 * 25/99 = 64.4; 255 * 50/99 = 128.8
    assert grey(picture, tmp_path) == [0, 0, 64, 129, 255, 255]


def test_linear_exact_uses_centre_and_width_as_they_are(tmp_path: Path) -> None:
    """C.11.2.1.3.2: ((x - c) / w + 0.5) * 255."""
    picture = image(
        [[0, 25, 50, 75, 100]], WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT"
    )
    assert grey(picture, tmp_path) == [0, 64, 128, 191, 255]


def test_linear_exact_takes_a_width_below_one(tmp_path: Path) -> None:
    picture = image(
        [[0, 1, 2, 3]],
        WindowCenter=0.75,
        WindowWidth=0.5,
        RescaleSlope=0.25,
        RescaleIntercept=0.25,
        VOILUTFunction="LINEAR_EXACT",
    )
    # 0.25, 0.5, 0.75, 1.0 of 0.5..1.0
    assert grey(picture, tmp_path) == [0, 0, 128, 255]


def test_sigmoid_is_the_formula_of_the_standard(tmp_path: Path) -> None:
    """C.11.2.1.3.1: 255 / (1 + exp(-4 (x - c) / w))."""
    picture = image(
        [[0, 50, 75, 100, 125, 65535]], WindowCenter=100, WindowWidth=50, VOILUTFunction="SIGMOID"
    )
    # exp(8) -> 0.09; exp(4) -> 4.59; exp(2) -> 30.4; 127.5; exp(-2) -> 224.6
    assert grey(picture, tmp_path) == [0, 5, 30, 128, 225, 255]


def test_the_first_of_several_windows_is_shown_and_said(tmp_path: Path) -> None:
    picture = image(
        [[0, 100]],
        WindowCenter=[50, 500],
        WindowWidth=[101, 900],
        WindowCenterWidthExplanation=["BRAIN\x1b[2J", "BONE"],
    )
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert (frame.window_center, frame.window_width) == (50, 101)
    assert frame.window_source is WindowSource.DATASET
    assert frame.window_explanation.startswith('window 1 of 2 of the object "BRAIN')
    assert "\x1b" not in frame.window_explanation


def test_the_window_of_a_person_wins_over_that_of_the_object(tmp_path: Path) -> None:
    picture = image([[0, 100, 200]], WindowCenter=50, WindowWidth=10)
    path = write(picture, tmp_path / "a.dcm")
    frame = render_frame(path, 1, WindowRequest(center=100.5, width=201))
    assert list(frame.pixels) == [0, 128, 255]
    assert frame.window_source is WindowSource.USER


def test_the_window_of_a_person_keeps_the_function_of_the_object(tmp_path: Path) -> None:
    picture = image([[100]], WindowCenter=0, WindowWidth=10, VOILUTFunction="SIGMOID")
    path = write(picture, tmp_path / "a.dcm")
    frame = render_frame(path, 1, WindowRequest(center=100, width=0.5))
    assert list(frame.pixels) == [128]


@pytest.mark.parametrize("width", [0.5, 0.0, -4.0, float("nan"), float("inf")])
def test_a_person_cannot_ask_for_an_impossible_linear_window(tmp_path: Path, width: float) -> None:
    path = write(image([[0, 1]]), tmp_path / "a.dcm")
    with pytest.raises(UsageError):
        render_frame(path, 1, WindowRequest(center=0, width=width))


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({"WindowCenter": 5, "WindowWidth": 0}, "its width is 0"),
        ({"WindowCenter": 5, "WindowWidth": -3}, "its width is -3"),
        ({"WindowCenter": 5}, "half of it is missing"),
    ],
)
def test_an_impossible_window_of_the_object_is_said_and_not_used(
    tmp_path: Path, attributes: dict[str, float], note: str
) -> None:
    frame = render_frame(write(image([[10, 20, 30]], **attributes), tmp_path / "a.dcm"))
    assert frame.window_source is WindowSource.MINIMUM_MAXIMUM
    assert list(frame.pixels) == [0, 128, 255]
    assert any(note in one for one in frame.notes)


def test_without_a_window_the_frame_fills_the_scale_and_says_so(tmp_path: Path) -> None:
    frame = render_frame(write(image([[-7, 3, 13]], "i2"), tmp_path / "a.dcm"))
    assert list(frame.pixels) == [0, 128, 255]
    assert (frame.minimum, frame.maximum) == (-7, 13)
    assert (frame.window_center, frame.window_width) == (3.5, 21)
    assert "minimum to maximum" in frame.window_explanation


def test_asking_for_the_window_just_shown_gives_the_same_picture(tmp_path: Path) -> None:
    """Also for fractional modality units, where LINEAR would lose one unit."""
    for number, slope in enumerate((1, 0.001)):
        picture = image([[0, 3, 500, 1000]], RescaleSlope=slope, RescaleIntercept=0)
        path = write(picture, tmp_path / f"{number}.dcm")
        first = render_frame(path)
        assert first.window_center is not None
        assert first.window_width is not None
        request = WindowRequest(center=first.window_center, width=first.window_width)
        assert render_frame(path, 1, request).pixels == first.pixels


def test_a_frame_of_one_value_says_so(tmp_path: Path) -> None:
    frame = render_frame(write(image([[9, 9]]), tmp_path / "a.dcm"))
    assert "every pixel of this frame has the value 9" in frame.notes


def test_padding_does_not_count_for_the_range(tmp_path: Path) -> None:
    """C.7.5.1.1.2 note 2; the padding itself is clipped to black."""
    picture = image([[-2000, 0, 50, 100]], "i2", PixelPaddingValue=-2000)
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == [0, 0, 128, 255]
    assert (frame.minimum, frame.maximum) == (0, 100)
    assert "without its padding" in frame.window_explanation


def test_a_range_of_padding_does_not_count(tmp_path: Path) -> None:
    picture = image([[3, 5, 100, 200]], PixelPaddingValue=0, PixelPaddingRangeLimit=10)
    assert render_frame(write(picture, tmp_path / "a.dcm")).minimum == 100


def test_a_label_on_padding_stays_visible(tmp_path: Path) -> None:
    """A label map declares its background as padding: one label must not make all black."""
    picture = image([[0, 0, 9, 9]], "u1", PixelPaddingValue=0)
    assert grey(picture, tmp_path) == [0, 0, 255, 255]


def test_eight_bits_without_a_window_are_shown_as_they_are(tmp_path: Path) -> None:
    """C.11.2.1.2: nothing to apply; a cine must not change brightness with its darkest frame."""
    picture = image([[10, 20, 30, 40]], "u1")
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == [10, 20, 30, 40]
    assert "full range of 8 bits" in frame.window_explanation


def test_a_rescaled_picture_without_a_window_fills_the_scale(tmp_path: Path) -> None:
    picture = image([[10, 20, 30, 40]], "u1", RescaleSlope=2, RescaleIntercept=0)
    assert grey(picture, tmp_path) == [0, 85, 170, 255]


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    """C.11.1.1.2: -1024 + 2 * 512 = 0 is the middle of c=0.5, w=256."""
    picture = image(
        [[0, 448, 512, 575, 576]],
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=0.5,
        WindowWidth=256,
    )
    # -1024, -128, 0, 126, 128 of -127.5..127.5 (w - 1 = 255 wide around 0)
    assert grey(picture, tmp_path) == [0, 0, 128, 254, 255]


def test_a_negative_slope_turns_the_scale_round(tmp_path: Path) -> None:
    picture = image([[0, 10]], RescaleSlope=-1, RescaleIntercept=10)
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == [255, 0]
    assert (frame.minimum, frame.maximum) == (0, 10)


def test_a_slope_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="slope of 0"):
        grey(image([[0, 10]], RescaleSlope=0, RescaleIntercept=1), tmp_path)


def test_a_modality_table_replaces_the_stored_values(tmp_path: Path) -> None:
    """C.11.1.1: below the first and above the last mapped value its ends hold."""
    picture = image(
        [[0, 10, 11, 12, 40000]],
        ModalityLUTSequence=[table([3, 10, 16], [7, 9, 107])],
        WindowCenter=57.5,
        WindowWidth=101,
    )
    # 7, 7, 9, 107, 107 of 7..107
    assert grey(picture, tmp_path) == [0, 0, 5, 255, 255]


def test_a_modality_table_decides_the_range(tmp_path: Path) -> None:
    """The extremes of a table need not belong to the extremes of the stored values."""
    picture = image([[0, 1, 2]], ModalityLUTSequence=[table([3, 0, 16], [50, 10, 40])])
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert (frame.minimum, frame.maximum) == (10, 50)
    assert list(frame.pixels) == [255, 0, 191]


def test_a_table_of_65536_entries_says_zero(tmp_path: Path) -> None:
    entries = np.arange(65536, dtype="<u2")[::-1].tobytes()
    picture = image([[0, 65535]], ModalityLUTSequence=[table([0, 0, 16], entries)])
    assert grey(picture, tmp_path) == [255, 0]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_voi_table_is_scaled_by_its_bits(tmp_path: Path, syntax: str) -> None:
    """C.11.2.1.1: entries of 12 bits go from 0 to 4095."""
    picture = image([[0, 1, 2, 3]], VOILUTSequence=[table([4, 0, 12], [0, 2048, 1024, 4095])])
    assert grey(picture, tmp_path, syntax=syntax) == [0, 128, 64, 255]


def test_a_voi_table_takes_negative_values(tmp_path: Path) -> None:
    picture = image(
        [[0, 1, 2]],
        RescaleSlope=1,
        RescaleIntercept=-2,
        VOILUTSequence=[table([3, -2, 8], [10, 20, 30], "SS")],
    )
    assert grey(picture, tmp_path) == [10, 20, 30]


def test_a_voi_table_whose_first_value_is_written_unsigned_is_understood(tmp_path: Path) -> None:
    """65534 is -2 in 16 bits, and only -2 can come out of this rescale."""
    picture = image(
        [[0, 1, 2]],
        RescaleSlope=1,
        RescaleIntercept=-2,
        VOILUTSequence=[table([3, 65534, 8], [10, 20, 30])],
    )
    assert grey(picture, tmp_path) == [10, 20, 30]


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_a_table_may_hold_two_entries_in_a_word(tmp_path: Path, syntax: str) -> None:
    data = b"\x0a\x14\x1e\x28" if syntax == EXPLICIT else b"\x14\x0a\x28\x1e"
    picture = image([[0, 1, 2, 3]], VOILUTSequence=[table([4, 0, 8], data)])
    assert grey(picture, tmp_path, syntax=syntax) == [10, 20, 30, 40]


def test_a_window_is_preferred_to_a_voi_table(tmp_path: Path) -> None:
    picture = image(
        [[0, 100]], WindowCenter=50.5, WindowWidth=101, VOILUTSequence=[table([2, 0, 8], [7, 7])]
    )
    assert grey(picture, tmp_path) == [0, 255]


def test_a_voi_table_in_the_group_of_a_frame_is_used(tmp_path: Path) -> None:
    """C.7.6.16.2.10b, the Frame VOI LUT With LUT macro, of breast tomosynthesis and enhanced XA."""
    inner = Dataset()
    inner.VOILUTSequence = [table([3, 0, 8], [30, 20, 10])]
    group = Dataset()
    group.FrameVOILUTSequence = [inner]
    picture = image([[0, 1, 2]], SharedFunctionalGroupsSequence=[group])
    assert grey(picture, tmp_path) == [30, 20, 10]


def test_fractions_of_a_segment_keep_one_scale_in_all_frames(tmp_path: Path) -> None:
    """C.8.20.2: Maximum Fractional Value is all of it; a full frame must not look empty."""
    picture = image(
        [[[0, 128]], [[255, 255]], [[0, 0]]],
        "u1",
        Modality="SEG",
        SegmentationType="FRACTIONAL",
        MaximumFractionalValue=255,
    )
    path = write(picture, tmp_path / "a.dcm")
    assert [list(render_frame(path, number).pixels) for number in (1, 2, 3)] == [
        [0, 128],
        [255, 255],
        [0, 0],
    ]


def test_a_voi_table_that_is_too_short_is_said_and_not_used(tmp_path: Path) -> None:
    picture = image([[0, 100]], VOILUTSequence=[table([200, 0, 8], [7, 7])])
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert frame.window_source is WindowSource.MINIMUM_MAXIMUM
    assert any("2 entries instead of 200" in note for note in frame.notes)


def test_a_modality_table_that_is_too_short_is_refused(tmp_path: Path) -> None:
    """Without it the values mean nothing."""
    picture = image([[0, 100]], ModalityLUTSequence=[table([200, 0, 16], [7, 7])])
    with pytest.raises(DecodeError, match="2 entries instead of 200"):
        grey(picture, tmp_path)


def test_monochrome1_shows_the_lowest_value_white(tmp_path: Path) -> None:
    for shape in (None, "INVERSE"):  # which says the same, not the contrary
        picture = image(
            [[0, 100]], PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=shape
        )
        frame = render_frame(write(picture, tmp_path / "a.dcm"))
        assert list(frame.pixels) == [255, 0]
        assert frame.notes == ()


@pytest.mark.parametrize(
    ("photometric", "shape", "expected"),
    [("MONOCHROME1", "IDENTITY", [0, 255]), ("MONOCHROME2", "INVERSE", [255, 0])],
)
def test_a_shape_that_contradicts_the_photometric_interpretation_wins_and_is_said(
    tmp_path: Path, photometric: str, shape: str, expected: list[int]
) -> None:
    picture = image([[0, 100]], PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == expected
    assert any("contradict" in note for note in frame.notes)


def test_bits_outside_the_stored_ones_are_not_shown(tmp_path: Path) -> None:
    """Old overlays live above the high bit (PS3.5 8.1.1)."""
    picture = image([[0xF000, 0x1FFF, 0x0800]], BitsStored=12)
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert (frame.minimum, frame.maximum) == (0, 4095)
    assert list(frame.pixels) == [0, 255, 128]


def test_the_sign_is_in_the_high_bit(tmp_path: Path) -> None:
    """Nine stored bits: 0x1FF is -1, 0x100 is -256; what is above does not count."""
    picture = image([[0x1FF, 0xFE00, 0x100, 0x0FF]], BitsStored=9, PixelRepresentation=1)
    frame = render_frame(write(picture, tmp_path / "a.dcm"), 1, WindowRequest(center=0, width=512))
    assert (frame.minimum, frame.maximum) == (-256, 255)
    assert list(frame.pixels) == [127, 128, 0, 255]


def test_the_high_bit_need_not_be_the_lowest_possible(tmp_path: Path) -> None:
    """Twelve bits stored in the upper part: high bit 15."""
    picture = image([[0x0010, 0xFFFF, 0x800F]], BitsStored=12, HighBit=15)
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert (frame.minimum, frame.maximum) == (1, 4095)
    signed = image([[0xFFF0, 0x0010]], BitsStored=12, HighBit=15, PixelRepresentation=1)
    frame = render_frame(write(signed, tmp_path / "b.dcm"))
    assert (frame.minimum, frame.maximum) == (-1, 1)


def test_a_missing_pixel_representation_is_said(tmp_path: Path) -> None:
    frame = render_frame(write(image([[1, 2]], PixelRepresentation=None), tmp_path / "a.dcm"))
    assert "Pixel Representation is missing: taken as unsigned" in frame.notes


@pytest.mark.parametrize("dtype", ["i4", "u4"])
def test_32_bit_samples_are_exact(tmp_path: Path, dtype: str) -> None:
    """Both the table (close values) and the single computation (far ones) give the same."""
    close = image([[2_000_000_000, 2_000_000_001, 2_000_000_002]], dtype)
    assert grey(close, tmp_path) == [0, 128, 255]
    far = image([[0, 1_000_000_000, 2_000_000_000]], dtype)
    assert grey(far, tmp_path) == [0, 128, 255]


@pytest.mark.parametrize("kind", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point_samples_are_shown(tmp_path: Path, kind: str) -> None:
    """What is not a number is left out of the range, shown black and said."""
    dtype = "<f4" if kind == "FloatPixelData" else "<f8"
    values = np.array([0.25, np.nan, 0.5, 0.75], dtype)
    picture = image(
        [[0, 0, 0, 0]],
        "u4" if dtype == "<f4" else "u8",
        PixelData=None,
        BitsStored=None,
        HighBit=None,
        PixelRepresentation=None,
    )
    setattr(picture, kind, values.tobytes())
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == [0, 0, 128, 255]
    assert (frame.minimum, frame.maximum) == (0.25, 0.75)
    assert "1 pixels are not finite numbers" in frame.notes


def test_one_bit_samples_are_black_and_white_whatever_the_frame_holds(tmp_path: Path) -> None:
    """Nine bits a frame: the second begins in the second byte (PS3.5 8.1.1, lowest bit first)."""
    bits = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0] + [1] * 9, np.uint8)
    picture = image(
        np.zeros((2, 1, 9)),
        "u1",
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelData=np.packbits(bits, bitorder="little").tobytes() + b"\0",
    )
    path = write(picture, tmp_path / "a.dcm")
    assert list(render_frame(path, 1).pixels) == [0, 255, 0, 255, 0, 255, 0, 255, 0]
    assert list(render_frame(path, 2).pixels) == [255] * 9


def test_xray_with_a_log_relationship_is_windowed_on_stored_values(tmp_path: Path) -> None:
    picture = image(
        [[0, 50, 100]],
        Modality="XA",
        PixelIntensityRelationship="LOG",
        ModalityLUTSequence=[table([1, 0, 16], [77])],
        WindowCenter=50.5,
        WindowWidth=101,
    )
    frame = render_frame(write(picture, tmp_path / "a.dcm"))
    assert list(frame.pixels) == [0, 128, 255]
    assert any("not for display" in note for note in frame.notes)


@given(
    values=st.lists(st.integers(-32768, 32767), min_size=1, max_size=50),
    center=st.floats(-40000, 40000),
    width=st.floats(1, 70000),
    function=st.sampled_from(WindowFunction),
)
def test_a_window_never_turns_the_order_of_values_round(
    values: list[int], center: float, width: float, function: WindowFunction
) -> None:
    window = Window(center=center, width=width, function=function)
    levels = window.apply(np.array(sorted(values)))
    assert np.all(np.diff(levels) >= 0)
    assert levels.min() >= 0
    assert levels.max() <= 255
