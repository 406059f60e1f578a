"""Once lossy, lossy for ever: decompressed, only the header can say it (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from tests.bundled import bundled_files
from tests.unit.pixels.images import fragments, image, write
from tests.unit.transcoding.making import EXPLICIT, made, read
from tuipacs.dicom.pixels.codestream import inspect
from tuipacs.dicom.pixels.loss import lossy_method

SYNTAX = "1.2.840.10008.1.2.4."
DCT, EXTENDED, LOSSLESS, JLS, NEAR, J2K_LOSSLESS, J2K = (
    SYNTAX + n for n in ("50", "51", "70", "80", "81", "90", "91")
)
LOSSY = [
    ("SC_rgb_jpeg_dcmtk.dcm", DCT, "ISO_10918_1"),
    ("JPGExtended.dcm", EXTENDED, "ISO_10918_1"),
    ("SC_rgb_jpeg_dcmtk.dcm", LOSSLESS, "ISO_10918_1"),  # under a wrong name
    ("JPEGLSNearLossless_08.dcm", NEAR, "ISO_14495_1"),
    ("SC_rgb_jls_lossy_sample.dcm", NEAR, "ISO_14495_1"),
    ("JPEGLSNearLossless_16.dcm", JLS, "ISO_14495_1"),
    ("JPEG2000.dcm", J2K, "ISO_15444_1"),
    ("JPEG2000.dcm", SYNTAX + "93", "ISO_15444_1"),
    ("JPEG2000.dcm", J2K_LOSSLESS, "ISO_15444_1"),
]
REVERSIBLE = [
    ("MR_small_jpeg_ls_lossless.dcm", NEAR),
    ("MR_small_jp2klossless.dcm", J2K),
    ("SC_rgb_jpeg_gdcm.dcm", LOSSLESS),
]


def outgoing(path: Path, name: str, syntax: str, said: str | None, **more: Any) -> Dataset:
    """A bundled file that says this of its loss, decompressed."""
    (source,) = bundled_files(name)
    dataset = dcmread(source)
    for keyword in ("LossyImageCompression", "LossyImageCompressionMethod"):
        if keyword in dataset:
            del dataset[keyword]
    if said is not None:
        dataset.LossyImageCompression = said
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    return read(made(path, EXPLICIT), EXPLICIT)


@pytest.mark.parametrize("said", [None, "", "00"])
@pytest.mark.parametrize(("name", "syntax", "method"), LOSSY)
def test_what_was_lossy_says_so_and_how(
    name: str, syntax: str, method: str, said: str | None, tmp_path: Path
) -> None:
    """Also where the header denied it: the stream knows better."""
    result = outgoing(tmp_path / "f", name, syntax, said)
    assert result.LossyImageCompression == "01"
    assert result.LossyImageCompressionMethod == method
    assert [e.tag for e in result] == sorted(e.tag for e in result)


@pytest.mark.parametrize("said", [None, "", "00", "01"])
@pytest.mark.parametrize(("name", "syntax"), REVERSIBLE)
def test_what_was_reversible_keeps_its_word(
    name: str, syntax: str, said: str | None, tmp_path: Path
) -> None:
    """A syntax that allows loss is no loss; and an earlier one is not forgotten."""
    result = outgoing(tmp_path / "f", name, syntax, said)
    assert ("LossyImageCompression" in result) == (said is not None)
    assert (result.get("LossyImageCompression") or "") == (said or "")
    assert "LossyImageCompressionMethod" not in result


@pytest.mark.parametrize("said", ["00", "01"])
def test_a_method_that_is_named_stays(said: str, tmp_path: Path) -> None:
    named = {"LossyImageCompressionMethod": "ISO_13818_2"}
    result = outgoing(tmp_path / "f", "SC_rgb_jpeg_dcmtk.dcm", DCT, said, **named)
    assert result.LossyImageCompressionMethod == "ISO_13818_2"
    assert result.LossyImageCompression == "01"


def test_a_loss_that_was_told_gets_no_method_of_ours(tmp_path: Path) -> None:
    """Which of several losses the 01 was for is not known here."""
    result = outgoing(tmp_path / "f", "JPEG2000.dcm", J2K, "01")
    assert "LossyImageCompressionMethod" not in result


def test_one_lossy_frame_among_others_makes_the_object_lossy(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype="u1").reshape(64, 64)
    exact = bytes(encode_array(values, photometric_interpretation=2))
    lossy = bytes(encode_array(values, photometric_interpretation=2, compression_ratios=[4]))
    dataset = image(np.zeros((3, 64, 64)), "u1")
    path = write(dataset, tmp_path / "f", J2K, encapsulated=fragments([exact, exact, lossy]))
    assert read(made(path, EXPLICIT), EXPLICIT).LossyImageCompression == "01"
    path = write(dataset, tmp_path / "f", J2K, encapsulated=fragments([exact, exact, exact]))
    assert "LossyImageCompression" not in read(made(path, EXPLICIT), EXPLICIT)


def _frame(name: str) -> bytes:
    (path,) = bundled_files(name)
    return next(generate_frames(dcmread(path).PixelData, number_of_frames=1))


def method_of(frame: bytes) -> str:
    return lossy_method(frame, inspect(frame))


COMMENT = b"\xff\xfe\x00\x0c\xff\xda\x00\x08\x01\x01\x00\x09\x00\x00"


def test_a_scan_header_inside_a_comment_is_none() -> None:
    frame = _frame("MR_small_jpeg_ls_lossless.dcm")
    assert method_of(frame[:2] + COMMENT + frame[2:]) == ""


@pytest.mark.parametrize(
    ("name", "method"),
    [("MR_small_jpeg_ls_lossless.dcm", "ISO_14495_1"), ("SC_rgb_jpeg_gdcm.dcm", "ISO_10918_1")],
)
def test_a_point_transform_drops_bits(name: str, method: str) -> None:
    frame = bytearray(_frame(name))
    at = frame.index(b"\xff\xda")
    assert method_of(bytes(frame)) == ""
    frame[at + 4 + 1 + 2 * frame[at + 4] + 2] = 1
    assert method_of(bytes(frame)) == method


@pytest.mark.parametrize("near", [(0, 0, 0), (0, 0, 2), (1, 0, 0)])
def test_each_component_s_scan_counts(near: tuple[int, ...]) -> None:
    """With 0xFF in the data, which no marker code follows (ISO 14495-1 C.1.1)."""
    frame = _segment(0xF7, struct.pack(">BHHB", 8, 4, 4, 3) + b"\1\x11\0\2\x11\0\3\x11\0")
    scans = [_segment(0xDA, bytes([1, n, 0, v, 0, 0])) for n, v in enumerate(near, 1)]
    data = b"\xff\xd8" + frame + b"\xff\x5a\xff\x7f\0\x13".join([*scans, b"\xff\xd9"])
    assert method_of(data) == ("ISO_14495_1" if any(near) else "")


def _coded(*markers: bytes) -> bytes:
    """JPEG 2000 headers: three components, a reversible default, and what is put after it."""
    size = struct.pack(">HLLLLLLLLH", 0, 8, 8, 0, 0, 8, 8, 0, 0, 3) + b"\7\1\1" * 3
    style = b"\0\0\0\1\0\5\4\4\0\1"
    start = b"\xff\x4f" + _segment(0x51, size) + _segment(0x52, style)
    return start + b"".join(markers) + b"\xff\xd9"


def _segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def _tile(*markers: bytes, size: int | None = None, data: bytes = b"\x80\x80") -> bytes:
    rest = b"".join(markers) + b"\xff\x93" + data
    length = len(rest) + 12 if size is None else size
    return _segment(0x90, struct.pack(">HLBB", 0, length, 0, 1)) + rest


IRREVERSIBLE = b"\0\0\0\1\0\5\4\4\0\0"
COMPONENT = b"\1\0\5\4\4\0\0"


@pytest.mark.parametrize(
    ("markers", "method"),
    [
        ((_tile(), _tile()), ""),
        ((_segment(0x53, COMPONENT), _tile()), "ISO_15444_1"),
        ((_tile(), _tile(_segment(0x52, IRREVERSIBLE))), "ISO_15444_1"),
        ((_tile(data=b"\xff\x90\xff\x91"), _tile(_segment(0x53, COMPONENT))), "ISO_15444_1"),
        ((_tile(size=0, data=_segment(0x52, IRREVERSIBLE)),), ""),
        ((_segment(0x50, b"\0\2\0\0\0\0"), _tile(_segment(0x52, IRREVERSIBLE))), "ISO_15444_15"),
        ((_segment(0x50, b"\0\2\0\0\0\0"), _tile()), ""),
    ],
)
def test_each_transformation_of_a_jpeg_2000_picture_counts(
    markers: tuple[bytes, ...], method: str
) -> None:
    """That of one component or tile as well; and what is in the data is no header."""
    assert method_of(_coded(*markers)) == method


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "JPEGLSNearLossless_08.dcm", "JPEG-lossy.dcm"])
def test_a_picture_cut_short_ends_the_search(name: str) -> None:
    frame = _frame(name)
    stream = inspect(frame)
    for end in range(0, min(len(frame), 400)):
        lossy_method(frame[:end], stream)
