"""Headers that lie are refused by arithmetic, in words, before anything is allocated."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file, get_testdata_files
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from tuipacs.dicom.pixels import limits
from tuipacs.dicom.pixels.codestream import inspect
from tuipacs.errors import DecodeError, TuipacsError

from .images import RLE, fragments, image, render_frame, write


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Rows": 0}, "Rows is 0"),
        ({"Columns": 0}, "Columns is 0"),
        ({"Rows": None}, "Rows is missing"),
        ({"Rows": 65535, "Columns": 65535}, "larger than"),
        ({"Rows": 60000}, "need 240000 bytes, but the pixel data has 8"),
        ({"NumberOfFrames": 0}, "number of frames of 0"),
        ({"NumberOfFrames": -3}, "number of frames of -3"),
        ({"NumberOfFrames": 10**9}, "need 8000000000 bytes"),
        ({"NumberOfFrames": 10**11}, "makes no sense"),
        ({"BitsAllocated": 0, "BitsStored": 0, "HighBit": 0}, "0 bits allocated"),
        ({"BitsAllocated": 7, "BitsStored": 7, "HighBit": 6}, "7 bits allocated"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "12 bits allocated"),
        ({"BitsAllocated": 64}, "64 bits allocated"),
        ({"BitsAllocated": 32}, "need 16 bytes"),
        ({"BitsAllocated": None}, "Bits Allocated is missing"),
        ({"BitsStored": 17, "HighBit": 15}, "17 bits stored"),
        ({"BitsStored": 0, "HighBit": 0}, "0 bits stored"),
        ({"BitsStored": 12, "HighBit": 5}, "high bit 5"),
        ({"BitsStored": 12, "HighBit": 16}, "high bit 16"),
        ({"PixelRepresentation": 2}, "pixel representation 2"),
        ({"SamplesPerPixel": 3}, "3 samples a pixel do not fit MONOCHROME2"),
        ({"SamplesPerPixel": 0}, "0 samples"),
        ({"SamplesPerPixel": None}, "Samples per Pixel is missing"),
        ({"PhotometricInterpretation": None}, "photometric interpretation is missing"),
        ({"PhotometricInterpretation": "MONOCHROME3"}, "missing or unknown"),
        ({"PhotometricInterpretation": "HSV"}, "HSV cannot be shown"),
        ({"PixelData": b"\0" * 6}, "need 8 bytes, but the pixel data has 6"),
    ],
)
def test_an_absurd_header_is_refused(
    tmp_path: Path, attributes: dict[str, Any], words: str
) -> None:
    path = write(image([[1, 2], [3, 4]], **attributes), tmp_path / "a.dcm")
    with pytest.raises(DecodeError, match=words):
        render_frame(path)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Rows": 65535, "Columns": 2000}, "compressed picture is|RLE data is too short"),
        ({"NumberOfFrames": 10**9}, "frames do not fit"),
        ({"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}, "segments"),
        ({"Rows": 1000}, "RLE data is too short"),
    ],
)
def test_an_absurd_header_of_a_compressed_object_is_refused(
    tmp_path: Path, attributes: dict[str, Any], words: str
) -> None:
    body = struct.pack("<16L", 1, 64, *([0] * 14)) + b"\x01\x05\x06\0"
    path = write(
        image([[5, 6]], "u1", **attributes), tmp_path / "a.dcm", RLE, encapsulated=fragments([body])
    )
    with pytest.raises(DecodeError, match=words):
        render_frame(path)


def test_a_picture_that_is_larger_than_the_header_says_never_reaches_a_decoder(
    tmp_path: Path,
) -> None:
    """An image bomb: the JPEG promises 65535 x 65535 pixels."""
    frame = bytes.fromhex("ffd8ffc0000b08ffffffff0101110000") + b"\0" * 16
    assert inspect(frame).rows == 65535
    path = write(
        image([[5, 6]], "u1"), tmp_path / "a.dcm", JPEGBaseline8Bit, encapsulated=fragments([frame])
    )
    with pytest.raises(DecodeError, match="65535 x 65535 pixels but the header says 2 x 1"):
        render_frame(path)


def test_what_is_no_picture_says_what_it_is(tmp_path: Path) -> None:
    document = Dataset()
    document.SOPClassUID = EncapsulatedPDFStorage
    document.SOPInstanceUID = "2.25.1"
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    with pytest.raises(DecodeError, match=r"document, not a picture .Encapsulated PDF Storage"):
        render_frame(write(document, tmp_path / "a.dcm"))
    video = write(
        image([[1]], "u1"), tmp_path / "b.dcm", MPEG4HP41, encapsulated=fragments([b"\0" * 8])
    )
    with pytest.raises(DecodeError, match=r"video .MPEG-4"):
        render_frame(video)
    path = get_testdata_file("rtplan.dcm", download=False)
    assert isinstance(path, str)
    with pytest.raises(DecodeError, match=r"no pixel data .RT Plan Storage"):
        render_frame(Path(path))


def test_a_transfer_syntax_without_a_decoder_is_named(tmp_path: Path) -> None:
    path = write(
        image([[1]], "u1"),
        tmp_path / "a.dcm",
        "1.2.840.10008.1.2.4.52",
        encapsulated=fragments([b"\0" * 8]),
    )
    with pytest.raises(DecodeError, match="no decoder"):
        render_frame(path)


def test_a_syntax_that_contradicts_the_pixels_is_refused(tmp_path: Path) -> None:
    native = write(image([[1, 2]], "u1"), tmp_path / "a.dcm")
    content = native.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    (tmp_path / "b.dcm").write_bytes(content)
    with pytest.raises(DecodeError, match="compressed but the pixel data is not"):
        render_frame(tmp_path / "b.dcm")
    packed = write(image([[1, 2]], "u1"), tmp_path / "c.dcm", encapsulated=fragments([b"\1\2"]))
    with pytest.raises(DecodeError, match="uncompressed but the pixel data is not"):
        render_frame(packed)


def test_a_deflate_bomb_is_refused(tmp_path: Path) -> None:
    """It would inflate to more than is allowed; only a part of it ever is."""
    path = write(image([[1, 2]], "u1"), tmp_path / "a.dcm")
    plain = path.read_bytes()
    head = plain[: plain.index(b"\x08\x00\x16\x00UI")]
    deflated = str(DeflatedExplicitVRLittleEndian).encode()
    old = b"UI\x14\x001.2.840.10008.1.2.1\0"
    head = head.replace(old, b"UI" + struct.pack("<H", len(deflated)) + deflated)
    packer = zlib.compressobj(wbits=-15)
    chunk = b"\0" * (1 << 20)
    bomb = b"".join(packer.compress(chunk) for _ in range((limits.MAX_INFLATED >> 20) + 8))
    (tmp_path / "b.dcm").write_bytes(head + bomb + packer.flush())
    with pytest.raises(DecodeError, match="grows beyond"):
        render_frame(tmp_path / "b.dcm")


def test_sequences_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    """Undefined lengths 5,000 deep in a sequence that has to be read."""
    path = write(image([[1, 2]], "u1"), tmp_path / "a.dcm")
    plain = path.read_bytes()
    at = plain.index(b"\xe0\x7f\x10\x00")
    begin = b"\x28\x00\x10\x30SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    (tmp_path / "b.dcm").write_bytes(plain[:at] + begin * 5000 + end * 5000 + plain[at:])
    with pytest.raises(DecodeError, match="nested too deeply"):
        render_frame(tmp_path / "b.dcm")


@pytest.mark.parametrize("value", ["NaN", "1e400", "abc", ""])
def test_a_rescale_that_is_no_number_is_refused(tmp_path: Path, value: str) -> None:
    picture = image([[1, 2]])
    picture.add_new(0x00281053, "LO", value)
    path = write(picture, tmp_path / "a.dcm")
    content = path.read_bytes().replace(b"\x28\x00\x53\x10LO", b"\x28\x00\x53\x10DS")
    path.write_bytes(content)
    if not value:
        assert list(render_frame(path).pixels) == [0, 255]
        return
    with pytest.raises(DecodeError, match="Rescale Slope is not a"):
        render_frame(path)


def test_only_the_frame_asked_for_is_read(tmp_path: Path) -> None:
    """A sparse 8 GB object: its last frame comes without reading or allocating the rest."""
    picture = image(np.zeros((1, 1, 2)), "u1", Rows=2048, Columns=2048, NumberOfFrames=1000)
    path = write(picture, tmp_path / "a.dcm")
    size = 2048 * 2048 * 1000
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00") + 8
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack("<L", size))
        file.truncate(at + 4 + size)
        file.seek(at + 4 + size - 1)
        file.write(b"\xff")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frame = render_frame(path, 1000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (frame.pixels[0], frame.pixels[-1]) == (0, 255)
    assert grown < 200_000  # KiB


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "image_dfl.dcm",
    ],
)
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    source = get_testdata_file(name, download=False)
    assert isinstance(source, str)
    content = Path(source).read_bytes()
    last = len(content) - 9  # checksum and padding follow the deflated bytes
    if b"\xfe\xff\xdd\xe0" in content:
        last = content.rindex(b"\xfe\xff\xdd\xe0") + 7
    if name == "CT_small.dcm":  # private padding follows its pixels
        last = content.index(b"\xe0\x7f\x10\x00OW") + 12 + 128 * 128 * 2 - 1
    path = tmp_path / "a.dcm"
    for length in [*range(0, last, max(last // 150, 1)), last]:
        path.write_bytes(content[:length])
        with pytest.raises(DecodeError):
            render_frame(path)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(
        [
            "MR_small.dcm",
            "liver_1frame.dcm",
            "examples_palette.dcm",
            "SC_rgb_rle_2frame.dcm",
            "6293",
        ]
    ),
    places=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_header_with_wrong_bytes_is_shown_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, places: list[tuple[int, int]]
) -> None:
    """No other exception leaves, whatever the bytes are."""
    source = next(path for path in get_testdata_files() if Path(path).name == name)
    content = bytearray(Path(source).read_bytes())
    for at, value in places:
        content[132 + at % (len(content) - 132)] = value
    path = tmp_path_factory.getbasetemp() / "hostile.dcm"
    path.write_bytes(content)
    try:
        frame = render_frame(path)
    except TuipacsError as error:
        assert error.message
        return
    assert len(frame.pixels) == frame.rows * frame.columns * frame.samples


def test_a_missing_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        render_frame(tmp_path / "nothing.dcm")
    empty = tmp_path / "empty.dcm"
    empty.write_bytes(b"")
    with pytest.raises(DecodeError, match="empty"):
        render_frame(empty)


def test_a_jpeg_2000_header_that_lies_is_refused(tmp_path: Path) -> None:
    source = get_testdata_file("MR_small_jp2klossless.dcm", download=False)
    assert isinstance(source, str)
    content = Path(source).read_bytes()
    assert dcmread(source).file_meta.TransferSyntaxUID == JPEG2000Lossless
    at = content.index(b"\xff\x4f\xff\x51")
    for offset, value in (
        (8, b"\xff\xff\xff\xff"),
        (40, b"\x40\x00"),
        (42, b"\x3f"),
        (43, b"\x02"),
    ):
        broken = content[: at + offset] + value + content[at + offset + len(value) :]
        (tmp_path / "a.dcm").write_bytes(broken)
        with pytest.raises(DecodeError):
            render_frame(tmp_path / "a.dcm")
