"""Colour: YCbCr to RGB (PS3.3 C.7.6.3.1.2), and deep colours to eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuipacs.errors import DecodeError

Array = NDArray[Any]


def to_rgb(samples: Array, photometric: str, bits: int) -> NDArray[np.uint8]:
    """Return uint8 RGB (rows, columns, 3) of unsigned samples that use ``bits`` bits."""
    if samples.dtype.kind != "u":
        raise DecodeError("colour samples with a sign make no sense")
    if photometric == "YBR_PARTIAL_422":
        if bits != 8:
            raise DecodeError("YBR_PARTIAL_422 needs 8 bits a sample")
        return _partial(samples)
    eight = to_eight_bits(samples, bits)
    if photometric == "RGB":
        return eight
    if photometric in {"YBR_FULL", "YBR_FULL_422"}:
        return _full(eight)
    raise DecodeError(f"{photometric} is only defined for JPEG 2000 pictures")


def to_eight_bits(samples: Array, bits: int) -> NDArray[np.uint8]:
    """Return samples scaled to 0..255: the high eight bits, or stretched if there are fewer."""
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    if bits > 8:
        high: NDArray[np.uint8] = (samples >> samples.dtype.type(bits - 8)).astype(np.uint8)
        return high
    top = (1 << bits) - 1
    levels = np.arange(256, dtype=np.uint16).clip(0, top)
    stretched: NDArray[np.uint8] = ((levels * 255 + top // 2) // top).astype(np.uint8)
    return np.take(stretched, samples)


def _full(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """R = Y + 1.402 (CR-128), G = Y - 0.3441 (CB-128) - 0.7141 (CR-128), B = Y + 1.772 (CB-128)."""
    chroma = np.arange(256, dtype=np.float64) - 128
    luma = ybr[..., 0].astype(np.int32)
    blue, red = ybr[..., 1], ybr[..., 2]
    green = np.take(_fixed(-0.344136 * chroma), blue) + np.take(_fixed(-0.714136 * chroma), red)
    out = np.empty_like(ybr)
    _store(out, 0, luma + (np.take(_fixed(1.402 * chroma), red) + 32768 >> 16))
    _store(out, 1, luma + (green + 32768 >> 16))
    _store(out, 2, luma + (np.take(_fixed(1.772 * chroma), blue) + 32768 >> 16))
    return out


def _fixed(values: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(values * 65536).astype(np.int32)


def _store(out: NDArray[np.uint8], channel: int, values: NDArray[np.int32]) -> None:
    out[..., channel] = np.clip(values, 0, 255)


def _partial(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R BT.601 with black at 16 and white at 235 (retired, PS3.3 2004 C.7.6.3.1.2)."""
    luma = 1.164384 * (ybr[..., 0].astype(np.float32) - 16)
    blue = ybr[..., 1].astype(np.float32) - 128
    red = ybr[..., 2].astype(np.float32) - 128
    out = np.empty_like(ybr)
    for channel, value in enumerate(
        (luma + 1.596027 * red, luma - 0.391762 * blue - 0.812968 * red, luma + 2.017232 * blue)
    ):
        out[..., channel] = np.clip(np.rint(value), 0, 255)
    return out
