"""Values for a query from stored bytes: what is read, what is left out, and nothing that hurts."""

from __future__ import annotations

import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from tests.builders import dataset_bytes, make_dataset
from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT
from tuipacs.dicom.find_object import ObjectValues, read_object, supported_vr
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.find_object import ObjectKey, Value
from tuipacs.errors import InvalidObjectError

DEFLATED = "1.2.840.10008.1.2.1.99"
COMMENTS, THICKNESS, CODES, MATRIX = 0x00204000, 0x00180050, 0x00081032, 0x00181310
SMALLEST = 0x00280106  # US or SS, as Pixel Representation says


def keys(*tags: int) -> tuple[ObjectKey, ...]:
    return tuple(ObjectKey(tag, supported_vr(tag)) for tag in sorted(tags))


def read(data: bytes, *tags: int, syntax: str = EXPLICIT, header: bytes = b"") -> ObjectValues:
    return read_object(io.BytesIO(header + data), len(header), syntax, keys(*tags))


def image(**more: object) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "C1", "Schädel"
    code.add_new(0x00091010, "LO", "private")
    code.add_new(0x00420011, "OB", b"bulk")
    inner = Dataset()
    inner.CodeValue = "INNER"
    code.ModifierCodeSequence = Items([inner])
    return make_dataset(
        SpecificCharacterSet="ISO_IR 100",
        ImageComments=" größe ",
        SliceThickness="1.50",
        AcquisitionMatrix=[0, 512, 512, 0],
        SmallestImagePixelValue=-5,
        ProcedureCodeSequence=Items([code, Dataset()]),
        **more,
    )


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_values_are_read_in_each_encoding(syntax: str) -> None:
    data = dataset_bytes(image(), syntax)
    found = read(data, COMMENTS, THICKNESS, CODES, MATRIX, SMALLEST, syntax=syntax, header=b"X" * 9)
    assert found.is_whole
    assert found.values[COMMENTS] == Value("LT", " größe")
    assert found.values[THICKNESS].text == "1.50"
    assert found.values[MATRIX] == Value("US", "0\\512\\512\\0")
    assert found.values[SMALLEST] == Value("SS", "-5")
    first, second = found.values[CODES].items
    assert {tag: value.text for tag, value in first.items() if value.vr != "SQ"} == {
        0x00080100: "C1",
        0x00080104: "Schädel",
    }
    assert second == {}


def test_a_deflated_dataset_is_inflated() -> None:
    data = dataset_bytes(image(), EXPLICIT)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    found = read(packed, COMMENTS, syntax=DEFLATED)
    assert (found.values[COMMENTS].text, found.is_whole) == (" größe", True)


def test_the_header_is_read_up_to_the_pixels_and_no_further() -> None:
    data = dataset_bytes(image(), EXPLICIT)
    at = data.index(b"\xe0\x7f\x10\x00OW")

    class File(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.most = max(self.most, self.tell())
            return found

    file = File(data[: at + 8] + (1 << 30).to_bytes(4, "little") + bytes(1 << 20))
    found = read_object(file, 0, EXPLICIT, keys(COMMENTS))
    assert (found.values[COMMENTS].text, found.is_whole) == (" größe", True)
    assert file.most <= 65536


def test_a_long_header_is_read_in_a_second_step() -> None:
    data = dataset_bytes(image(TextValue="x" * 200_000), EXPLICIT)
    found = read(data, COMMENTS, 0x0040A160)
    assert found.values[COMMENTS].text == " größe"
    assert 0x0040A160 not in found.values, "too long to be returned"
    assert not found.is_whole


def test_what_stands_behind_something_long_is_found() -> None:
    dataset = image()
    dataset.add_new(0x00191010, "OB", bytes(100_000))
    found = read(dataset_bytes(dataset, EXPLICIT), COMMENTS)
    assert (found.values[COMMENTS].text, found.is_whole) == (" größe", True)


def test_all_that_is_returned_of_one_object_is_bounded() -> None:
    items = []
    for _ in range(8):
        item = Dataset()
        item.TextValue = "y" * 60_000
        items.append(item)
    data = dataset_bytes(image(ContentSequence=Items(items)), EXPLICIT)
    found = read(data, 0x0040A730, COMMENTS)
    assert (found.values.keys(), found.is_whole) == ({COMMENTS}, False)


@pytest.mark.parametrize(
    "tag",
    [
        0x00091010,
        0x7FE00010,
        0x00281201,
        0x00420011,
        0x00080000,
        0x00020010,
        0x00000100,
        0x0008FFFE,
    ],
)
def test_private_bulk_and_unknown_attributes_are_not_supported(tag: int) -> None:
    assert supported_vr(tag) == ""


def test_a_value_in_another_vr_than_it_should_have_is_missing_if_it_cannot_be_read() -> None:
    dataset = make_dataset()
    dataset.add_new(COMMENTS, "US", 7)
    dataset.add_new(THICKNESS, "LO", "2.5")
    found = read(dataset_bytes(dataset, EXPLICIT), COMMENTS, THICKNESS)
    assert dict(found.values) == {THICKNESS: Value("DS", "2.5")}
    assert not found.is_whole


def test_items_may_have_a_character_set_of_their_own() -> None:
    item = Dataset()
    item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 192", "größe"
    found = read(dataset_bytes(make_dataset(ProcedureCodeSequence=Items([item])), EXPLICIT), CODES)
    assert found.values[CODES].items[0][0x00080104].text == "größe"


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\xff" * 3000, b"DICM" * 40])
def test_what_is_no_dataset_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidObjectError):
        read(data + b"", COMMENTS)


WHOLE = {syntax: dataset_bytes(image(), syntax) for syntax in (IMPLICIT, EXPLICIT, BIG)}


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, 700),
    cut=st.integers(0, 20),
    put=st.binary(max_size=12),
    syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]),
)
def test_damaged_bytes_are_values_or_a_refusal(at: int, cut: int, put: bytes, syntax: str) -> None:
    data = WHOLE.get(syntax, WHOLE[EXPLICIT])
    try:
        found = read(data[:at] + put + data[at + cut :], COMMENTS, CODES, MATRIX, syntax=syntax)
    except InvalidObjectError:
        return
    for value in found.values.values():
        assert value.vr in ("LT", "SQ", "US")


# --- keys


def key(tag: int, text: str) -> ObjectKey:
    vr = supported_vr(tag)
    return ObjectKey(tag, vr, condition_of(vr, text))


def test_of_several_values_any_may_match() -> None:
    assert key(0x00280030, "0.25").fits(Value("DS", "0.5\\0.250"))
    assert not key(0x00280030, "0.75").fits(Value("DS", "0.5\\0.250"))


def test_a_backslash_in_a_long_text_is_a_character() -> None:
    assert not key(COMMENTS, "B").fits(Value("LT", "A\\B"))
    assert key(COMMENTS, "A\\B").fits(Value("LT", "A\\B"))


def test_a_missing_value_matches_no_condition_and_any_universal_key() -> None:
    assert not key(COMMENTS, "A*").fits(None)
    assert not key(COMMENTS, "A*").fits(Value("LT", ""))
    assert key(COMMENTS, "*").fits(None)
    assert ObjectKey(CODES, "SQ").fits(None)
    assert ObjectKey(CODES, "SQ", items=(key(0x00080100, ""),)).fits(None)
    assert not ObjectKey(CODES, "SQ", items=(key(0x00080100, "C"),)).fits(Value("SQ"))


def test_sequences_within_sequences_match_by_the_same_rule() -> None:
    inner = ObjectKey(0x0040A195, "SQ", items=(key(0x00080100, "IN*"),))
    outer = ObjectKey(CODES, "SQ", items=(key(0x00080100, "C1"), inner))
    found = read(WHOLE[EXPLICIT], CODES)
    assert outer.fits(found.values[CODES])
    other = ObjectKey(CODES, "SQ", items=(key(0x00080100, "C2"), inner))
    assert not other.fits(found.values[CODES])
