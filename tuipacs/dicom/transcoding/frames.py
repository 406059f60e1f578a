"""Compressed pixel data as native pixel data, frame by frame (PS3.5 8.1, A.4)."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from tuipacs.dicom.pixels.codecs import Decompressed, decompress
from tuipacs.dicom.pixels.codes import LOSSLESS
from tuipacs.dicom.pixels.codestream import inspect
from tuipacs.dicom.pixels.encapsulated import FrameTable
from tuipacs.dicom.pixels.header import PixelHeader, read_header
from tuipacs.dicom.pixels.loss import lossy_method
from tuipacs.dicom.pixels.source import Bytes, Source
from tuipacs.dicom.pixels.values import BAD_VALUE
from tuipacs.dicom.transcoding.reading import Element
from tuipacs.dicom.transcoding.writing import Tick, Write
from tuipacs.errors import DecodeError

Samples = NDArray[Any]


class ElementSource(Source):
    """The picture that the elements of one dataset describe, of the object or of an icon in it."""

    def __init__(self, data: Bytes, start: int, pixels: Element, transfer_syntax_uid: str) -> None:
        """``start`` is where the dataset begins, ``pixels`` its compressed pixel data."""
        self.transfer_syntax = UID(transfer_syntax_uid)
        self.notes = ()
        self.data = data
        self.big_endian = False
        header = data.read(start, pixels.start - 12 - start)
        try:
            self.dataset = read_dataset(io.BytesIO(header), False, True)
        except BAD_VALUE as error:
            raise DecodeError("what describes its picture cannot be read") from error
        self.sop_class = UID(str(self.dataset.get("SOPClassUID") or ""))
        self.pixel_keyword = "PixelData"
        self.pixel_vr = pixels.vr
        self.pixel_offset = pixels.start
        self.pixel_length = None


class NativePixels:
    """The decoded frames of one picture as a value of native pixel data.

    ``photometric`` is what they are in, which a decoder may have changed. ``bits_stored``: how many
    bits they need, if that is more than the header says, else None. ``lossy_method`` is how any of
    them was compressed with loss, empty if none was. Raises `DecodeError`.
    """

    def __init__(self, source: Source, tick: Tick, *, big_endian: bool) -> None:
        self._header = read_header(source)
        if self._header.high_bit + 1 > self._header.bits_allocated:
            raise DecodeError("its high bit does not fit")
        if big_endian and self._header.bits_allocated > 16:
            raise DecodeError("its samples are too wide for big endian words")
        self._table = FrameTable(source, self._header)
        self._big_endian = big_endian
        first = self._frame(0)
        self.photometric = _photometric(first)
        self._first: bytes | None = self._bytes(first)
        self._frame_size = len(self._first)
        self._precision = first.stream.precision if first.stream else 0
        self.bits_stored = wider_bits(first, self._header)
        total = self._header.frames * self._frame_size
        self.length = total + total % 2
        if self.length > 0xFFFFFFFE:
            raise DecodeError("uncompressed it would be longer than 4 GiB, which no element can be")
        self.vr = "OB" if self._header.bits_allocated <= 8 else "OW"
        self.is_colour = self._header.samples == 3
        self.lossy_method = self._lossy_method(first, tick)

    def write(self, write: Write, tick: Tick) -> None:
        """All frames, each decoded when its turn comes."""
        first, self._first = self._first, None
        for index in range(self._header.frames):
            if index == 0 and first is not None:
                frame, first = first, None
            else:
                decoded = self._frame(index)
                if _photometric(decoded) != self.photometric:
                    raise DecodeError("not all of its frames are in the same colours")
                if decoded.stream and decoded.stream.precision != self._precision:
                    raise DecodeError("not all of its frames have the same precision")
                frame = self._bytes(decoded)
            if len(frame) != self._frame_size:
                raise DecodeError("not all of its frames are of one size")
            write(frame)
            tick()
        if self._header.frames * self._frame_size % 2:
            write(b"\0")

    def _lossy_method(self, first: Decompressed, tick: Tick) -> str:
        """Of all frames, before any is written: the header that says so goes out before them."""
        if first.stream is None:  # RLE
            return ""
        for index in range(self._header.frames):
            frame = self._table.frame(index)
            if method := lossy_method(frame, inspect(frame)):
                return method
            tick()
        return ""

    def _frame(self, index: int) -> Decompressed:
        return decompress(self._table.frame(index), self._header)

    def _bytes(self, decoded: Decompressed) -> bytes:
        samples = stored_samples(decoded, self._header)
        if self._big_endian and samples.dtype.itemsize == 2:
            samples = samples.byteswap()
        return samples.tobytes()


def _photometric(decoded: Decompressed) -> str:
    """What native samples are called: all three of each pixel are there (PS3.3 C.7.6.3.1.2)."""
    if decoded.photometric == "YBR_PARTIAL_422":
        raise DecodeError("its colours have no name without subsampling")
    return decoded.photometric.removesuffix("_422")


def stored_samples(decoded: Decompressed, header: PixelHeader) -> Samples:
    """The samples in as many bits as the header allocates; no bit of a lossless picture changes.

    A sign is spread over the bits above it, as those had it who wrote it in whole words.
    """
    stream = decoded.stream
    samples = np.ascontiguousarray(decoded.samples)
    if stream is None:
        return samples
    if stream.precision > header.bits_allocated:
        raise DecodeError(
            f"its samples of {stream.precision} bits do not fit into {header.bits_allocated}"
        )
    if header.high_bit != header.bits_stored - 1 and stream.precision <= header.high_bit:
        raise DecodeError("where its bits were within the words is not known")
    width, allocated = samples.dtype.itemsize, header.bits_allocated // 8
    if stream.signed and header.signed:
        return samples.view(f"<i{width}").astype(f"<i{allocated}")
    unsigned = samples.view(f"<u{width}")
    if stream.signed:  # the header counts from zero: the bits as they are
        unsigned = _low(unsigned, stream.precision)
    elif header.signed and stream.precision <= header.bits_stored:
        shift = width * 8 - stream.precision
        words: Samples = (unsigned << unsigned.dtype.type(shift)).view(f"<i{width}") >> shift
        return words.astype(f"<i{allocated}")
    return unsigned.astype(f"<u{allocated}")


def _low(samples: Samples, bits: int) -> Samples:
    low: Samples = samples & samples.dtype.type((1 << bits) - 1)
    return low


def wider_bits(decoded: Decompressed, header: PixelHeader) -> int | None:
    """Lossy compression makes values that need more than the stored bits: these are named then.

    Lossless, bits above the stored ones are another plane; and where signed samples went through
    a codec that knows no sign, their words are as they were.
    """
    stream = decoded.stream
    if stream is None or header.transfer_syntax in LOSSLESS:
        return None
    if stream.precision <= header.bits_stored or (header.signed and not stream.signed):
        return None
    return stream.precision


def element_text(text: str) -> bytes:
    """A code string of even length."""
    value = text.encode("ascii")
    return value + b" " * (len(value) % 2)


def short(number: int, *, big_endian: bool) -> bytes:
    """A US value."""
    return struct.pack(">H" if big_endian else "<H", number)
