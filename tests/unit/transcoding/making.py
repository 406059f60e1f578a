"""Transcoding in this process, and the bytes of an object read back."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.part10 import encode_header, read_part10
from tuipacs.dicom.transcoding.transcode import Wanted, transcode

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
ROOM = 1 << 32


def made(
    path: Path,
    target: str,
    *,
    stored: str | None = None,
    start: int | None = None,
    most: int = ROOM,
) -> bytes:
    """The dataset of a file in another transfer syntax. Raises `DecodeError`."""
    if stored is None or start is None:
        parts = read_part10(path)
        stored, start = stored or parts.transfer_syntax_uid, parts.dataset_offset
    out = bytearray()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            size = transcode(
                descriptor,
                Wanted(start, stored, target),
                out.extend,
                lambda: None,
                most,
            )
    finally:
        os.close(descriptor)
    assert size == len(out)
    return bytes(out)


def of_dataset(dataset: bytes, stored: str, target: str, folder: Path) -> bytes:
    """The same for the bytes of a dataset."""
    path = folder / "dataset"
    path.write_bytes(dataset)
    return made(path, target, stored=stored, start=0)


def as_file(dataset: bytes, syntax: str) -> bytes:
    """A Part 10 file around a dataset."""
    header = encode_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid="2.25.1",
        transfer_syntax_uid=syntax,
    )
    return header + dataset


def read(dataset: bytes, syntax: str) -> FileDataset:
    """A dataset as pydicom reads it."""
    return dcmread(io.BytesIO(as_file(dataset, syntax)))


def actual_syntax(path: Path) -> str:
    """What a file is really in."""
    parts = read_part10(path)
    data = path.read_bytes()[parts.dataset_offset :]
    return read_attributes(data, parts.transfer_syntax_uid).instance.transfer_syntax_uid
