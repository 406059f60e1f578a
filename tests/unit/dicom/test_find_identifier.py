"""Reading what a C-FIND asks: transfer syntaxes, character sets, and nothing that hurts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT, identifier
from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    PATIENT_ID_TAG,
    RETRIEVE_AE_TAG,
    STUDY_ROOT,
    STUDY_UID_TAG,
    FindQuery,
)
from tuipacs.domain.find_match import OneOf
from tuipacs.domain.level import Level
from tuipacs.errors import InvalidQueryError, QueryModelError

SYNTAXES = (IMPLICIT, EXPLICIT, BIG)
HERE = {RETRIEVE_AE_TAG: "TUIPACS", AVAILABILITY_TAG: "ONLINE"}


def read(data: bytes, syntax: str = EXPLICIT) -> FindQuery:
    return read_identifier(data, syntax, STUDY_ROOT, constants=HERE)


def condition(query: FindQuery, keyword: str) -> object:
    (found,) = (one.condition for one in query.keys if one.key.keyword == keyword)
    return found


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_keys_of_all_kinds_in_each_transfer_syntax(syntax: str) -> None:
    data = identifier(
        "IMAGE",
        syntax,
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.45",
        SOPInstanceUID=["1.2", "1.3"],
        Rows=512,
        InstanceNumber="7",
        PatientName="",
        InstanceAvailability="",
    )
    query = read(data, syntax)
    assert query.level is Level.INSTANCE
    assert query.single_value(STUDY_UID_TAG) == "1.2.3"
    assert condition(query, "SOPInstanceUID") == OneOf(frozenset(("1.2", "1.3")))
    assert condition(query, "PatientName") is None
    assert condition(query, "Rows").fits("512")  # type: ignore[attr-defined]
    assert not condition(query, "Rows").fits("2")  # type: ignore[attr-defined]
    assert query.wants_availability
    assert not query.unsupported
    assert [one.key.tag for one in query.keys] == sorted(one.key.tag for one in query.keys)


def test_the_bytes_tell_the_encoding_whatever_was_agreed() -> None:
    data = identifier("STUDY", IMPLICIT, PatientID="P1")
    assert read(data, EXPLICIT).single_value(PATIENT_ID_TAG) == "P1"


@pytest.mark.parametrize(
    ("charset", "raw", "fits"),
    [
        (b"ISO_IR 100", "Müller*".encode("latin_1"), "MULLER^A"),
        (b"ISO_IR 192", "Müller*".encode(), "MULLER^A"),
        (b"ISO_IR 144", "Люк*".encode("iso8859_5"), "люк^A"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^*", "Yamada=山田^太郎"),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^*", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8^*", "Kim=김^철수"),
        (b"GB18030", "王*".encode("gb18030"), "Wang=王^小东"),
    ],
)
def test_keys_are_read_in_the_identifiers_own_character_set(
    charset: bytes, raw: bytes, fits: str
) -> None:
    query = read(_with_name(charset, raw))
    assert condition(query, "PatientName").fits(fits)  # type: ignore[attr-defined]
    assert not condition(query, "PatientName").fits("Nobody^At All")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        (b"ISO_IR 192", b"M\xfcller"),
        (b"ISO_IR 999", b"M\xfcller"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3E"),
        (b"ISO_IR 100", b"\x1b$B;3ED\x1b(B"),
    ],
)
def test_bytes_that_cannot_be_read_for_sure_are_refused(charset: bytes, raw: bytes) -> None:
    with pytest.raises(InvalidQueryError, match="character set"):
        read(_with_name(charset, raw))


def _with_name(charset: bytes, name: bytes) -> bytes:
    out = b""
    level = (b"\x08\x00\x52\x00CS", b"STUDY ")
    for head, value in ((b"\x08\x00\x05\x00CS", charset), level, (b"\x10\x00\x10\x00PN", name)):
        value += b" " * (len(value) % 2)
        out += head + len(value).to_bytes(2, "little") + value
    return out


def test_unsupported_keys_are_noted_and_group_lengths_are_none() -> None:
    assert not read(b"\x08\x00\x00\x00UL\x04\x00\x08\0\0\0" + identifier(PatientID="")).unsupported
    assert read(identifier(PatientID="", Modality="")).unsupported
    assert read(
        identifier(PatientID="", SeriesDescription="*", SeriesDate="", Rows=None)
    ).unsupported
    assert read(identifier(PatientID="", ImageComments="X")).unsupported
    assert read(identifier(RequestAttributesSequence=[])).unsupported
    assert not read(identifier("SERIES", StudyInstanceUID="1.2", Modality="CT")).unsupported


@pytest.mark.parametrize(
    "keys", [{"Modality": "CT"}, {"SeriesDate": "20240101"}, {"Rows": 512}, {"ImageType": "A\\B"}]
)
def test_a_condition_below_the_level_is_refused(keys: dict[str, object]) -> None:
    """An asker that overlooks 0xFF01 would see each study as a CT."""
    with pytest.raises(QueryModelError, match="is below the level"):
        read(identifier(PatientID="", **keys))


def test_a_condition_on_what_is_the_same_for_all_is_decided_at_once() -> None:
    assert not read(identifier(RetrieveAETitle="TUI*")).matches_nothing
    assert read(identifier(RetrieveAETitle="OTHER")).matches_nothing
    assert read(identifier(InstanceAvailability="OFFLINE")).matches_nothing
    assert not read(identifier(InstanceAvailability="ONLINE")).matches_nothing


def test_a_refusal_names_the_key_and_never_its_value() -> None:
    with pytest.raises(InvalidQueryError) as refused:
        read(_with_name(b"ISO_IR 192", b"SECRET^N\xff"))
    assert "(0010,0010)" in refused.value.message
    assert "SECRET" not in refused.value.message
    with pytest.raises(QueryModelError) as refused:
        read(identifier("SERIES", PatientID="SECRET"))
    assert "(0020,000D)" in refused.value.message


WHOLE = identifier(
    "IMAGE",
    StudyInstanceUID="1.2.3",
    SeriesInstanceUID="1.2.4",
    PatientName="DOE*",
    StudyDate="20240101-",
    RequestAttributesSequence=[],
    Rows=1,
)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), syntax=st.sampled_from(SYNTAXES))
def test_any_bytes_are_a_query_or_a_refusal(data: bytes, syntax: str) -> None:
    _read_or_refuse(data, syntax)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(WHOLE)),
    cut=st.integers(0, 8),
    put=st.binary(max_size=8),
    syntax=st.sampled_from(SYNTAXES),
)
def test_a_damaged_identifier_is_a_query_or_a_refusal(
    at: int, cut: int, put: bytes, syntax: str
) -> None:
    _read_or_refuse(WHOLE[:at] + put + WHOLE[at + cut :], syntax)


def _read_or_refuse(data: bytes, syntax: str) -> None:
    try:
        query = read(data, syntax)
    except InvalidQueryError as error:
        assert error.message.isascii()
        return
    assert query.words.isprintable()
