"""One dataset in another transfer syntax. Runs decoders: in the helper process only."""

from __future__ import annotations

import os
import zlib
from typing import NamedTuple

from tuipacs.dicom.encoding import (
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
)
from tuipacs.dicom.form import form_of
from tuipacs.dicom.pixels.codes import CODESTREAMS, RLE
from tuipacs.dicom.pixels.source import Bytes, inflate
from tuipacs.dicom.transcoding.dictionary import PIXEL_DATA
from tuipacs.dicom.transcoding.frames import ElementSource, NativePixels, element_text, short
from tuipacs.dicom.transcoding.reading import Element, read_elements
from tuipacs.dicom.transcoding.rules import DEFLATED_LE, TARGETS
from tuipacs.dicom.transcoding.writing import Encoder, Pixels, Tick, Write
from tuipacs.errors import DecodeError, InvalidObjectError

_PHOTOMETRIC, _PLANAR, _LOSSY, _METHOD = 0x00280004, 0x00280006, 0x00282110, 0x00282114
_STORED, _HIGH = 0x00280101, 0x00280102
#: Only of encapsulated pixel data (PS3.3 C.7.6.3): offset table, its lengths, total length.
_TABLES = frozenset((0x7FE00001, 0x7FE00002, 0x7FE00003))
_FORM_BYTES = 1 << 16


class Wanted(NamedTuple):
    """What is to be made of the file: its dataset from ``start`` on, stored in ``stored``."""

    start: int
    stored: str
    target: str


def transcode(descriptor: int, wanted: Wanted, write: Write, tick: Tick, most: int) -> int:
    """Write the dataset in the target syntax, without file meta information; returns its size.

    With the same syntax twice, values of odd length get their padding, and nothing else changes.
    ``most`` is how many bytes there may be at most. ``tick`` is called between frames and pieces.
    Raises `DecodeError` with the reason; what was written then is worth nothing.
    """
    data, start = _data(descriptor, wanted)
    claimed = wanted.stored if wanted.stored in (IMPLICIT_LE, EXPLICIT_BE) else EXPLICIT_LE
    try:
        form = form_of(data.read(start, min(_FORM_BYTES, data.size - start)), 0, claimed)
    except InvalidObjectError as error:
        raise DecodeError(error.message) from error
    is_compressed = wanted.stored in ENCAPSULATED
    if not is_compressed and wanted.stored not in TARGETS:
        raise DecodeError("its transfer syntax is not known here")
    if is_compressed and (form.implicit or form.big_endian):
        raise DecodeError("it is not encoded as its transfer syntax says")
    elements = read_elements(
        data, start + form.start, data.size, implicit=form.implicit, big_endian=form.big_endian
    )
    big_endian = wanted.target == EXPLICIT_BE
    pixels: dict[int, Pixels] = {}
    if is_compressed and wanted.target != wanted.stored:
        if wanted.stored not in CODESTREAMS | {RLE} or wanted.target not in TARGETS:
            raise DecodeError("there is no decoder for its transfer syntax")
        if not any(e.tag == PIXEL_DATA and e.fragments for e in elements):
            raise DecodeError("it has no compressed pixel data")
        _decompress(data, start + form.start, elements, wanted.stored, pixels, big_endian, tick)
    encoder = Encoder(
        data,
        elements,
        from_big_endian=form.big_endian,
        implicit=wanted.target == IMPLICIT_LE,
        big_endian=big_endian,
        pixels=pixels,
        keep_fragments=wanted.target == wanted.stored,
    )
    if encoder.size > most:
        raise DecodeError(f"there is no room to make {encoder.size >> 20} MiB of it")
    return _write(encoder, wanted.target, write, tick)


def _data(descriptor: int, wanted: Wanted) -> tuple[Bytes, int]:
    if wanted.stored not in DEFLATED:
        return Bytes(descriptor), wanted.start
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(wanted.start)
        return Bytes(descriptor, inflate(file)), 0


def _decompress(
    data: Bytes,
    start: int,
    elements: list[Element],
    stored: str,
    pixels: dict[int, Pixels],
    big_endian: bool,
    tick: Tick,
) -> None:
    """Find what is compressed here and in all items, and say what takes its place."""
    for element in elements:
        for item in element.items or ():
            _decompress(data, item.start, item.elements, stored, pixels, big_endian, tick)
    found = [e for e in elements if e.fragments]
    if not found:
        return
    if len(found) > 1 or found[0].tag != PIXEL_DATA:
        raise DecodeError("it has compressed pixel data where none should be")
    source = ElementSource(data, start, found[0], stored)
    native = NativePixels(source, tick, big_endian=big_endian)
    pixels[found[0].start] = native
    elements[:] = [e for e in elements if e.tag not in _TABLES]
    for element in elements:
        if element.tag == _PHOTOMETRIC:
            element.literal = element_text(native.photometric)
    if (bits := native.bits_stored) is not None:
        _set(elements, Element(_STORED, "US", -1, 2, literal=short(bits, big_endian=big_endian)))
        _set(elements, Element(_HIGH, "US", -1, 2, literal=short(bits - 1, big_endian=big_endian)))
    if native.is_colour:  # decoded, colours are pixel by pixel (PS3.3 C.7.6.3.1.3)
        _set(elements, Element(_PLANAR, "US", -1, 2, literal=short(0, big_endian=big_endian)))
    if native.lossy_method:
        _mark_lossy(data, elements, native.lossy_method)


def _mark_lossy(data: Bytes, elements: list[Element], method: str) -> None:
    """Until now the stream said it; once lossy is lossy for ever (PS3.3 C.7.6.1.1.5).

    Where it was said already, it stays as it was said, with its ratios and methods.
    """
    for element in elements:
        if element.tag == _LOSSY and data.read(element.start, 2 * (element.length == 2)) == b"01":
            return
    _set(elements, Element(_LOSSY, "CS", -1, 2, literal=b"01"))
    if all(element.tag != _METHOD or element.length == 0 for element in elements):
        text = element_text(method)
        _set(elements, Element(_METHOD, "CS", -1, len(text), literal=text))


def _set(elements: list[Element], new: Element) -> None:
    """Put an element in the place of its like, or where it belongs before the pixel data."""
    for index, element in enumerate(elements):
        if element.tag >= new.tag:
            elements[index : index + (element.tag == new.tag)] = [new]
            return


def _write(encoder: Encoder, target: str, write: Write, tick: Tick) -> int:
    if target != DEFLATED_LE:
        encoder.write(write, tick)
        return encoder.size
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 0

    def deflate(data: bytes | memoryview) -> None:
        nonlocal size
        out = deflater.compress(data)
        size += len(out)
        write(out)

    encoder.write(deflate, tick)
    rest = deflater.flush()
    write(rest)
    return size + len(rest)
