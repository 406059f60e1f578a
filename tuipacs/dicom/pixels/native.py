"""Reading one uncompressed frame (PS3.5 8.1.1, 8.2), and nothing but that frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.dicom.pixels.source import Source
from tuipacs.errors import DecodeError


def read_native(source: Source, header: PixelHeader, index: int) -> tuple[NDArray[Any], list[str]]:
    """Return the samples as stored, of shape (rows, columns[, 3]), and what to say about them."""
    header, notes = _settle_subsampling(source, header)
    if header.bits_allocated == 1:
        return _bits(source, header, index), notes
    size = header.frame_bits // 8
    data = _aligned(source, header, index * size, size)
    kind = "f" if header.floating else "u"
    dtype = np.dtype(f"{'>' if source.big_endian else '<'}{kind}{header.bits_allocated // 8}")
    flat = np.frombuffer(data, dtype)
    if source.big_endian:
        flat = flat.astype(dtype.newbyteorder("<"))
    rows, columns = header.rows, header.columns
    if header.photometric.endswith("_422"):
        return _spread_422(flat.reshape(rows, columns // 2, 4)), notes
    if header.samples == 1:
        return flat.reshape(rows, columns), notes
    if header.planar:
        return np.ascontiguousarray(flat.reshape(3, rows, columns).transpose(1, 2, 0)), notes
    return flat.reshape(rows, columns, 3), notes


def _settle_subsampling(source: Source, header: PixelHeader) -> tuple[PixelHeader, list[str]]:
    """Check 4:2:2, and see through files that say so but store every chroma sample."""
    notes: list[str] = []
    length = source.pixel_length or 0
    if header.photometric.endswith("_422"):
        full = header.frames * header.rows * header.columns * 3 * header.bits_allocated // 8
        if length in (full, full + full % 2):
            notes.append("the header says 4:2:2 chroma but the pixel data holds all of it")
            return replace(header, photometric=header.photometric.removesuffix("_422")), notes
        if header.columns % 2 or header.bits_allocated != 8 or header.planar:
            raise DecodeError("uncompressed 4:2:2 chroma needs even columns and 8 bits a sample")
    if source.big_endian and header.bits_allocated == 32 and source.pixel_vr == "OW":
        notes.append("32-bit big endian samples are read as such, not as pairs of 16-bit words")
    needed = (header.frames * header.frame_bits + 7) // 8
    if length > needed + needed % 2:
        notes.append(f"the pixel data is {length - needed} bytes longer than the header says")
    return header, notes


def _aligned(source: Source, header: PixelHeader, offset: int, size: int) -> bytes:
    """Return bytes of the value; swaps the bytes of big endian words that hold 8-bit samples."""
    start = source.pixel_offset
    if not (source.big_endian and source.pixel_vr == "OW" and header.bits_allocated <= 8):
        return source.data.read(start + offset, size)
    first = offset & ~1
    last = offset + size + (offset + size & 1)
    length = source.pixel_length or 0
    if last > length:
        raise DecodeError("big endian words of an odd number of bytes cannot be read")
    swapped = np.frombuffer(source.data.read(start + first, last - first), ">u2").astype("<u2")
    return swapped.tobytes()[offset - first : offset - first + size]


def _bits(source: Source, header: PixelHeader, index: int) -> NDArray[np.uint8]:
    """Return a bit-packed frame as 0 and 1; frames need not begin on a byte (PS3.5 8.1.1)."""
    begin = index * header.frame_bits
    end = begin + header.frame_bits
    data = _aligned(source, header, begin // 8, (end + 7) // 8 - begin // 8)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    frame = bits[begin % 8 : begin % 8 + header.frame_bits]
    return frame.reshape(header.rows, header.columns)


def _spread_422(groups: NDArray[Any]) -> NDArray[Any]:
    """Return (rows, columns, 3) from groups Y1 Y2 CB CR (PS3.3 C.7.6.3.1.2)."""
    rows, halves, _ = groups.shape
    out = np.empty((rows, halves, 2, 3), groups.dtype)
    out[..., 0] = groups[..., :2]
    out[..., 1] = groups[..., 2:3]
    out[..., 2] = groups[..., 3:4]
    return out.reshape(rows, halves * 2, 3)
