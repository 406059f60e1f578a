"""A decompressed object holds the pixels of the compressed one, and says what they are in."""

from __future__ import annotations

import struct
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from tests.bundled import bundled_files
from tests.unit.pixels.images import END, fragments, image, item, rle, write
from tests.unit.transcoding.making import EXPLICIT, IMPLICIT, actual_syntax, made, read
from tuipacs.dicom.encoding import ENCAPSULATED
from tuipacs.dicom.transcoding.rules import targets_of
from tuipacs.errors import DecodeError, InvalidObjectError

RLE = "1.2.840.10008.1.2.5"
JPEG, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
NOT_DECODED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "the compressed picture is",
    "SC_rgb_jpeg.dcm": "not encoded as its transfer syntax says",  # implicit VR
}


def _compressed_files() -> list[Path]:
    found = []
    for path in bundled_files():
        try:
            if actual_syntax(path) in ENCAPSULATED:
                found.append(path)
        except InvalidObjectError:
            continue
    return found


FILES = [path for path in _compressed_files() if path.name not in NOT_DECODED]


def frames(dataset: FileDataset, plugin: str = "") -> list[NDArray[Any]]:
    """The samples as stored."""
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [a for a, _ in decoder.iter_array(dataset, raw=True, decoding_plugin=plugin)]


def test_there_are_enough_files_to_look_at() -> None:
    assert len(FILES) >= 35
    assert len({actual_syntax(path) for path in FILES}) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_pixels_are_those_that_other_decoders_give(path: Path) -> None:
    """Every frame, sample by sample, as each plugin of pydicom decodes it that can.

    Not where colours were converted: pydicom leaves those as they are.
    """
    source = dcmread(path)
    result = read(made(path, EXPLICIT), EXPLICIT)
    converted = source.PhotometricInterpretation.startswith("YBR_FULL")
    if converted and result.PhotometricInterpretation == "RGB":
        return  # `test_dcmtk_decompresses_to_the_same_bytes`
    ours = frames(result)
    compared = 0
    for plugin in get_decoder(source.file_meta.TransferSyntaxUID).available_plugins:
        try:
            theirs = frames(source, plugin)
        except (RuntimeError, ValueError):
            continue
        compared += 1
        assert len(theirs) == len(ours)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert compared or path.name in {
        "JPEG-lossy.dcm",  # 12 bits: DCMTK
        "JPGExtended.dcm",
        "J2K_pixelrep_mismatch.dcm",
    }


DCMTK_DECODERS = {
    "1.2.840.10008.1.2.4.50": "dcmdjpeg",
    "1.2.840.10008.1.2.4.51": "dcmdjpeg",
    "1.2.840.10008.1.2.4.57": "dcmdjpeg",
    "1.2.840.10008.1.2.4.70": "dcmdjpeg",
    "1.2.840.10008.1.2.4.80": "dcmdjpls",
    "1.2.840.10008.1.2.4.81": "dcmdjpls",
    RLE: "dcmdrle",
}
DCMTK_FILES = [path for path in FILES if actual_syntax(path) in DCMTK_DECODERS]


@pytest.mark.dcmtk
@pytest.mark.parametrize("path", DCMTK_FILES, ids=lambda path: path.name)
def test_dcmtk_decompresses_to_the_same_bytes(path: Path, tmp_path: Path) -> None:
    """Lossy colours too: the same samples, and the same name for what they are in."""
    program = DCMTK_DECODERS[actual_syntax(path)]
    subprocess.run([program, "-q", path, tmp_path / "theirs"], check=True, capture_output=True)
    theirs = dcmread(tmp_path / "theirs")
    ours = read(made(path, EXPLICIT), EXPLICIT)
    assert ours.PhotometricInterpretation == theirs.PhotometricInterpretation
    assert ours.get("PlanarConfiguration") == theirs.get("PlanarConfiguration")
    assert ours.PixelData == theirs.PixelData


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about values of real files
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_all_else_stays_as_it_was(path: Path, target: str) -> None:
    source, result = dcmread(path), read(made(path, target), target)
    allowed = {
        "PixelData",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "BitsStored",
        "HighBit",
        "LossyImageCompression",
        "LossyImageCompressionMethod",
    }
    for element in source:
        if element.tag.element == 0 or element.keyword in allowed:
            continue
        if element.tag.is_private:
            assert element.tag in result
        else:
            assert str(result[element.tag].value) == str(element.value), element.tag
    for element in result:
        assert element.tag in source or element.keyword in allowed, element.tag
    assert result.SOPInstanceUID == source.SOPInstanceUID


def plain(values: Any, **attributes: Any) -> Dataset:
    return image(values, "u1", **attributes)


def test_frames_come_in_their_order_and_odd_lengths_are_padded(tmp_path: Path) -> None:
    planes = [b"\1", b"\2", b"\3"]
    dataset = plain(np.zeros((3, 1, 1)))
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([rle(p) for p in planes]))
    result = read(made(path, EXPLICIT), EXPLICIT)
    assert result.PixelData == b"".join(planes) + b"\0"
    assert result["PixelData"].VR == "OB"
    assert not result["PixelData"].is_undefined_length


def test_the_tables_of_compressed_frames_go(tmp_path: Path) -> None:
    """They are offsets into fragments, of which there are none any more (PS3.3 C.7.6.3.1.8)."""
    frames_ = [rle(bytes([1, 2])), rle(bytes([3, 4]))]
    dataset = plain(np.zeros((2, 1, 2)))
    dataset.ExtendedOffsetTable = struct.pack("<2Q", 0, 8 + len(frames_[0]))
    dataset.ExtendedOffsetTableLengths = struct.pack("<2Q", *map(len, frames_))
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments(frames_))
    result = read(made(path, EXPLICIT), EXPLICIT)
    assert "ExtendedOffsetTable" not in result
    assert "ExtendedOffsetTableLengths" not in result
    assert result.PixelData == bytes([1, 2, 3, 4])


def _planes(*planes: bytes) -> bytes:
    """An RLE frame of several segments that hold their bytes literally."""
    bodies = [bytes([len(plane) - 1]) + plane for plane in planes]
    offsets = [64 + sum(map(len, bodies[:i])) for i in range(len(bodies))]
    header = struct.pack("<16L", len(planes), *offsets, *([0] * (15 - len(planes))))
    body = b"".join(bodies)
    return header + body + b"\0" * (len(body) % 2)


@pytest.mark.parametrize("planar", [None, 0, 1])
def test_colours_are_pixel_by_pixel_afterwards_and_say_so(
    planar: int | None, tmp_path: Path
) -> None:
    dataset = plain(np.zeros((1, 2, 3)), PlanarConfiguration=planar)
    frame = _planes(b"\x01\x02", b"\x03\x04", b"\x05\x06")
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([frame]))
    result = read(made(path, EXPLICIT), EXPLICIT)
    assert result.PlanarConfiguration == 0
    assert result.PixelData == bytes([1, 3, 5, 2, 4, 6])
    assert [e.tag for e in result] == sorted(e.tag for e in result)


def test_chroma_that_is_all_there_is_not_called_subsampled(tmp_path: Path) -> None:
    """Native YBR_FULL_422 would have half as many samples (PS3.3 C.7.6.3.1.2)."""
    dataset = plain(np.zeros((1, 2, 3)), PhotometricInterpretation="YBR_FULL_422")
    frame = _planes(b"\x01\x02", b"\x03\x04", b"\x05\x06")
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([frame]))
    assert read(made(path, EXPLICIT), EXPLICIT).PhotometricInterpretation == "YBR_FULL"


def test_bits_above_the_stored_ones_are_kept_in_lossless_pictures(tmp_path: Path) -> None:
    """Overlays were once kept there: a bit that was stored must not get lost."""
    dataset = image([[0, 0]], "u2", BitsStored=12)
    frame = _planes(b"\xf1\x02", b"\x34\x56")  # the high bytes, then the low ones
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([frame]))
    result = read(made(path, EXPLICIT), EXPLICIT)
    assert result.PixelData == b"\x34\xf1\x56\x02"
    assert (result.BitsStored, result["PixelData"].VR) == (12, "OW")


def _with_icon(path: Path, icon_frame: bytes) -> Path:
    """A picture in RLE with an icon that is compressed too."""
    icon = plain([[0, 0]])
    del icon.SOPClassUID, icon.SOPInstanceUID, icon.PixelData
    dataset = plain([[0, 0]])
    dataset.IconImageSequence = [icon]
    write(dataset, path, RLE, encapsulated=fragments([rle(b"\x01\x02")]))
    data = path.read_bytes()
    inside = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + fragments([icon_frame])
    at = data.index(b"\x88\x00\x00\x02SQ\0\0") + 8
    length = int.from_bytes(data[at + 8 : at + 12], "little")
    body = data[at + 12 : at + 12 + length] + inside
    new = struct.pack("<L", len(body) + 8) + b"\xfe\xff\x00\xe0" + struct.pack("<L", len(body))
    path.write_bytes(data[:at] + new + body + data[at + 12 + length :])
    return path


def test_a_compressed_icon_is_decompressed_too(tmp_path: Path) -> None:
    path = _with_icon(tmp_path / "f", rle(b"\x07\x08"))
    result = read(made(path, EXPLICIT), EXPLICIT)
    assert result.IconImageSequence[0].PixelData == b"\x07\x08"
    assert result.PixelData == b"\x01\x02"


def test_an_icon_that_cannot_be_decoded_stops_the_whole(tmp_path: Path) -> None:
    path = _with_icon(tmp_path / "f", b"\x00" * 64)
    with pytest.raises(DecodeError):
        made(path, EXPLICIT)


def test_a_frame_that_is_missing_is_no_picture(tmp_path: Path) -> None:
    dataset = plain(np.zeros((3, 1, 2)))
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([rle(b"\1\2"), rle(b"\3\4")]))
    with pytest.raises(DecodeError, match="do not fit"):
        made(path, EXPLICIT)


def test_a_damaged_frame_in_the_middle_is_no_picture(tmp_path: Path) -> None:
    dataset = plain(np.zeros((2, 1, 2)))
    path = write(dataset, tmp_path / "f", RLE, encapsulated=fragments([rle(b"\1\2"), b"\0" * 64]))
    with pytest.raises(DecodeError):
        made(path, EXPLICIT)


def test_native_pixels_under_a_compressed_syntax_are_left_alone(tmp_path: Path) -> None:
    path = write(plain([[1, 2]]), tmp_path / "f", EXPLICIT)
    with pytest.raises(DecodeError, match="no compressed pixel data"):
        made(path, EXPLICIT, stored=RLE)


def test_padding_keeps_the_fragments(tmp_path: Path) -> None:
    """The same compressed syntax, with an odd value padded: not a byte of the picture changes."""
    value = fragments([rle(b"\1\2")])
    path = write(plain([[1, 2]]), tmp_path / "f", RLE, encapsulated=value)
    data = path.read_bytes().replace(b"\x10\x00\x10\x00PN\x04\0TEST", b"")
    at = data.index(b"\x28\x00\x02\x00US")
    path.write_bytes(data[:at] + b"\x10\x00\x20\x00LO\x03\0ABC" + data[at:])
    out = made(path, RLE)
    assert b"\x10\x00\x20\x00LO\x04\0ABC " in out
    assert out.endswith(value)


@pytest.mark.parametrize(
    "stored",
    ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.103.1", "1.2.840.10008.1.2.4.107", "1.2.3"],
)
def test_videos_and_unknown_syntaxes_are_never_made_into_anything(
    stored: str, tmp_path: Path
) -> None:
    assert targets_of(stored, [EXPLICIT]) == ()
    path = write(plain([[1, 2]]), tmp_path / "f", EXPLICIT, encapsulated=item(b"") + END)
    with pytest.raises(DecodeError):
        made(path, EXPLICIT, stored=stored)


def test_a_document_in_a_compressed_syntax_is_left_alone(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.104.1")
    dataset.EncapsulatedDocument = b"%PDF"
    path = write(dataset, tmp_path / "f", JPEG)
    with pytest.raises(DecodeError, match="no compressed pixel data"):
        made(path, EXPLICIT)
