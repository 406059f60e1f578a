"""Opening a stored Part 10 file: what describes the picture, and where its bytes begin."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from pydicom.datadict import tag_for_keyword
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from tuipacs.dicom.encoding import (
    DOUBLE_FLOAT_PIXELS,
    EXPLICIT_BE,
    FLOAT_PIXELS,
    IMPLICIT_LE,
    PIXELS,
    UNDEFINED,
)
from tuipacs.dicom.part10 import read_part10
from tuipacs.dicom.pixels import limits
from tuipacs.dicom.pixels.unshown import OVERLAY_ROWS
from tuipacs.dicom.pixels.values import BAD_VALUE
from tuipacs.errors import DecodeError, InvalidObjectError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_WANTED = (
    "SOPClassUID",
    "Modality",
    "ImageType",
    "PixelIntensityRelationship",
    "MIMETypeOfEncapsulatedDocument",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "VOILUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "PresentationLUTShape",
    "SegmentationType",
    "MaximumFractionalValue",
    "ShutterShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelDataProviderURL",
)
_TAGS: list[BaseTag | int] = [tag for name in _WANTED if (tag := tag_for_keyword(name)) is not None]
_TAGS += OVERLAY_ROWS
_TAG_SET = frozenset(int(tag) for tag in _TAGS)


class Bytes:
    """Random access to the bytes of the dataset: of the file itself, or inflated in memory."""

    def __init__(self, descriptor: int, inflated: bytes | None = None) -> None:
        self._descriptor = descriptor
        self._inflated = inflated
        self.size = os.fstat(descriptor).st_size if inflated is None else len(inflated)
        self.in_memory = inflated is not None

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes at ``offset``; DecodeError if the file ends before."""
        if self._inflated is not None:
            found = self._inflated[offset : offset + count]
        else:
            parts = []
            missing = count
            while missing:
                part = os.pread(self._descriptor, missing, offset + count - missing)
                if not part:
                    break
                parts.append(part)
                missing -= len(part)
            found = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(found) != count:
            raise DecodeError("the file ends in the middle of its pixel data")
        return found


class _Positioned(io.RawIOBase):
    """A file read by its own position: a descriptor that was handed over shares its owner's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        found = os.preadv(self._descriptor, [buffer], self._position)
        self._position += found
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            offset += os.fstat(self._descriptor).st_size
        elif whence == os.SEEK_CUR:
            offset += self._position
        if offset < 0:
            raise ValueError("a position before the file")
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position


class Source:
    """One opened object: ``dataset`` holds what describes its picture, nothing of it is decoded.

    ``pixel_offset`` and ``pixel_length`` (None: undefined, PS3.5 A.4) tell where the pixel data
    value is in ``data``; ``pixel_keyword`` which of the three elements it is (PS3.3 C.7.6.24).
    """

    def __init__(self, descriptor: int) -> None:
        """Read the header of the file open on ``descriptor``, which stays the caller's."""
        with io.BufferedReader(_Positioned(descriptor), 1 << 16) as file:
            try:
                self._read(file, descriptor)
            except InvalidObjectError as error:
                raise DecodeError(error.message) from error
            except RecursionError as error:
                raise DecodeError("the sequences of this object are nested too deeply") from error
            except BAD_VALUE as error:
                raise DecodeError("the header of this object cannot be read") from error

    def _read(self, file: BinaryIO, descriptor: int) -> None:
        parts = read_part10(file)
        self.transfer_syntax = UID(parts.transfer_syntax_uid)
        self.notes = tuple(
            remark
            for remark in parts.remarks
            if "transfer syntax" in remark or "no meta information" in remark
        )
        self.data = Bytes(descriptor)
        if self.transfer_syntax == DeflatedExplicitVRLittleEndian:
            self.data = Bytes(descriptor, inflate(file))
            file = io.BytesIO(self.data.read(0, self.data.size))
        implicit = self.transfer_syntax == IMPLICIT_LE
        little = self.transfer_syntax != EXPLICIT_BE
        self.dataset = read_dataset(
            file, implicit, little, stop_when=self._stopper(file), specific_tags=_TAGS
        )
        self.sop_class = UID(
            str(self.dataset.get("SOPClassUID") or parts.media_storage_sop_class_uid)
        )
        implicit = bool(self.dataset.original_encoding[0])
        self.big_endian = not little
        self._find_pixels(file.tell(), implicit)

    def _stopper(self, file: BinaryIO) -> Callable[[BaseTag, str | None, int], bool]:
        count = 0

        def stop(tag: BaseTag, _vr: str | None, length: int) -> bool:
            nonlocal count
            if tag >= FLOAT_PIXELS:
                return True
            count += 1
            if count > limits.MAX_ELEMENTS:
                raise DecodeError(f"more than {limits.MAX_ELEMENTS} elements before the pixel data")
            if length != UNDEFINED:
                if file.tell() + length > self.data.size:
                    raise DecodeError(f"the file ends inside element {tag}")
                if length > limits.MAX_ELEMENT and int(tag) in _TAG_SET:
                    raise DecodeError(f"element {tag} has {length} bytes, too many to read")
            return False

        return stop

    def _find_pixels(self, offset: int, implicit: bool) -> None:
        self.pixel_keyword = ""
        self.pixel_vr = "OW"
        self.pixel_offset = 0
        self.pixel_length: int | None = 0
        size = 8 if implicit else 12
        if offset + size > self.data.size:
            return
        head = self.data.read(offset, size)
        order = ">" if self.big_endian else "<"
        group, element = struct.unpack(order + "HH", head[:4])
        keyword = {
            FLOAT_PIXELS: "FloatPixelData",
            DOUBLE_FLOAT_PIXELS: "DoubleFloatPixelData",
            PIXELS: "PixelData",
        }.get(group << 16 | element)
        if keyword is None:
            return
        if not implicit:
            self.pixel_vr = head[4:6].decode("latin-1")
            if self.pixel_vr not in {"OB", "OW", "UN", "OF", "OD"}:
                raise DecodeError("the pixel data element has the wrong value representation")
        (length,) = struct.unpack(order + "L", head[-4:])
        self.pixel_keyword = keyword
        self.pixel_offset = offset + size
        self.pixel_length = None if length == UNDEFINED else length


def inflate(file: BinaryIO) -> bytes:
    """Return the inflated dataset (PS3.5 A.5); DecodeError if damaged or too large."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    try:
        while (chunk := file.read(1 << 18)) and not inflater.eof:
            while chunk:
                out += inflater.decompress(chunk, 1 << 22)
                chunk = inflater.unconsumed_tail
                if len(out) > limits.MAX_INFLATED:
                    raise DecodeError(
                        f"the deflated dataset grows beyond {limits.MAX_INFLATED >> 20} MiB"
                    )
        out += inflater.flush()
    except zlib.error as error:
        raise DecodeError("the deflated dataset is damaged") from error
    if not inflater.eof:
        raise DecodeError("the deflated dataset ends early")
    return bytes(out)


def name_of(uid: UID) -> str:
    """Return the registered name of a UID, or a neutral phrase: the text itself may be hostile."""
    return uid.name if uid.name != str(uid) else "of an unknown kind"
