"""Identifiers for queries, and objects put straight into an index: no files, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.uid import new_uid
from tuipacs.index import ingest
from tuipacs.index.database import Index
from tuipacs.index.ingest import Arrival

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"


def identifier(level: str = "STUDY", syntax: str = EXPLICIT, **keys: object) -> bytes:
    """What an SCU sends, encoded by pydicom; a keyword with an empty text asks for all."""
    asked = Dataset()
    if level:
        asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return encoded(asked, syntax)


def encoded(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Its bytes, by pydicom."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(out, dataset)
    return out.getvalue()


def answer(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    """What an SCU reads, by pydicom; it has to be all of the bytes, in the order of the tags."""
    file = DicomBytesIO(data)
    file.is_little_endian, file.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    found = read_dataset(file, syntax == IMPLICIT, syntax != BIG, bytelength=len(data))
    assert file.tell() == len(data)
    assert list(found.keys()) == sorted(found.keys())
    found.decode()
    return found


def entry(**fields: object) -> Arrival:
    """An object with these fields of `tuipacs.domain.attributes`, exactly as the index has them."""
    given = {
        "study_instance_uid": new_uid(),
        "series_instance_uid": new_uid(),
        "sop_instance_uid": new_uid(),
        "sop_class_uid": CT,
        "transfer_syntax_uid": EXPLICIT,
        "modality": "CT",
    } | fields
    parts = [
        {name: given[name] for name in struct.__struct_fields__ if name in given}
        for struct in (PatientAttributes, StudyAttributes, SeriesAttributes, InstanceAttributes)
    ]
    assert sum(map(len, parts)) == len(given), "a field that there is not"
    digest = hashlib.sha256(repr(given).encode()).digest()
    blob = StoredBlob(
        key=f"000001/{new_uid()}",
        header_size=100,
        header_sha256=digest,
        dataset_size=1000,
        dataset_sha256=digest,
    )
    attributes = IndexedAttributes(
        patient=PatientAttributes(**parts[0]),  # type: ignore[arg-type]
        study=StudyAttributes(**parts[1]),  # type: ignore[arg-type]
        series=SeriesAttributes(**parts[2]),  # type: ignore[arg-type]
        instance=InstanceAttributes(**parts[3]),  # type: ignore[arg-type]
    )
    return Arrival(attributes, blob, "CT1", 1_700_000_000.0)


def put(index: Index, entries: Iterable[Arrival]) -> None:
    """Index these objects in one transaction."""
    with index.write() as tx:
        for one in entries:
            ingest.add(tx, one)
