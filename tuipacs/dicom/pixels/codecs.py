"""Decompressing one frame, by the first decoder that can, and checking what it gives back.

DCT JPEG goes first to the decoders that descend from the IJG library, as DCMTK and most viewers do:
Pillow for eight bits, GDCM for twelve. Both give DCMTK's very samples, where pylibjpeg-libjpeg
rounds otherwise and spreads subsampled chroma in its own way (up to 11 levels apart at edges), and
refuses many JPEG Extended files. All else goes to pylibjpeg first, then to GDCM.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from libjpeg.utils import decode as libjpeg_decode
from msgspec import Struct
from numpy.typing import NDArray
from openjpeg.utils import decode as openjpeg_decode
from PIL import Image

from tuipacs.dicom.pixels.codes import LOSSLESS, RLE
from tuipacs.dicom.pixels.codestream import Codestream, Coding, inspect
from tuipacs.dicom.pixels.gdcm_codec import decode_with_gdcm
from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.dicom.pixels.rle import decode_rle
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DecodeError

#: What the decoders raise for data they do not like.
_REFUSALS = (DecodeError, RuntimeError, ValueError, OSError, TypeError, SyntaxError)


class Decoded(Struct, frozen=True, kw_only=True):
    """Samples of one frame, (rows, columns[, 3]), in the colours named by ``photometric``."""

    samples: NDArray[Any]
    photometric: str
    decoder: str
    notes: tuple[str, ...] = ()
    settled: bool = False  # True: sign and depth are already those of the values


class Decompressed(Struct, frozen=True, kw_only=True):
    """What a decoder gave, untouched: samples in the type that it chose.

    ``stream`` is what the compressed picture says of itself; None for RLE, which says nothing.
    """

    samples: NDArray[Any]
    photometric: str
    decoder: str
    stream: Codestream | None = None
    notes: tuple[str, ...] = ()


def decode_frame(data: bytes, header: PixelHeader) -> Decoded:
    """Decompress one frame; DecodeError with each decoder's reason if none can."""
    found = decompress(data, header)
    notes = list(found.notes)
    samples = found.samples
    if found.stream is not None:
        samples = _values(samples, found.stream, header, notes)
    return Decoded(
        samples=samples,
        photometric=found.photometric,
        decoder=found.decoder,
        notes=tuple(notes),
        settled=found.stream is not None,
    )


def decompress(data: bytes, header: PixelHeader) -> Decompressed:
    """`decode_frame` without settling sign and depth."""
    if header.transfer_syntax == RLE:
        samples = decode_rle(data, header)
        return Decompressed(samples=samples, photometric=header.photometric, decoder="RLE")
    stream = inspect(data)
    _compare(stream, header)
    notes = _differences(stream, header)
    photometric = _colours(stream, header, notes)
    failures: list[str] = []
    for name, decode in _DECODERS[stream.coding]:
        try:
            samples, done = decode(data, stream, header, photometric)
        except _Unsuitable:
            continue
        except _REFUSALS as error:
            failures.append(f"{name}: {_reason(error)}")
            continue
        expected = (header.rows, header.columns) + ((3,) if header.samples == 3 else ())
        if samples.shape != expected:
            failures.append(f"{name}: gave a picture of another size")
            continue
        if failures:
            notes.append(f"decoded by {name}, because {failures[0]}")
        return Decompressed(
            samples=samples,
            photometric=done,
            decoder=name,
            stream=stream,
            notes=tuple(notes),
        )
    raise DecodeError(
        f"the {stream.coding} picture cannot be decoded ({'; '.join(failures) or 'no decoder'})"
    )


class _Unsuitable(Exception):
    """This decoder is not meant for such a stream."""


def _compare(stream: Codestream, header: PixelHeader) -> None:
    """Refuse a stream whose size is not the header's: decoders allocate by the stream's."""
    if (stream.rows, stream.columns) != (header.rows, header.columns):
        raise DecodeError(
            f"the compressed picture is {stream.columns} x {stream.rows} pixels but the header says"
            f" {header.columns} x {header.rows}"
        )
    if stream.components != header.samples:
        raise DecodeError(
            f"the compressed picture has {stream.components} components but the header says"
            f" {header.samples} samples a pixel"
        )
    if not 1 <= stream.precision <= 32 or header.bits_allocated == 1:
        raise DecodeError(f"{stream.precision} bits a sample cannot be decoded")


_SYNTAX_CODINGS = {
    **{f"1.2.840.10008.1.2.4.{n}": Coding.JPEG for n in (50, 51)},
    **{f"1.2.840.10008.1.2.4.{n}": Coding.JPEG_LOSSLESS for n in (57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": Coding.JPEG_LS for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": Coding.JPEG_2000 for n in (90, 91, 92, 93, 201, 202, 203)},
}


def _differences(stream: Codestream, header: PixelHeader) -> list[str]:
    notes: list[str] = []
    if _SYNTAX_CODINGS.get(header.transfer_syntax) is not stream.coding:
        notes.append(f"the picture is {stream.coding}, not what the transfer syntax says")
    if stream.coding is Coding.JPEG_2000 and stream.signed != header.signed:
        said, found = ("signed", "unsigned") if header.signed else ("unsigned", "signed")
        notes.append(f"the header says {said} samples, the JPEG 2000 picture {found} ones")
    return notes


def _colours(stream: Codestream, header: PixelHeader, notes: list[str]) -> str:
    """Return what the three components are: the stream's own word first, then the header's.

    PS3.5 8.2.1: the photometric interpretation describes the compressed samples. Where the two
    contradict each other the stream is right, because its encoder wrote it.
    """
    said = header.photometric
    if header.samples == 1:
        return said
    if stream.coding is Coding.JPEG_2000:
        if stream.ycc is False:
            if said not in {"RGB", "YBR_ICT", "YBR_RCT"}:
                notes.append(f"the header says {said}, the JPEG 2000 picture holds RGB")
            return "RGB"
        if said in {"YBR_ICT", "YBR_RCT"}:
            notes.append(f"the header says {said}, the JPEG 2000 picture has no such transform")
            return "RGB"
        return "YBR_FULL" if said.startswith("YBR_FULL") else said
    if said in {"YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422"}:
        raise DecodeError(f"{said} does not fit a {stream.coding} picture")
    ybr = said != "RGB"
    if stream.ycc is not None and stream.ycc != ybr:
        found = "YCbCr" if stream.ycc else "RGB"
        notes.append(f"the header says {said}, the JPEG picture says it holds {found}")
        ybr = stream.ycc
    return "YBR_FULL" if ybr else "RGB"


Samples = NDArray[Any]


def _pillow(
    data: bytes, stream: Codestream, _header: PixelHeader, photometric: str
) -> tuple[Samples, str]:
    if stream.precision != 8 or stream.components not in (1, 3):
        raise _Unsuitable
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        if stream.components == 3:
            if stream.guessed_ycc and photometric == "RGB":
                image.draft("YCbCr", image.size)  # the samples as they are, no conversion
            elif not stream.guessed_ycc and photometric != "RGB":
                raise _Unsuitable
            if image.mode not in {"RGB", "YCbCr"}:
                raise _Unsuitable
        image.load()
        return np.asarray(image), "RGB" if stream.components == 3 else photometric


def _libjpeg(
    data: bytes, _stream: Codestream, _header: PixelHeader, photometric: str
) -> tuple[Samples, str]:
    return libjpeg_decode(data, colour_transform=0), photometric


def _openjpeg(
    data: bytes, stream: Codestream, _header: PixelHeader, photometric: str
) -> tuple[Samples, str]:
    return openjpeg_decode(data[stream.offset :], j2k_format=0), photometric


def _gdcm(
    data: bytes, stream: Codestream, header: PixelHeader, photometric: str
) -> tuple[Samples, str]:
    if stream.components == 3 and stream.coding is Coding.JPEG:
        raise _Unsuitable  # converts colours or not by its own rules
    if _SYNTAX_CODINGS.get(header.transfer_syntax) is not stream.coding:
        raise _Unsuitable  # goes by the transfer syntax
    return decode_with_gdcm(data[stream.offset :], stream, header), photometric


Decoder = Callable[[bytes, Codestream, PixelHeader, str], tuple[Samples, str]]
_LIBJPEG = (f"pylibjpeg-libjpeg {version('pylibjpeg-libjpeg')}", _libjpeg)
_GDCM = (f"gdcm {version('python-gdcm')}", _gdcm)
_DECODERS: dict[Coding, tuple[tuple[str, Decoder], ...]] = {
    Coding.JPEG: ((f"pillow {version('pillow')}", _pillow), _GDCM, _LIBJPEG),
    Coding.JPEG_LOSSLESS: (_LIBJPEG, _GDCM),
    Coding.JPEG_LS: (_LIBJPEG, _GDCM),
    Coding.JPEG_2000: (
        (f"pylibjpeg-openjpeg {version('pylibjpeg-openjpeg')}", _openjpeg),
        _GDCM,
    ),
}


def _values(samples: Samples, stream: Codestream, header: PixelHeader, notes: list[str]) -> Samples:
    """Give the decoded samples their sign, and settle what is above the stored bits.

    JPEG and JPEG-LS know no sign: they keep the two's complement of the stored bits.
    """
    width = samples.dtype.itemsize
    array = np.ascontiguousarray(samples)
    if stream.signed and header.signed:
        return array.view(f"i{width}")
    array = array.view(f"u{width}")
    if stream.signed:
        return _low_bits(array, stream.precision)
    bits = min(stream.precision, header.bits_stored)
    if not header.signed:
        if bits < stream.precision and int(array.max()) >> bits:
            return _above(array, bits, header, notes)
        return array
    if stream.precision < header.bits_stored:
        notes.append(
            f"the header says {header.bits_stored} signed bits, the picture has {bits}: its highest"
            " bit is taken for the sign"
        )
    shift = width * 8 - bits
    values: Samples = (array << array.dtype.type(shift)).view(f"i{width}") >> shift
    return values


def _low_bits(array: Samples, bits: int) -> Samples:
    low: Samples = array & array.dtype.type((1 << bits) - 1)
    return low


def _above(array: Samples, bits: int, header: PixelHeader, notes: list[str]) -> Samples:
    """Values that need more than the stored bits: another plane if lossless, overshoot if lossy."""
    if header.transfer_syntax in LOSSLESS:
        notes.append(f"bits above the {bits} stored ones are in use; they are not shown")
        return _low_bits(array, bits)
    notes.append(f"lossy compression made values that need more than the {bits} stored bits")
    return array


def _reason(error: Exception) -> str:
    """Return a decoder's own words, short and safe to show."""
    return clean(" ".join(str(error).split()), limit=160) or type(error).__name__
