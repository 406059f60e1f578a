"""Between the native encodings nothing changes but the encoding (PS3.5 A)."""

from __future__ import annotations

import struct
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from tests.bundled import bundled_files
from tests.unit.dicom.datasets import UNDEFINED, element, item, number, sequence, text
from tests.unit.transcoding.making import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    actual_syntax,
    made,
    of_dataset,
    read,
)
from tuipacs.dicom.encoding import NATIVE
from tuipacs.errors import DecodeError, InvalidObjectError

CLASS = text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7")


def written(dataset: Dataset, syntax: str) -> bytes:
    """By pydicom."""
    out = DicomBytesIO()
    out.is_implicit_VR = syntax == IMPLICIT
    out.is_little_endian = syntax != BIG
    write_dataset(out, dataset)
    return out.getvalue()


# -- any dataset there and back

TEXTS = st.text("ABCdef 123^", max_size=9)
NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "US": st.integers(0, 0xFFFF),
    "SS": st.integers(-0x8000, 0x7FFF),
    "UL": st.integers(0, 0xFFFFFFFF),
    "SL": st.integers(-(1 << 31), (1 << 31) - 1),
    "FL": st.floats(width=32, allow_nan=False),
    "FD": st.floats(allow_nan=False),
}
PLAIN = {  # tags of the standard by VR
    vr: [tag for tag, entry in DicomDictionary.items() if entry[0] == vr and tag >> 16 > 8][:4]
    for vr in ("LO", "PN", "UT", *NUMBERS)
}
SEQUENCES = [0x00081115, 0x00400275]


def _values(vr: str) -> st.SearchStrategy[Any]:
    if vr in NUMBERS:
        return st.lists(NUMBERS[vr], max_size=3)
    return TEXTS.map(str.strip)


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    dataset = Dataset()
    for vr in draw(st.lists(st.sampled_from(sorted(PLAIN)), max_size=5, unique=True)):
        tag = draw(st.sampled_from(PLAIN[vr]))
        dataset.add_new(tag, vr, draw(_values(vr)))
    if depth:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2, unique=True)):
            items = draw(st.lists(datasets(depth=depth - 1), max_size=2))
            for one in items:
                one.is_undefined_length_sequence_item = draw(st.booleans())
            dataset.add_new(tag, "SQ", Sequence(items))
            dataset[tag].is_undefined_length = draw(st.booleans())
    return dataset


@settings(max_examples=60, deadline=None)
@given(datasets())
def test_every_encoding_is_what_pydicom_would_have_written(dataset: Dataset) -> None:
    """Lengths of sequences and items stay as they are, defined or not."""
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    with tempfile.TemporaryDirectory() as folder:
        for stored in (EXPLICIT, IMPLICIT, BIG):
            start = written(dataset, stored)
            for target in {EXPLICIT, IMPLICIT, BIG} - {stored}:
                assert of_dataset(start, stored, target, Path(folder)) == written(dataset, target)


@settings(max_examples=60, deadline=None)
@given(datasets())
def test_a_deflated_dataset_inflates_to_the_same_bytes(dataset: Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    start = written(dataset, EXPLICIT)
    with tempfile.TemporaryDirectory() as folder:
        packed = of_dataset(start, EXPLICIT, DEFLATED, Path(folder))
        assert zlib.decompress(packed, -zlib.MAX_WBITS) == start
        assert of_dataset(packed, DEFLATED, EXPLICIT, Path(folder)) == start


# -- real files

REFUSED = {
    "MR_truncated.dcm": "ends inside",
    "rtplan_truncated.dcm": "ends inside",
    "rtdose_expb.dcm": "two ways",
    "rtdose_expb_1frame.dcm": "two ways",
}


def _native_files() -> list[Path]:
    found = []
    for path in bundled_files():
        try:
            syntax = actual_syntax(path)
        except InvalidObjectError:
            continue
        if syntax in NATIVE | {DEFLATED}:
            found.append(path)
    return found


def _texts(dataset: Dataset) -> list[tuple[Any, ...]]:
    """All elements but group lengths, which go; words are compared as what they say."""
    found: list[tuple[Any, ...]] = []
    for one in dataset:
        if one.tag.element == 0:
            continue
        if one.VR == "SQ":
            found.append((one.tag, [_texts(each) for each in one.value]))
        elif isinstance(one.value, bytes):
            padding = b"\0" * (len(one.value) % 2)
            found.append((one.tag, one.value + padding))
        else:
            found.append((one.tag, str(one.value)))
    return found


@pytest.mark.parametrize("path", _native_files(), ids=lambda path: path.name)
def test_a_real_file_says_the_same_in_implicit_vr_and_back(path: Path, tmp_path: Path) -> None:
    stored = actual_syntax(path)
    target = EXPLICIT if stored == IMPLICIT else IMPLICIT
    if path.name in REFUSED:
        with pytest.raises(DecodeError, match=REFUSED[path.name]):
            made(path, target, stored=stored)
        return
    once = made(path, target, stored=stored)
    if stored == BIG:  # words turn around, which `test_every_encoding...` looks at
        return
    again = of_dataset(once, target, EXPLICIT, tmp_path) if target != EXPLICIT else once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = _texts(dcmread(path, force=True))
        assert _private_as_bytes(_texts(read(again, EXPLICIT))) == _private_as_bytes(original)


def _private_as_bytes(found: list[tuple[Any, ...]]) -> list[Any]:
    """Only which they are: what was explicit in them is not known any more in implicit VR."""
    out: list[Any] = []
    for tag, value in found:
        if tag.is_private:
            out.append(tag)
        elif isinstance(value, list):
            out.append((tag, [_private_as_bytes(each) for each in value]))
        elif isinstance(value, bytes) or tag in (0x00283006, 0x00280106, 0x00280107, 0x00280120):
            out.append(tag)  # compared as bytes elsewhere; two VRs each
        else:
            out.append((tag, value))
    return out


# -- rules, one by one


def test_group_lengths_go_at_every_level(tmp_path: Path) -> None:
    """They are retired (PS3.5 7.2), and with other headers they would be wrong."""
    inner = element(0x00080000, "UL", struct.pack("<L", 10)) + text(0x00080100, "SH", "AB")
    data = element(0x00080000, "UL", bytes(4)) + CLASS + sequence(0x00081115, item(inner))
    out = read(of_dataset(data, EXPLICIT, IMPLICIT, tmp_path), IMPLICIT)
    assert [e.tag for e in out] == [0x00080016, 0x00081115]
    assert [e.tag for e in out[0x00081115].value[0]] == [0x00080100]


def test_private_elements_of_implicit_vr_become_unknown_and_keep_their_bytes(
    tmp_path: Path,
) -> None:
    data = text(0x00080016, "UI", "1.2", syntax=IMPLICIT)
    data += text(0x00090010, "LO", "ACME 1", syntax=IMPLICIT)
    data += element(0x00091001, "", b"\x01\x02\x03\x04", syntax=IMPLICIT)
    out = of_dataset(data, IMPLICIT, EXPLICIT, tmp_path)
    assert text(0x00090010, "LO", "ACME 1") in out
    assert out.endswith(element(0x00091001, "UN", b"\x01\x02\x03\x04"))
    assert of_dataset(out, EXPLICIT, IMPLICIT, tmp_path) == data


def test_a_private_sequence_of_undefined_length_stays_one(tmp_path: Path) -> None:
    inside = text(0x00080100, "SH", "AB", syntax=IMPLICIT)
    body = item(inside, length=UNDEFINED, syntax=IMPLICIT)
    data = text(0x00080016, "UI", "1.2", syntax=IMPLICIT)
    data += sequence(0x00091001, body, vr="", length=UNDEFINED, syntax=IMPLICIT)
    out = read(of_dataset(data, IMPLICIT, EXPLICIT, tmp_path), EXPLICIT)
    assert out[0x00091001].VR == "SQ"
    assert out[0x00091001].value[0].CodeValue == "AB"


def test_an_unknown_sequence_is_copied_as_it_is(tmp_path: Path) -> None:
    """UN of undefined length holds implicit VR, whatever is around it (PS3.5 6.2.2)."""
    inside = text(0x00080100, "SH", "AB", syntax=IMPLICIT)
    body = item(inside, length=UNDEFINED)
    data = CLASS + sequence(0x00091001, body, vr="UN", length=UNDEFINED)
    for target in (IMPLICIT, BIG):
        out = of_dataset(data, EXPLICIT, target, tmp_path)
        assert body in out


@pytest.mark.parametrize(("signed", "vr"), [(0, "US"), (1, "SS")])
def test_the_pixel_representation_decides_between_signed_and_unsigned(
    signed: int, vr: str, tmp_path: Path
) -> None:
    """Also for what is in a sequence, and stands before it (PS3.5 A.1)."""
    smallest = element(0x00280106, "", b"\xff\xff", syntax=IMPLICIT)
    data = text(0x00080016, "UI", "1.2", syntax=IMPLICIT)
    data += sequence(0x00081115, item(smallest, syntax=IMPLICIT), syntax=IMPLICIT)
    data += number(0x00280103, signed, syntax=IMPLICIT) + smallest
    out = read(of_dataset(data, IMPLICIT, EXPLICIT, tmp_path), EXPLICIT)
    assert vr == out[0x00280106].VR
    assert vr == out[0x00081115].value[0][0x00280106].VR


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW")])
def test_pixel_data_gets_the_vr_of_its_depth(bits: int, vr: str, tmp_path: Path) -> None:
    data = text(0x00080016, "UI", "1.2", syntax=IMPLICIT)
    data += number(0x00280100, bits, syntax=IMPLICIT)
    data += element(0x7FE00010, "", b"\1\2\3\4", syntax=IMPLICIT)
    out = read(of_dataset(data, IMPLICIT, EXPLICIT, tmp_path), EXPLICIT)
    assert (out["PixelData"].VR, out.PixelData) == (vr, b"\1\2\3\4")


def test_a_value_too_long_for_its_vr_becomes_unknown(tmp_path: Path) -> None:
    """PS3.5 6.2.2: a length of 16 bits cannot say it."""
    data = text(0x00080016, "UI", "1.2", syntax=IMPLICIT)
    data += text(0x00080070, "LO", "A" * 70_000, syntax=IMPLICIT)
    out = of_dataset(data, IMPLICIT, EXPLICIT, tmp_path)
    assert out.endswith(element(0x00080070, "UN", b"A" * 70_000))


@pytest.mark.parametrize(
    ("odd", "even"),
    [
        (element(0x00080070, "LO", b"ABC"), element(0x00080070, "LO", b"ABC ")),
        (element(0x0020000D, "UI", b"1.2"), element(0x0020000D, "UI", b"1.2\0")),
        (element(0x00091001, "UN", b"\1\2\3"), element(0x00091001, "UN", b"\1\2\3\0")),
        (element(0x7FE00010, "OB", b"\1\2\3"), element(0x7FE00010, "OB", b"\1\2\3\0")),
    ],
)
def test_a_value_of_odd_length_gets_its_padding_in_the_same_syntax(
    odd: bytes, even: bytes, tmp_path: Path
) -> None:
    assert of_dataset(CLASS + odd, EXPLICIT, EXPLICIT, tmp_path) == CLASS + even


def test_an_odd_value_in_an_item_makes_all_around_it_longer(tmp_path: Path) -> None:
    body = element(0x00080100, "SH", b"ABC")
    data = CLASS + sequence(0x00081115, item(body))
    out = of_dataset(data, EXPLICIT, EXPLICIT, tmp_path)
    assert out == CLASS + sequence(0x00081115, item(element(0x00080100, "SH", b"ABC ")))


REFUSALS = {
    "half a number": (element(0x00280010, "US", b"\1\2\3"), IMPLICIT, "whole numbers"),
    "an UL where US belongs": (element(0x00280010, "UL", bytes(4)), IMPLICIT, "Implicit VR"),
    "an unknown VR": (element(0x00280010, "ZZ", bytes(4)), IMPLICIT, "unknown value repres"),
    "cut short": (element(0x00280010, "LO", b"AB", length=9), IMPLICIT, "ends inside"),
    "implicit in between": (
        element(0x00280010, "", b"AB", syntax=IMPLICIT),
        IMPLICIT,
        "not all of its elements",
    ),
    "no item": (sequence(0x00081115, text(0x00080100, "SH", "AB")), IMPLICIT, "no item"),
    "no end": (
        sequence(0x00081115, item(b"", length=UNDEFINED), length=UNDEFINED)[:-16],
        IMPLICIT,
        "no end",
    ),
    "32-bit words": (
        number(0x00280100, 32) + element(0x7FE00010, "OW", bytes(8)),
        BIG,
        "two ways",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_followed_is_not_rewritten(case: str, tmp_path: Path) -> None:
    wrong, target, words = REFUSALS[case]
    with pytest.raises(DecodeError, match=words):
        of_dataset(CLASS + wrong, EXPLICIT, target, tmp_path)


def test_sequences_nested_too_deep_are_refused(tmp_path: Path) -> None:
    data = b""
    for _ in range(60):
        data = sequence(0x00081115, item(data))
    with pytest.raises(DecodeError, match="nested"):
        of_dataset(CLASS + data, EXPLICIT, IMPLICIT, tmp_path)


def test_blanks_behind_the_last_element_are_no_element(tmp_path: Path) -> None:
    out = of_dataset(CLASS + bytes(6), EXPLICIT, IMPLICIT, tmp_path)
    assert [e.tag for e in read(out, IMPLICIT)] == [0x00080016]


def test_nothing_is_written_where_there_is_no_room(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(128) + b"DICM" + CLASS)
    with pytest.raises(DecodeError, match="no room"):
        made(path, IMPLICIT, stored=EXPLICIT, most=10)
