"""One frame of a stored object as a picture: read, decompress, transform, say what was done."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tuipacs.dicom.pixels.codecs import Decoded, decode_frame
from tuipacs.dicom.pixels.colour import to_rgb
from tuipacs.dicom.pixels.encapsulated import FrameTable
from tuipacs.dicom.pixels.geometry import pixel_aspect
from tuipacs.dicom.pixels.grey import Grey, render_grey
from tuipacs.dicom.pixels.header import PixelHeader, read_header
from tuipacs.dicom.pixels.native import read_native
from tuipacs.dicom.pixels.palette import apply_palette
from tuipacs.dicom.pixels.source import Source
from tuipacs.dicom.pixels.unshown import unshown
from tuipacs.domain.frame import Frame, WindowRequest
from tuipacs.errors import DecodeError, NotFoundError

Array = NDArray[Any]


class Picture:
    """An opened object, ready to give frames; keeps its header so that the next frame is cheap.

    Runs C libraries on untrusted bytes: the daemon asks a ``PixelWorker`` instead. ``descriptor``
    is an open file at any position; it stays the caller's and must stay open. Raises DecodeError
    with the reason for an object that cannot be shown.
    """

    def __init__(self, descriptor: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each value is checked where it is used
            self._source = Source(descriptor)
            self._header = read_header(self._source)
        self._table = None if self._header.native else FrameTable(self._source, self._header)

    @property
    def in_memory(self) -> bool:
        """Whether the whole dataset is held (deflated ones are)."""
        return self._source.data.in_memory

    def render(
        self, number: int, window: WindowRequest | None = None
    ) -> tuple[Frame, NDArray[np.uint8]]:
        """Return frame ``number`` (1-based) without its pixels, and these as a C-contiguous array.

        Only that frame is read and decoded. Raises NotFoundError if there is no such frame,
        UsageError for an impossible window, DecodeError with the reason for what cannot be shown.
        """
        header = self._header
        if not 1 <= number <= header.frames:
            raise NotFoundError(f"there is no frame {number}: the object has {header.frames}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about what is checked here
            try:
                return self._render(number, window)
            except MemoryError as error:
                raise DecodeError("this picture needs more memory than there is") from error

    def _render(self, number: int, window: WindowRequest | None) -> tuple[Frame, NDArray[np.uint8]]:
        header, dataset = self._header, self._source.dataset
        notes = [*self._source.notes, *header.notes]
        decoded = self._decode(number - 1)
        notes += decoded.notes
        stored = decoded.samples if decoded.settled else _settle(decoded.samples, header)
        grey: Grey | None = None
        big_endian = self._source.big_endian
        if header.samples == 3:
            pixels = to_rgb(stored, decoded.photometric, _colour_bits(stored, header))
        elif header.photometric == "PALETTE COLOR":
            pixels = apply_palette(stored, dataset, big_endian=big_endian, notes=notes)
        else:
            grey = render_grey(
                stored, dataset, header, number - 1, window, big_endian=big_endian, notes=notes
            )
            pixels = grey.pixels
        notes += unshown(dataset, number - 1, header.photometric)
        aspect = pixel_aspect(dataset, number - 1, notes)
        frame = Frame(
            rows=header.rows,
            columns=header.columns,
            samples=1 if grey is not None else 3,
            pixels=b"",
            frame_number=number,
            number_of_frames=header.frames,
            pixel_aspect=aspect,
            photometric_interpretation=header.photometric,
            transfer_syntax_uid=header.transfer_syntax,
            decoder=decoded.decoder,
            notes=tuple(dict.fromkeys(notes)),
        )
        if grey is not None:
            frame = _with_window(frame, grey)
        return frame, np.ascontiguousarray(pixels)

    def _decode(self, index: int) -> Decoded:
        header = self._header
        if self._table is None:
            samples, notes = read_native(self._source, header, index)
            return Decoded(
                samples=samples,
                photometric=header.photometric,
                decoder="uncompressed",
                notes=tuple(notes),
                settled=header.floating or header.bits_allocated == 1,
            )
        decoded = decode_frame(self._table.frame(index), header)
        return replace(decoded, notes=self._table.notes + decoded.notes)


def _with_window(frame: Frame, grey: Grey) -> Frame:
    window = grey.voi.window
    return replace(
        frame,
        window_center=window.center if window else None,
        window_width=window.width if window else None,
        window_source=grey.voi.source,
        window_explanation=grey.voi.explanation,
        minimum=grey.minimum,
        maximum=grey.maximum,
    )


def _colour_bits(stored: Array, header: PixelHeader) -> int:
    return min(header.bits_stored, stored.dtype.itemsize * 8)


def _settle(samples: Array, header: PixelHeader) -> Array:
    """Return the sample values, without what lies outside the stored bits (PS3.5 8.1.1)."""
    width = samples.dtype.itemsize
    above = header.bits_allocated - 1 - header.high_bit
    unused = header.bits_allocated - header.bits_stored
    if header.signed:
        signed = samples.view(f"i{width}")
        return signed if not unused else (signed << above) >> unused
    if not unused:
        return samples
    mask = samples.dtype.type((1 << header.bits_stored) - 1)
    shift = samples.dtype.type(header.high_bit - header.bits_stored + 1)
    values: Array = (samples >> shift if shift else samples) & mask
    return values
