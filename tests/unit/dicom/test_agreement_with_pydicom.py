"""On every file that pydicom brings along, the indexed attributes are what pydicom reads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.multival import MultiValue
from pydicom.valuerep import IS, DSfloat

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.indexed_tags import REQUEST_TAGS, TAGS, Target
from tuipacs.dicom.part10 import split_part10
from tuipacs.domain.attributes import IndexedAttributes
from tuipacs.domain.uid import is_valid_uid
from tuipacs.errors import InvalidObjectError

# What may be refused: no DICOM, DICOMDIRs, and objects without one of their UIDs.
REFUSED = {
    "DICOMDIR",
    "DICOMDIR-bigEnd",
    "DICOMDIR-empty.dcm",
    "DICOMDIR-implicit",
    "DICOMDIR-nooffset",
    "DICOMDIR-nopatient",
    "DICOMDIR-reordered",
    "UN_sequence.dcm",
    "empty_charset_LEI.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
}
NOT_A_NUMBER = {("badVR.dcm", "number_of_frames")}


def read_both(path: Path) -> tuple[Dataset, IndexedAttributes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about files that are wrong on purpose
        reference = dcmread(path, force=True)
        list(reference)
    data = path.read_bytes()
    parts = split_part10(data)
    return reference, read_attributes(data[parts.dataset_offset :], parts.transfer_syntax_uid)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, MultiValue | list):
        return "\\".join(as_text(one) for one in value)
    if isinstance(value, IS | DSfloat) and hasattr(value, "original_string"):
        return str(value.original_string)
    return str(value).strip(" ")  # pydicom keeps the spaces around a value that PS3.5 6.2 ignores


#: An object without them is filed under made-up ones.
MADE_UP = {"study_instance_uid", "series_instance_uid"}


def files() -> list[Path]:
    found = [*get_testdata_files(), *map(str, get_charset_files("*.dcm"))]
    return [path for path in map(Path, sorted(set(found))) if path.suffix in ("", ".dcm")]


@pytest.mark.parametrize(
    "path", [path for path in files() if path.is_file()], ids=lambda path: path.name
)
def test_every_indexed_attribute_agrees(path: Path) -> None:
    try:
        reference, read = read_both(path)
    except InvalidObjectError:
        assert path.name in REFUSED or not path.suffix or not dcmread(path).get("SOPInstanceUID")
        return
    structs = {
        Target.PATIENT: read.patient,
        Target.STUDY: read.study,
        Target.SERIES: read.series,
        Target.INSTANCE: read.instance,
    }
    for indexed in TAGS:
        if indexed.target == Target.READER or (path.name, indexed.field) in NOT_A_NUMBER:
            continue
        expected = as_text(reference[indexed.tag].value) if indexed.tag in reference else ""
        value = getattr(structs[indexed.target], indexed.field)
        if isinstance(value, int):
            assert value == int(expected or 0), indexed.field
        elif indexed.field in MADE_UP and not expected:
            assert is_valid_uid(value)
        else:
            assert value == expected, indexed.field
    requests = reference.get("RequestAttributesSequence")
    for indexed in REQUEST_TAGS[:2] if requests else ():
        expected = as_text(requests[0][indexed.tag].value) if indexed.tag in requests[0] else ""
        assert getattr(read.series, indexed.field) == expected
