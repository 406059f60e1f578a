"""The data elements view shows what is there, as far as it can be read."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file, get_testdata_files

from tuipacs.dicom.elements import MAX_LINES, list_elements, read_elements
from tuipacs.dicom.part10 import encode_header
from tuipacs.domain.content import ElementLine, ElementList
from tuipacs.domain.safe_text import clean
from tuipacs.errors import InvalidObjectError

from .datasets import CT, EXPLICIT, IMPLICIT, UNDEFINED, dataset, element, item, sequence, text


def header(syntax: str = EXPLICIT) -> bytes:
    return encode_header(sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=syntax)


def listed(data: bytes, syntax: str = EXPLICIT) -> ElementList:
    return list_elements(header(syntax) + data)


def line_of(found: ElementList, tag: str) -> ElementLine:
    return next(line for line in found.lines if line.tag == tag)


def bundled(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path)


def tags_by_pydicom(data: Dataset, depth: int = 0) -> list[tuple[int, str]]:
    found = []
    for one in data:
        found.append((depth, f"({one.tag.group:04X},{one.tag.element:04X})"))
        if one.VR == "SQ":
            for inner in one.value:
                found += tags_by_pydicom(inner, depth + 2)
    return found


@pytest.mark.parametrize(
    "path",
    [
        Path(name)
        for name in sorted(get_testdata_files())
        if name.endswith(".dcm") and "meta" not in name
    ],
    ids=lambda path: path.name,
)
def test_no_element_is_missing(path: Path) -> None:
    """The same elements at the same depth as pydicom, for each of its files that is whole."""
    found = read_elements(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = dcmread(path, force=True)
        expected = tags_by_pydicom(reference.file_meta) + tags_by_pydicom(reference)
    if path.name in ("rtplan_truncated.dcm", "MR_truncated.dcm", "DICOMDIR-nooffset"):
        assert found.truncated
        return
    assert found.truncated == ""
    assert sorted((line.depth, line.tag) for line in found.lines if line.tag) == sorted(expected)


def test_names_values_and_private_names_are_shown() -> None:
    found = read_elements(bundled("CT_small.dcm"))
    name = line_of(found, "(0010,0010)")
    assert (name.vr, name.name, name.keyword) == ("PN", "Patient's Name", "PatientName")
    assert name.value == "CompressedSamples^CT1"
    assert line_of(found, "(0008,0016)").value == f"{CT} (CT Image Storage)"
    private = line_of(found, "(0019,1024)")
    assert (private.name, private.is_private) == ("Mid Scan Time [sec]", True)
    assert line_of(found, "(0009,0010)").name == "Private Creator"
    assert line_of(found, "(7FE0,0010)").value == "<32768 bytes>"
    assert line_of(found, "(0002,0010)").value.startswith("1.2.840.10008.1.2.1 ")


def test_sequences_are_nested_with_their_items() -> None:
    inner = sequence(0x00081140, item(text(0x00081155, "UI", "1.2.9")))
    outer = sequence(
        0x00081115, item(inner, length=UNDEFINED), item(b"", length=UNDEFINED), length=UNDEFINED
    )
    found = listed(dataset(middle=outer))
    start = next(i for i, line in enumerate(found.lines) if line.tag == "(0008,1115)")
    lines = found.lines[start : start + 6]
    assert [(line.depth, line.tag or line.name) for line in lines] == [
        (0, "(0008,1115)"),
        (1, "Item 1"),
        (2, "(0008,1140)"),
        (3, "Item 1"),
        (4, "(0008,1155)"),
        (1, "Item 2"),
    ]
    assert (lines[0].value, lines[0].has_children, lines[0].length) == ("2 items", True, -1)
    assert lines[2].value == "1 item"
    assert lines[4].value == "1.2.9"


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    inner = text(0x00080005, "CS", "ISO_IR 192") + text(0x00081030, "LO", "é".encode())
    middle = sequence(0x00081115, item(text(0x00081030, "LO", b"\xe9")), item(inner))
    late = text(0x00204000, "LT", b"\xe9")
    found = listed(dataset(middle=middle, after=late))
    assert [line.value for line in found.lines if line.tag == "(0008,1030)"] == ["é", "é"]
    assert line_of(found, "(0020,4000)").value == "é"


def test_numbers_tags_and_bytes_are_formatted() -> None:
    found = listed(
        dataset(
            after=element(0x00281101, "US", struct.pack("<3H", 256, 0, 16))
            + element(0x00189073, "FD", struct.pack("<d", 0.5))
            + element(0x00280009, "AT", struct.pack("<2H", 0x18, 0x1063))
            + element(0x00420011, "OB", bytes(range(100)))
            + element(0x00431001, "UN", b"WORDS ")
            + element(0x00186060, "FL", struct.pack("<20f", *range(20)))
        )
    )
    assert line_of(found, "(0028,1101)").value == "256\\0\\16"
    assert line_of(found, "(0018,9073)").value == "0.5"
    assert line_of(found, "(0028,0009)").value == "(0018,1063)"
    assert line_of(found, "(0042,0011)").value.startswith("<100 bytes> 00 01 02")
    assert line_of(found, "(0043,1001)").value.endswith('"WORDS"')
    assert line_of(found, "(0018,6060)").value.endswith("(20 values)")


def test_the_sign_of_values_follows_the_pixel_representation() -> None:
    for representation, value in ((0, "65535"), (1, "-1")):
        data = dataset(
            syntax=IMPLICIT,
            after=element(0x00280103, "US", struct.pack("<H", representation), syntax=IMPLICIT)
            + element(0x00280106, "US", b"\xff\xff", syntax=IMPLICIT),
        )
        assert line_of(listed(data, IMPLICIT), "(0028,0106)").value == value


def test_hostile_texts_are_cleaned_and_cut() -> None:
    data = dataset(
        syntax=IMPLICIT,
        name=b"\x1b]52;c;x\x07" + b"A" * 65536,
        middle=text(0x00102000, "LO", "[bold]x", syntax=IMPLICIT),
    )
    value = line_of(listed(data, IMPLICIT), "(0010,0010)").value
    assert value == clean(value)
    assert len(value) <= 256
    assert value.endswith("\u2026")


def test_a_damaged_object_is_listed_as_far_as_it_goes() -> None:
    found = listed(dataset(after=element(0x00450010, "OB", b"1234", length=100)))
    assert line_of(found, "(0028,0011)").value == "3"
    assert found.truncated == "the rest cannot be read: the data ends inside (0045,0010)"


def test_an_item_outside_of_a_sequence_ends_the_list() -> None:
    found = listed(dataset(middle=item(b"")))
    assert line_of(found, "(0010,0020)").value == "P-1"
    assert found.truncated.endswith("an item or delimiter stands outside of a sequence")


@pytest.mark.parametrize("length", [None, UNDEFINED])
@pytest.mark.parametrize("depth", [40, 500, 5000])
def test_too_deep_sequences_are_listed_as_far_as_they_go(depth: int, length: int | None) -> None:
    body = b""
    for _ in range(depth):
        body = sequence(0x00081115, item(body, length=length), length=length, vr="SQ")
        if len(body) > 0xFFFF_0000:
            break
    found = listed(dataset(middle=body))
    assert found.truncated == "the rest cannot be read: sequences are nested more than 32 deep"
    assert max(line.depth for line in found.lines) <= 65


def test_a_million_elements_are_not_all_listed() -> None:
    found = listed(dataset(after=element(0x00450010, "US", b"\0\0") * 30_000))
    assert len(found.lines) == MAX_LINES
    assert found.truncated == "only the first 20,000 elements are listed"


def test_deflated_and_bare_datasets_are_listed() -> None:
    assert line_of(read_elements(bundled("image_dfl.dcm")), "(0008,0016)").value
    assert line_of(read_elements(bundled("ExplVR_BigEndNoMeta.dcm")), "(0008,0016)").value


def test_what_is_no_dicom_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    for content in (b"", b"no DICOM"):
        path.write_bytes(content)
        with pytest.raises(InvalidObjectError):
            read_elements(path)


_SEED = header() + dataset(
    middle=sequence(
        0x00081115, item(text(0x00081155, "UI", "1.2.9"), length=UNDEFINED), length=UNDEFINED
    ),
    after=element(0x00450010, "LO", b"MAKER ") + element(0x7FE00010, "OW", b"\0" * 12),
)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 2000),
)
def test_mutated_files_are_listed_or_refused(changes: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(_SEED)
    for position, change in changes:
        start = position % len(data)
        data[start : start + len(change)] = change
    if cut < len(data):
        del data[cut:]
    try:
        found = list_elements(bytes(data))
    except InvalidObjectError:
        return
    assert all(line.value == clean(line.value) for line in found.lines)
