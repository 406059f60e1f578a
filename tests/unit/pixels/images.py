"""Small synthetic pictures with known values, written as Part 10 files."""

from __future__ import annotations

import struct
from collections.abc import Sequence as AbstractSequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import ArrayLike, NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from tuipacs.dicom.pixels.render import Picture
from tuipacs.domain.frame import Frame, WindowRequest

BIG, EXPLICIT, IMPLICIT = ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
RLE = "1.2.840.10008.1.2.5"


def render_frame(path: Path, frame_number: int = 1, window: WindowRequest | None = None) -> Frame:
    """A frame of a file as a decoder process gives it, made in this process."""
    with path.open("rb") as file:
        frame, pixels = Picture(file.fileno()).render(frame_number, window)
    return replace(frame, pixels=pixels.tobytes())


def image(values: ArrayLike, dtype: str = "u2", **attributes: Any) -> Dataset:
    """An object whose pixels are ``values``: (rows, columns), (frames, rows, columns) or RGB.

    Attributes replace what follows from the array; None removes one.
    """
    array = np.asarray(values)
    samples = 3 if array.ndim >= 3 and array.shape[-1] == 3 else 1
    shape = array.shape[:-1] if samples == 3 else array.shape
    array = array.astype(f"<{dtype}")
    bits = array.dtype.itemsize * 8
    dataset = Dataset()
    described: dict[str, Any] = {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": "2.25.1",
        "Rows": shape[-2],
        "Columns": shape[-1],
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(array.dtype.kind == "i"),
        "PixelData": array.tobytes(),
    }
    if len(shape) == 3:
        described["NumberOfFrames"] = shape[0]
    if samples == 3:
        described["PlanarConfiguration"] = 0
    if "BitsStored" in attributes and "HighBit" not in attributes:
        attributes["HighBit"] = attributes["BitsStored"] - 1
    for keyword, value in (described | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset


def write(
    dataset: Dataset, path: Path, syntax: str = EXPLICIT, *, encapsulated: bytes | None = None
) -> Path:
    """Write an object; ``encapsulated`` is the whole value of undefined length after the tag."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", SecondaryCaptureImageStorage)
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    dataset.file_meta = meta
    if encapsulated is not None and "PixelData" in dataset:
        del dataset.PixelData
    if syntax == BIG and dataset.BitsAllocated > 8 and "PixelData" in dataset:
        words = np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}")
        dataset.PixelData = words.byteswap().tobytes()
    kind = syntax if syntax in (BIG, IMPLICIT) else EXPLICIT
    dcmwrite(
        path,
        dataset,
        implicit_vr=kind == IMPLICIT,
        little_endian=kind != BIG,
        enforce_file_format=True,
    )
    if encapsulated is not None:
        with path.open("ab") as file:
            file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + encapsulated)
    return path


def item(value: bytes, tag: int = 0xE000, length: int | None = None) -> bytes:
    """One item of encapsulated pixel data (PS3.5 A.4)."""
    claimed = len(value) if length is None else length
    return struct.pack("<HHL", 0xFFFE, tag, claimed) + value


END = item(b"", 0xE0DD)


def fragments(
    values: AbstractSequence[bytes], offsets: AbstractSequence[int] = (), *, end: bytes = END
) -> bytes:
    """The value of encapsulated pixel data: offset table, fragments, delimiter."""
    table = struct.pack(f"<{len(offsets)}L", *offsets)
    return item(table) + b"".join(item(value) for value in values) + end


def rle(plane: bytes) -> bytes:
    """An RLE frame of one segment that holds its bytes literally (at most 128)."""
    header = struct.pack("<16L", 1, 64, *([0] * 14))
    body = bytes([len(plane) - 1]) + plane
    return header + body + b"\0" * (len(body) % 2)


def grey(
    dataset: Dataset, path: Path, window: WindowRequest | None = None, syntax: str = EXPLICIT
) -> list[int]:
    """The grey levels that an object is shown with."""
    frame = render_frame(write(dataset, path / "image.dcm", syntax), 1, window)
    assert frame.samples == 1
    return list(frame.pixels)


def as_array(frame: Frame) -> NDArray[np.uint8]:
    """The pixels of a frame as (rows, columns[, 3])."""
    shape = (frame.rows, frame.columns)
    flat = np.frombuffer(frame.pixels, np.uint8)
    return flat.reshape(shape if frame.samples == 1 else (*shape, 3))
