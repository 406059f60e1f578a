"""RLE Lossless (PS3.5 G): byte planes, each packed with PackBits."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.errors import DecodeError


def decode_rle(data: bytes, header: PixelHeader) -> NDArray[Any]:
    """Return the samples of one frame, (rows, columns[, 3]), unsigned.

    Raises DecodeError unless each segment gives exactly the bytes of its plane; a zero byte or
    more padding after it is allowed (G.3.2).
    """
    width = header.bits_allocated // 8
    if not width:
        raise DecodeError("RLE cannot hold one-bit samples")
    planes = header.samples * width
    if len(data) < 64:
        raise DecodeError("the RLE header is truncated")
    count, *offsets = struct.unpack("<16L", data[:64])
    if count != planes:
        raise DecodeError(f"the RLE data has {count} segments where {planes} are needed")
    bounds = [*offsets[:count], len(data)]
    if bounds[0] != 64 or any(end < begin for begin, end in pairwise(bounds)):
        raise DecodeError("the RLE segments are not in order")
    pixels = header.rows * header.columns
    # two bytes never give more than 128 (G.3.1): refused before anything is allocated
    if any((end - begin) * 64 < pixels for begin, end in pairwise(bounds)):
        raise DecodeError("the RLE data is too short for this picture")
    out = np.empty((pixels, header.samples, width), np.uint8)
    for plane, (begin, end) in enumerate(pairwise(bounds)):
        sample, byte = divmod(plane, width)  # the most significant byte comes first (G.2)
        out[:, sample, width - 1 - byte] = np.frombuffer(_unpack(data[begin:end], pixels), np.uint8)
    samples = out.reshape(-1).view(f"<u{width}")
    shape = (header.rows, header.columns)
    return samples.reshape(shape if header.samples == 1 else (*shape, header.samples))


def _unpack(segment: bytes, wanted: int) -> bytes:
    """Return ``wanted`` bytes of one PackBits segment (G.3.2)."""
    parts: list[bytes] = []
    done = position = 0
    size = len(segment)
    while done < wanted:
        if position >= size:
            raise DecodeError("the RLE data ends early")
        control = segment[position]
        if control < 128:
            part = segment[position + 1 : position + 2 + control]
            if len(part) != control + 1:
                raise DecodeError("the RLE data ends early")
            position += 2 + control
        elif control > 128:
            part = segment[position + 1 : position + 2] * (257 - control)
            if not part:
                raise DecodeError("the RLE data ends early")
            position += 2
        else:
            position += 1  # 128 is a no-operation
            continue
        parts.append(part)
        done += len(part)
    if done != wanted:
        raise DecodeError("the RLE data gives more bytes than the picture has")
    return b"".join(parts)
