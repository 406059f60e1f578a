"""Answers of C-FIND as bytes, read back by pydicom."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.multival import MultiValue

from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT, answer
from tuipacs.dicom.find_answer import AnswerEncoder
from tuipacs.domain.find import KEYS, AskedKey, FindQuery
from tuipacs.domain.level import Level

SYNTAXES = (IMPLICIT, EXPLICIT, BIG)
BY_KEYWORD = {key.keyword: key for key in KEYS}


def encode(
    row: dict[str, str], syntax: str = EXPLICIT, *, charset: bytes = b"", availability: bool = False
) -> bytes:
    keys = sorted((BY_KEYWORD[keyword] for keyword in row), key=lambda key: key.tag)
    query = FindQuery(
        level=Level.STUDY,
        keys=tuple(AskedKey(key, None) for key in keys),
        character_set=charset,
        wants_availability=availability,
    )
    return AnswerEncoder(query, syntax, "OURS").encode([row[key.keyword] for key in keys])


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("availability", [True, False])
def test_every_key_there_is(syntax: str, availability: bool) -> None:
    """Texts of odd and of even length, numbers in both byte orders, elements in order."""
    samples = {"DA": "20240131", "TM": "1030", "UI": "1.2.840", "IS": "7", "DS": "1.5", "US": "512"}
    for odd in ("", "X"):
        row = {key.keyword: samples.get(key.vr, f"{key.vr}A{odd}") for key in KEYS} | {
            "ImageType": "ORIGINAL\\PRIMARY",
            "ModalitiesInStudy": f"CT{odd}",
        }
        found = answer(encode(row, syntax, availability=availability), syntax)
        read = {
            element.keyword: "\\".join(map(str, element.value))
            if isinstance(element.value, MultiValue)
            else str(element.value)
            for element in found
        }
        extra = {"QueryRetrieveLevel": "STUDY", "RetrieveAETitle": "OURS"}
        assert read == row | extra | ({"InstanceAvailability": "ONLINE"} if availability else {})


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_has_no_value_is_there_and_empty(syntax: str) -> None:
    found = answer(encode({key.keyword: "" for key in KEYS}, syntax), syntax)
    assert len(found) == len(KEYS) + 2
    assert all(not found[key.tag].value for key in KEYS)
    assert "SpecificCharacterSet" not in found


def test_values_are_padded_as_their_vr_asks() -> None:
    data = encode({"StudyInstanceUID": "1.2", "PatientID": "ABC"})
    assert data.endswith(b"\x10\x00\x20\x00LO\x04\x00ABC \x20\x00\x0d\x00UI\x04\x001.2\x00")


def test_a_number_that_does_not_fit_is_no_number() -> None:
    assert answer(encode({"Rows": "65535", "Columns": "65536"})).Rows == 65535
    assert answer(encode({"Rows": "65535", "Columns": "65536"})).Columns is None


def test_a_value_too_long_for_its_element_loses_whole_values() -> None:
    classes = [f"1.2.840.{n}" for n in range(10_000)]
    found = answer(encode({"SOPClassesInStudy": "\\".join(classes), "PatientID": "P1"}))
    assert found.PatientID == "P1"
    assert list(found.SOPClassesInStudy) == classes[: len(found.SOPClassesInStudy)]
    assert len(found.SOPClassesInStudy) > 1000


@pytest.mark.parametrize(
    ("charset", "text", "answered_in"),
    [
        ("", "Müller^Änne", "ISO_IR 192"),
        ("ISO_IR 6", "Müller", "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Änne", "ISO_IR 100"),
        ("ISO_IR 100", "Łukasz", "ISO_IR 192"),
        ("ISO_IR 101", "Łukasz", "ISO_IR 101"),
        ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
        ("ISO_IR 126", "Διονυσιος", "ISO_IR 126"),
        ("ISO_IR 127", "قباني^لنزار", "ISO_IR 127"),
        ("ISO_IR 138", "שרון^דבורה", "ISO_IR 138"),
        ("ISO_IR 166", "นาย", "ISO_IR 166"),
        ("GB18030", "Wang^XiaoDong=王^小东", "GB18030"),
        ("GBK", "Wang^XiaoDong=王^小东", "GBK"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"),
        ("\\ISO 2022 IR 87", "Müller", "ISO_IR 192"),
        ("\\ISO 2022 IR 87", "ﾔﾏﾀﾞ", "ISO_IR 192"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "\\ISO 2022 IR 149"),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
            "ISO 2022 IR 13\\ISO 2022 IR 87",
        ),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "Müller", "ISO_IR 192"),
        (
            "\\ISO 2022 IR 87\\ISO 2022 IR 159",
            "Yamada=丂田^太郎",
            "\\ISO 2022 IR 87\\ISO 2022 IR 159",
        ),
        ("ISO 2022 IR 100", "Müller", "ISO 2022 IR 100"),
        ("ISO 2022 IR 100", "Люк", "ISO_IR 192"),
        ("\\ISO 2022 IR 144", "Люк=X", "\\ISO 2022 IR 144"),
        ("ISO 2022 IR 6\\ISO 2022 IR 100", "Müller^Änne", "ISO 2022 IR 6\\ISO 2022 IR 100"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "Müller=Люк", "ISO 2022 IR 100\\ISO 2022 IR 144"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "MüЛ", "ISO_IR 192"),
        (
            "ISO 2022 IR 100\\ISO 2022 IR 87",
            "Müller=山田^太郎",
            "ISO 2022 IR 100\\ISO 2022 IR 87",
        ),
        ("ISO 2022 IR 6", "Müller", "ISO_IR 192"),
        ("ISO_IR 100\\ISO_IR 144", "Люк", "ISO_IR 192"),
        ("nonsense", "Müller", "ISO_IR 192"),
    ],
)
def test_texts_in_the_requests_character_set_if_it_can_say_them(
    charset: str, text: str, answered_in: str
) -> None:
    data = encode({"PatientName": text, "StudyDescription": "x"}, charset=charset.encode())
    found = answer(data)
    named = found.SpecificCharacterSet
    assert (named if isinstance(named, str) else "\\".join(named)) == answered_in
    assert str(found.PatientName) == text
    assert found.StudyDescription == "x"


def test_japanese_as_the_standard_writes_it() -> None:
    """PS3.5 H.3.2: JIS X 0201 is where each part begins and ends."""
    data = encode(
        {"PatientName": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
        charset=b"ISO 2022 IR 13\\ISO 2022 IR 87",
    )
    assert (
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
    ) in data


def test_simplified_chinese_by_code_extension() -> None:
    """As PS3.5 K.2 writes it; pydicom keeps the escape sequences of this set."""
    data = encode({"PatientName": "Zhang=张^小东"}, charset=b"\\ISO 2022 IR 58")
    assert b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab" in data
    assert b"\\ISO 2022 IR 58 " in data


def test_an_escape_sequence_in_a_stored_text_designates_nothing() -> None:
    """Beside a name that needs the request's code extensions."""
    data = encode(
        {"PatientName": "山田", "StudyDescription": "A\x1b$BB"}, charset=b"\\ISO 2022 IR 87"
    )
    assert b"ISO_IR 192" in data
    assert "山田".encode() in data
    assert b"A\x1b$BB" in data


_TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"), max_size=40
)
_CHARSETS = st.sampled_from(
    [
        "",
        "ISO_IR 100",
        "ISO_IR 144",
        "ISO_IR 192",
        "GB18030",
        "\\ISO 2022 IR 87",
        "\\ISO 2022 IR 149",
        "ISO 2022 IR 101",
        "ISO 2022 IR 6\\ISO 2022 IR 100",
        "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 87\\ISO 2022 IR 149",
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
    ]
)


@settings(max_examples=200, deadline=None)
@given(text=_TEXT, charset=_CHARSETS, syntax=st.sampled_from(SYNTAXES))
def test_any_text_comes_back_as_it_was(text: str, charset: str, syntax: str) -> None:
    text = text.strip(" ")
    data = encode({"StudyDescription": text, "PatientID": "P"}, syntax, charset=charset.encode())
    found = answer(data, syntax)
    assert (found.StudyDescription or "") == text
    assert found.PatientID == "P"
