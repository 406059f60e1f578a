"""On every file that pydicom brings along, the indexed attributes are what pydicom reads."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import IS, DSfloat

from tests.bundled import FOLDER, bundled_files
from tests.fuzz.damage import damaged
from tests.fuzz.targets import SYNTAXES, seeds
from tests.unit.dicom.datasets import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    element,
    item,
    sequence,
    text,
)
from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import EXPLICIT_LE
from tuipacs.dicom.form import Form, form_of
from tuipacs.dicom.indexed_tags import REQUEST_TAGS, TAGS, Target, keys_of
from tuipacs.dicom.part10 import split_part10
from tuipacs.dicom.walk import walk
from tuipacs.domain.attributes import IndexedAttributes
from tuipacs.domain.uid import is_valid_uid
from tuipacs.errors import InvalidObjectError

# pydicom finds a number where the standard allows none.
NOT_A_NUMBER = {("badVR.dcm", "number_of_frames")}
NATIVE_SEEDS = [seed for seed in seeds("attributes") if seed and seed[0] % len(SYNTAXES) < 3]
PLAIN_TAGS = [indexed for indexed in TAGS if indexed.vr != b"SQ"]
ITEM_END = struct.pack("<HH", 0xFFFE, 0xE00D)
PYDICOM_GIVES_UP = (OSError, ValueError, TypeError, NotImplementedError, struct.error)


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


def why_refused(path: Path) -> str:
    """What pydicom misses, too, in a file that may be refused; empty if it has all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(path, force=True)
    if "DirectoryRecordSequence" in found:
        return "an object"
    return " ".join(name for name in ("SOPClassUID", "SOPInstanceUID") if not found.get(name))


FILES = [*bundled_files(), *sorted((FOLDER.parent / "charset_files").glob("*"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_indexed_attribute_agrees(path: Path) -> None:
    """Nothing but `InvalidObjectError` is raised, and only where pydicom finds no object either."""
    try:
        reference, read = read_both(path)
    except InvalidObjectError:
        assert why_refused(path)
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
    for indexed in REQUEST_TAGS:
        if requests and indexed.target == Target.SERIES:
            expected = as_text(requests[0][indexed.tag].value) if indexed.tag in requests[0] else ""
            assert getattr(read.series, indexed.field) == expected


def test_most_of_the_files_are_read() -> None:
    """The test before would be content with a reader that refuses everything."""
    refused = [path.name for path in FILES if why_refused(path)]
    assert len(FILES) > 150
    assert len(refused) < 40, refused


@st.composite
def datasets_of_pieces(draw: st.DrawFn) -> tuple[bytes, str]:
    """Well-formed elements in any order and number: odd lengths, repetitions, nested sequences."""
    syntax = draw(st.sampled_from((EXPLICIT, IMPLICIT, BIG)))

    def pieces(depth: int) -> bytes:
        return b"".join(piece(depth) for _ in range(draw(st.integers(0, 5 if depth else 12))))

    def piece(depth: int) -> bytes:
        kind = draw(st.integers(0, 3 if depth < 3 else 2))
        if kind < 2:  # one that is indexed
            indexed = draw(st.sampled_from(PLAIN_TAGS))
            value = draw(st.binary(max_size=9))
            return element(indexed.tag, indexed.vr.decode(), value, syntax=syntax)
        if kind == 2:
            vr = draw(st.sampled_from(["LO", "UT", "OB", "UN", "US"]))
            return element(0x00091010, vr, draw(st.binary(max_size=9)), syntax=syntax)
        vr = draw(st.sampled_from(["SQ", "UN"]))
        length = draw(st.sampled_from([None, UNDEFINED]))
        if vr == "UN" and syntax == EXPLICIT and length is not None:
            return b""  # its items are implicit VR (PS3.5 6.2.2): see the files of pydicom
        items = [
            item(pieces(depth + 1), syntax=syntax, length=draw(st.sampled_from([None, UNDEFINED])))
            for _ in range(draw(st.integers(0, 2)))
        ]
        return sequence(0x00400555, *items, vr=vr, length=length, syntax=syntax)

    start = text(0x00080005, "CS", "ISO_IR 100", syntax=syntax)
    return start + pieces(0), syntax


@settings(max_examples=200, deadline=None, database=None)
@given(datasets_of_pieces())
def test_of_any_elements_the_walk_sees_what_pydicom_sees(made: tuple[bytes, str]) -> None:
    assert both_see_the_same(*made)


@settings(max_examples=150, deadline=None, database=None)
@given(damaged(NATIVE_SEEDS))
def test_of_damaged_datasets_too_the_walk_sees_what_pydicom_sees(data: bytes) -> None:
    """Where both come to the end of the dataset."""
    both_see_the_same(data[1:], SYNTAXES[data[0] % 3] if data else EXPLICIT_LE)


def both_see_the_same(dataset: bytes, claimed: str) -> bool:
    """Compare raw values, before either decodes them; False if one cannot read to the end."""
    try:
        form = form_of(dataset, 0, claimed)
        keys = keys_of(TAGS, big_endian=form.big_endian)
        seen = walk(
            dataset,
            form.start,
            implicit=form.implicit,
            big_endian=form.big_endian,
            wanted=frozenset(keys),
        )
        reference = read_raw(dataset[form.start :], form)
    except (InvalidObjectError, *PYDICOM_GIVES_UP):
        return False
    if seen.is_cut_short or (ITEM_END in dataset and len(reference) < len(seen.values)):
        return False  # at a stray item delimiter pydicom stops, and loses the rest
    for key, indexed in keys.items():
        expected = reference.get(indexed.tag, b"")
        if expected is not None:
            assert seen.values.get(key, (b"", b""))[1] == expected, indexed.field
    return True


def read_raw(dataset: bytes, form: Form) -> dict[int, bytes | None]:
    """Values by tag as pydicom cuts them out; None for a sequence."""
    file = DicomBytesIO(dataset)
    file.is_little_endian = not form.big_endian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_dataset(file, form.implicit, not form.big_endian)
        elements = [found.get_item(tag) for tag in found.keys()]  # noqa: SIM118 - undecoded
    return {int(e.tag): (e.value or b"") if e.is_raw else None for e in elements}
