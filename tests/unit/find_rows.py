"""Identifiers for queries, and studies put straight into an index: no files, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.builders import dataset_bytes
from tuipacs.dicom.attributes import read_attributes
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.uid import new_uid
from tuipacs.index import ingest
from tuipacs.index.database import Index
from tuipacs.index.ingest import Arrival

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def identifier(level: str = "STUDY", syntax: str = EXPLICIT, **keys: object) -> bytes:
    """What an SCU sends, encoded by pydicom; a keyword with an empty text asks for all."""
    asked = Dataset()
    if level:
        asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(out, asked)
    return out.getvalue()


def answer(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    """What an SCU reads, by pydicom; it has to be all of the bytes."""
    file = DicomBytesIO(data)
    file.is_little_endian, file.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    found = read_dataset(file, syntax == IMPLICIT, syntax != BIG, bytelength=len(data))
    tags = [element.tag for element in found]  # reads each value
    assert tags == sorted(tags)
    return found


def put(index: Index, datasets: Iterable[Dataset], at: float = 1_700_000_000.0) -> None:
    """Index these objects as if they were stored."""
    with index.write() as tx:
        for dataset in datasets:
            data = dataset_bytes(dataset)
            digest = hashlib.sha256(data).digest()
            blob = StoredBlob(
                key=f"000001/{new_uid()}",
                header_size=100,
                header_sha256=digest,
                dataset_size=len(data),
                dataset_sha256=digest,
            )
            attributes = read_attributes(data, EXPLICIT)
            ingest.add(tx, Arrival(attributes, blob, "CT1", at))
