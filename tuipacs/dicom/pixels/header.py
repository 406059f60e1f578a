"""The Image Pixel module (PS3.3 C.7.6.3), checked as a whole before anything is allocated."""

from __future__ import annotations

from msgspec import Struct
from pydicom import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from tuipacs.dicom.encoding import NATIVE, REFERENCED
from tuipacs.dicom.pixels import limits
from tuipacs.dicom.pixels.codes import CODESTREAMS, RLE, VIDEO
from tuipacs.dicom.pixels.source import Source, name_of
from tuipacs.dicom.pixels.values import integer, text
from tuipacs.errors import DecodeError

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT"})
_NATIVE = NATIVE | {DeflatedExplicitVRLittleEndian}


class PixelHeader(Struct, frozen=True, kw_only=True):
    """How the samples of one object are stored. Sizes in pixels, depths in bits."""

    transfer_syntax: str
    native: bool
    keyword: str
    photometric: str
    rows: int
    columns: int
    samples: int
    planar: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    notes: tuple[str, ...] = ()

    @property
    def floating(self) -> bool:
        """Whether the samples are IEEE 754 numbers (PS3.3 C.7.6.24, C.7.6.25)."""
        return self.keyword != "PixelData"

    @property
    def frame_bits(self) -> int:
        """Bits of one uncompressed frame; 4:2:2 stores two samples a pixel (C.7.6.3.1.2)."""
        samples = 2 if self.photometric.endswith("_422") else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


def read_header(source: Source) -> PixelHeader:
    """Return the checked description of the pixels; DecodeError says which value is absurd."""
    syntax = source.transfer_syntax
    _refuse_what_is_no_picture(source, syntax)
    dataset = source.dataset
    notes: list[str] = []
    rows = _between(dataset, "Rows", 1, 65535)
    columns = _between(dataset, "Columns", 1, 65535)
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric not in _GREY | _COLOUR:
        known = photometric in {"HSV", "ARGB", "CMYK", "YBR_PARTIAL_420", "XYB"}
        raise DecodeError(
            f"photometric interpretation {photometric} cannot be shown"
            if known
            else "the photometric interpretation is missing or unknown"
        )
    samples = integer(dataset, "SamplesPerPixel")
    if samples != (1 if photometric in _GREY else 3):
        raise DecodeError(f"{samples} samples a pixel do not fit {photometric}")
    limits.check_frame_samples(rows, columns, samples)
    frames = integer(dataset, "NumberOfFrames", 1)
    if not 1 <= frames < 1 << 31:
        raise DecodeError(f"a number of frames of {frames} makes no sense")
    allocated, stored, high, signed = _depth(source, notes)
    if samples == 3 and (allocated == 1 or source.pixel_keyword != "PixelData" or signed):
        raise DecodeError("colours must be unsigned samples of at least eight bits")
    planar = integer(dataset, "PlanarConfiguration", 0) if samples == 3 else 0
    if planar not in (0, 1):
        raise DecodeError(f"planar configuration {planar} does not exist")
    header = PixelHeader(
        transfer_syntax=str(syntax),
        native=syntax in _NATIVE,
        keyword=source.pixel_keyword,
        photometric=photometric,
        rows=rows,
        columns=columns,
        samples=samples,
        planar=planar,
        frames=frames,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=signed,
        notes=tuple(notes),
    )
    _check_against_the_bytes(header, source)
    return header


def _between(dataset: Dataset, keyword: str, low: int, high: int) -> int:
    value = integer(dataset, keyword)
    if not low <= value <= high:
        raise DecodeError(f"{keyword} is {value}, which makes no sense")
    return value


def _refuse_what_is_no_picture(source: Source, syntax: UID) -> None:
    if syntax in VIDEO:
        raise DecodeError(f"this is a video ({name_of(syntax)}); moving pictures cannot be shown")
    if syntax in REFERENCED or "PixelDataProviderURL" in source.dataset:
        raise DecodeError("the pixels are not in this object, only a reference to a server")
    if not source.pixel_keyword:
        kind = name_of(source.sop_class)
        if "MIMETypeOfEncapsulatedDocument" in source.dataset:
            raise DecodeError(f"this is a document, not a picture ({kind})")
        raise DecodeError(f"this object has no pixel data ({kind})")
    if syntax not in _NATIVE | CODESTREAMS | {RLE}:
        raise DecodeError(
            f"this program has no decoder for this transfer syntax ({name_of(syntax)})"
        )


def _depth(source: Source, notes: list[str]) -> tuple[int, int, int, bool]:
    dataset = source.dataset
    allocated = integer(dataset, "BitsAllocated")
    if source.pixel_keyword != "PixelData":
        expected = 32 if source.pixel_keyword == "FloatPixelData" else 64
        if allocated != expected:
            raise DecodeError(f"{allocated} bits allocated do not fit {source.pixel_keyword}")
        return allocated, allocated, allocated - 1, True
    if allocated not in (1, 8, 16, 32):
        raise DecodeError(f"{allocated} bits allocated a sample cannot be decoded")
    stored = integer(dataset, "BitsStored", allocated)
    if not 1 <= stored <= allocated:
        raise DecodeError(f"{stored} bits stored do not fit {allocated} bits allocated")
    high = integer(dataset, "HighBit", stored - 1)
    if not stored - 1 <= high < allocated:
        raise DecodeError(f"high bit {high} does not fit {stored} of {allocated} bits")
    representation = dataset.get("PixelRepresentation")
    if representation is None:
        notes.append("Pixel Representation is missing: taken as unsigned")
    signed = integer(dataset, "PixelRepresentation", 0)
    if signed not in (0, 1):
        raise DecodeError(f"pixel representation {signed} does not exist")
    return allocated, stored, high, signed == 1


def _check_against_the_bytes(header: PixelHeader, source: Source) -> None:
    """Refuse a header that promises what the file does not hold."""
    length = source.pixel_length
    there = source.data.size - source.pixel_offset
    if not header.native:
        if length is not None:
            raise DecodeError("the transfer syntax is compressed but the pixel data is not")
        if header.floating:
            raise DecodeError("floating point pixels cannot be compressed")
        if header.frames * 8 > there:  # each frame has at least one item header (PS3.5 A.4)
            raise DecodeError(f"{header.frames} frames do not fit in {there} bytes of pixel data")
        return
    if length is None:
        raise DecodeError("the transfer syntax is uncompressed but the pixel data is not")
    if length > there:
        raise DecodeError(f"the pixel data is truncated: {there} bytes of {length} are in the file")
    needed = (header.frames * header.frame_bits + 7) // 8
    if needed > length:
        raise DecodeError(
            f"{header.frames} frame{'s' * (header.frames > 1)} of {header.columns} x {header.rows}"
            f" need {needed} bytes, but the pixel data has {length}"
        )
