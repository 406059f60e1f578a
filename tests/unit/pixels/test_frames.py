"""The right frame is found, alone, or the reason is said why it cannot be known."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from tuipacs.dicom.pixels.codecs import decode_frame
from tuipacs.dicom.pixels.encapsulated import FrameTable
from tuipacs.dicom.pixels.header import read_header
from tuipacs.dicom.pixels.rle import decode_rle
from tuipacs.dicom.pixels.source import Source
from tuipacs.domain.frame import WindowRequest
from tuipacs.errors import DecodeError, NotFoundError

from .images import END, EXPLICIT, RLE, fragments, image, item, render_frame, rle, write

PLANES = [bytes([10 * frame, 10 * frame + 1]) for frame in range(3)]


def bundled(name: str) -> Path:
    """A file of pydicom's."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path)


def rle_object(tmp_path: Path, value: bytes, frames: int = 3, **attributes: Any) -> Path:
    """An RLE object of ``frames`` frames with two pixels each."""
    picture = image(np.zeros((frames, 1, 2)), "u1", **attributes)
    return write(picture, tmp_path / "a.dcm", RLE, encapsulated=value)


WIDE = WindowRequest(center=128, width=256)  # shows bytes as they are


def shown(path: Path, frames: int = 3) -> list[bytes]:
    """The pixels of all frames."""
    return [render_frame(path, number, WIDE).pixels for number in range(1, frames + 1)]


def offsets_of(values: list[bytes]) -> list[int]:
    return [sum(8 + len(one) for one in values[:index]) for index in range(len(values))]


def test_each_frame_of_an_uncompressed_object_is_itself(tmp_path: Path) -> None:
    path = write(image([[[0, 1]], [[10, 11]], [[20, 21]]], "u1"), tmp_path / "a.dcm")
    assert shown(path) == PLANES
    frame = render_frame(path, 2)
    assert (frame.frame_number, frame.number_of_frames) == (2, 3)


@pytest.mark.parametrize("number", [0, -1, 4, 10**9])
def test_a_frame_that_does_not_exist_is_not_found(tmp_path: Path, number: int) -> None:
    path = write(image([[[0, 1]], [[10, 11]], [[20, 21]]], "u1"), tmp_path / "a.dcm")
    with pytest.raises(NotFoundError, match="the object has 3"):
        render_frame(path, number)


def test_frames_are_found_without_an_offset_table(tmp_path: Path) -> None:
    path = rle_object(tmp_path, fragments([rle(one) for one in PLANES]))
    assert shown(path) == PLANES


def test_frames_are_found_by_the_basic_offset_table(tmp_path: Path) -> None:
    """The second fragment belongs to the first frame: only the table can know."""
    values = [rle(one) for one in PLANES]
    first = [values[0][:40], values[0][40:]]
    offsets = [0, 16 + len(values[0]), 24 + len(values[0]) + len(values[1])]
    path = rle_object(tmp_path, fragments([*first, *values[1:]], offsets))
    assert shown(path) == PLANES
    with path.open("rb") as file:
        source = Source(file.fileno())
        table = FrameTable(source, read_header(source))
        assert [table.frame(index) for index in range(3)] == values  # and nothing else


def test_frames_are_found_by_the_extended_offset_table(tmp_path: Path) -> None:
    values = [rle(one) for one in PLANES]
    path = rle_object(
        tmp_path,
        fragments(values),
        ExtendedOffsetTable=struct.pack("<3Q", *offsets_of(values)),
        ExtendedOffsetTableLengths=struct.pack("<3Q", *(len(one) for one in values)),
    )
    assert shown(path) == PLANES


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [
        ([0, 5, 9], None),
        ([0, 1 << 40, 1 << 41], None),
        ([74, 0, 148], None),
        (None, [74, 74]),
        (None, [1, 1, 1]),
    ],
)
def test_a_wrong_extended_offset_table_is_refused(
    tmp_path: Path, offsets: list[int] | None, lengths: list[int] | None
) -> None:
    values = [rle(one) for one in PLANES]
    offsets = offsets or offsets_of(values)
    lengths = lengths or [len(one) for one in values]
    path = rle_object(
        tmp_path,
        fragments(values),
        ExtendedOffsetTable=struct.pack(f"<{len(offsets)}Q", *offsets),
        ExtendedOffsetTableLengths=struct.pack(f"<{len(lengths)}Q", *lengths),
    )
    with pytest.raises(DecodeError, match=r"extended offset table|truncated"):
        render_frame(path, 2)


@pytest.mark.parametrize(
    "offsets", [[0, 3, 6], [0, 0, 0], [8, 1, 2], [0, 10, 1 << 31], [0], [0] * 9]
)
def test_a_wrong_basic_table_is_said_where_fragments_tell_frames_apart(
    tmp_path: Path, offsets: list[int]
) -> None:
    path = rle_object(tmp_path, fragments([rle(one) for one in PLANES], offsets))
    assert shown(path) == PLANES
    assert any("offset table" in note for note in render_frame(path).notes)


def test_a_wrong_basic_table_is_refused_where_they_do_not(tmp_path: Path) -> None:
    values = [rle(one) for one in PLANES]
    path = rle_object(tmp_path, fragments([*values, b"\0\0"], [0, 3, 6]))
    with pytest.raises(DecodeError, match="cannot be told apart"):
        render_frame(path)


def test_a_frame_in_many_fragments_is_put_together(tmp_path: Path) -> None:
    whole = rle(PLANES[0])
    path = rle_object(tmp_path, fragments([whole[i : i + 2] for i in range(0, len(whole), 2)]), 1)
    assert shown(path, 1) == PLANES[:1]


def test_jpegs_in_several_fragments_are_told_apart_by_their_beginnings(tmp_path: Path) -> None:
    source = dcmread(bundled("examples_ybr_color.dcm"))
    pictures = list(generate_frames(source.PixelData, number_of_frames=30))[:2]
    half = len(pictures[0]) // 2 * 2 // 2
    parts = [pictures[0][:half], pictures[0][half:], pictures[1]]
    shape = (2, source.Rows, source.Columns, 3)
    target = image(np.zeros(shape), "u1", PhotometricInterpretation="YBR_FULL_422")
    path = write(
        target,
        tmp_path / "a.dcm",
        source.file_meta.TransferSyntaxUID,
        encapsulated=fragments(parts),
    )
    for number in (1, 2):
        expected = render_frame(bundled("examples_ybr_color.dcm"), number).pixels
        assert render_frame(path, number).pixels == expected


def test_fewer_fragments_than_frames_are_refused(tmp_path: Path) -> None:
    path = rle_object(tmp_path, fragments([rle(one) for one in PLANES[:2]]))
    with pytest.raises(DecodeError, match="3 frames do not fit in 2 fragments"):
        render_frame(path)


def test_100_000_fragments_of_one_frame_are_read(tmp_path: Path) -> None:
    whole = rle(PLANES[0])
    path = rle_object(tmp_path, fragments([whole, *[b""] * 100_000]), 1)
    assert shown(path, 1) == PLANES[:1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "truncated|do not fit"),
        (item(b"") + item(rle(PLANES[0]), length=9999), "truncated"),
        (item(b"") + item(rle(PLANES[0])), "truncated"),  # no delimiter
        (item(b"") + item(rle(PLANES[0])) + b"\0" * 8, "something else"),
        (b"\0" * 16, "does not begin with an offset table"),
        (item(b"", length=0xFFFFFFF0) + END, "truncated"),
        (item(b"") + END, "has no bytes"),
        (fragments([b"\0" * 200]), "RLE"),
        (fragments([rle(PLANES[0])[:65]]), "RLE"),
        (fragments([b"\xff\xd8\xff\xe0"]), "RLE"),
    ],
)
def test_damaged_fragments_are_refused(tmp_path: Path, value: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        render_frame(rle_object(tmp_path, value, 1))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 2))
def test_random_rle_is_decoded_or_refused(data: bytes, samples: int) -> None:
    """Nothing but DecodeError comes out, and what is decoded has the right size."""
    path = bundled("MR_small_RLE.dcm")
    with path.open("rb") as file:
        header = read_header(Source(file.fileno()))
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    small = type(header)(**{**fields, "rows": 2, "columns": 3, "bits_allocated": 8 * samples})
    offsets = [64 + 20 * index for index in range(samples)]
    head = struct.pack("<16L", samples, *offsets, *([0] * (15 - samples)))
    try:
        decoded = decode_rle(head + data, small)
    except DecodeError:
        return
    assert decoded.shape == (2, 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_jpeg_with_one_wrong_byte_is_decoded_or_refused(at: int, value: int) -> None:
    path = bundled("SC_rgb_jpeg_dcmtk.dcm")
    with path.open("rb") as file:
        header = read_header(Source(file.fileno()))
    data = bytearray(next(generate_frames(dcmread(path).PixelData, number_of_frames=1)))
    data[at % len(data)] = value
    try:
        decoded = decode_frame(bytes(data), header)
    except DecodeError:
        return
    assert decoded.samples.shape == (100, 100, 3)


@pytest.mark.parametrize(
    "name",
    ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"],
)
def test_lossless_compression_changes_nothing(name: str) -> None:
    assert render_frame(bundled(name)).pixels == render_frame(bundled("MR_small.dcm")).pixels


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
    ],
)
def test_the_encoding_does_not_change_the_picture(name: str, twin: str) -> None:
    first, last = render_frame(bundled(name)), render_frame(bundled(twin))
    assert first.pixels == last.pixels
    assert (first.minimum, first.maximum) == (last.minimum, last.maximum)


def test_a_jpeg_extended_that_libjpeg_refuses_is_decoded_by_gdcm() -> None:
    frame = render_frame(bundled("JPEG-lossy.dcm"))
    assert frame.decoder.startswith("gdcm")
    assert (frame.minimum, frame.maximum) == (0, 264)


def test_signed_samples_in_an_unsigned_jpeg_2000_get_their_sign_and_a_note() -> None:
    frame = render_frame(bundled("J2K_pixelrep_mismatch.dcm"))
    assert frame.minimum == -2000  # the padding outside the circle of reconstruction
    assert any("unsigned" in note for note in frame.notes)


def groups(**macros: list[dict[str, Any]]) -> Dataset:
    """One item of a functional groups sequence."""
    group = Dataset()
    for name, attributes in macros.items():
        inner = Dataset()
        for keyword, value in attributes[0].items():
            setattr(inner, keyword, value)
        setattr(group, name, [inner])
    return group


def test_functional_groups_describe_each_frame(tmp_path: Path) -> None:
    """The frame's own group, then the shared one, then the object (PS3.3 C.7.6.16)."""
    picture = image([[[0, 100]], [[0, 100]]], "u2", WindowCenter=1, WindowWidth=1)
    picture.SharedFunctionalGroupsSequence = [
        groups(
            PixelValueTransformationSequence=[{"RescaleSlope": 2, "RescaleIntercept": -100}],
            PixelMeasuresSequence=[{"PixelSpacing": [2, 1]}],
            FrameVOILUTSequence=[{"WindowCenter": 0.5, "WindowWidth": 201}],
        )
    ]
    own = groups(
        PixelValueTransformationSequence=[{"RescaleSlope": 1, "RescaleIntercept": 5}],
        FrameVOILUTSequence=[
            {"WindowCenter": 105, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}
        ],
    )
    picture.PerFrameFunctionalGroupsSequence = [Dataset(), own]
    path = write(picture, tmp_path / "a.dcm")
    first, second = render_frame(path, 1), render_frame(path, 2)
    assert (first.minimum, first.maximum) == (-100, 100)
    assert list(first.pixels) == [0, 255]
    assert first.pixel_aspect == 2
    assert (second.minimum, second.maximum) == (5, 105)
    assert list(second.pixels) == [102, 128]  # 255 / (1 + exp(0.4)), 127.5


@pytest.mark.parametrize(
    ("attributes", "aspect"),
    [
        ({}, 1.0),
        ({"PixelSpacing": [0.8, 0.4]}, 2.0),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, 0.5),
        ({"NominalScannedPixelSpacing": [3, 1]}, 3.0),
        ({"PixelAspectRatio": [4, 3]}, 4 / 3),
        ({"PixelSpacing": [1, 2], "PixelAspectRatio": [4, 3]}, 0.5),
    ],
)
def test_the_aspect_is_height_divided_by_width(
    tmp_path: Path, attributes: dict[str, Any], aspect: float
) -> None:
    frame = render_frame(write(image([[0, 1]], **attributes), tmp_path / "a.dcm", EXPLICIT))
    assert frame.pixel_aspect == pytest.approx(aspect)


@pytest.mark.parametrize("spacing", [[0, 1], [-1, 1], [1e9, 1], [1]])
def test_an_absurd_spacing_is_said_and_square_pixels_are_shown(
    tmp_path: Path, spacing: list[float]
) -> None:
    frame = render_frame(write(image([[0, 1]], PixelSpacing=spacing), tmp_path / "a.dcm"))
    assert frame.pixel_aspect == 1.0
    assert any("PixelSpacing makes no sense" in note for note in frame.notes)
