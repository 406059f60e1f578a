"""Reading what a C-FIND asks: transfer syntaxes, character sets, and nothing that hurts."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT, encoded, identifier
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


def read(data: bytes, syntax: str = EXPLICIT, *, is_relational: bool = False) -> FindQuery:
    return read_identifier(data, syntax, STUDY_ROOT, constants=HERE, is_relational=is_relational)


def item(**keys: object) -> Dataset:
    made = Dataset()
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return made


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
    "keys", [{"Modality": "CT"}, {"SeriesDate": "20240101"}, {"InstitutionName": "ZZ"}]
)
@pytest.mark.parametrize("is_relational", [False, True])
def test_a_condition_on_series_is_matched_above_them(
    keys: dict[str, object], is_relational: bool
) -> None:
    """An asker that overlooks 0xFF01 would else see each study as a CT."""
    query = read(identifier(PatientID="P1", **keys), is_relational=is_relational)
    assert [asked.key.keyword for asked in query.below] == list(keys)
    assert query.unsupported, "it is not returned"


@pytest.mark.parametrize("keys", [{"Rows": 512}, {"ImageType": "A\\B"}, {"InstanceNumber": "1"}])
def test_a_condition_on_objects_is_passed_over_above_them(keys: dict[str, object]) -> None:
    """As any key that is not supported there: no question reads all objects."""
    query = read(identifier(PatientID="", **keys))
    assert (query.below, query.unsupported) == ((), True)


@pytest.mark.parametrize("keys", [{"SeriesInstanceUID": "1.2"}, {"SOPInstanceUID": "1.2"}])
def test_a_unique_key_below_the_level_is_refused(keys: dict[str, object]) -> None:
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


# --- sequences, and keys that only objects answer

SERIES = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": ""}
CODE = item(CodeValue="X", CodingSchemeDesignator="")
REQUEST = item(
    RequestedProcedureID="RP*", ScheduledProcedureStepID="", RequestedProcedureCodeSequence=[CODE]
)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("is_open", [False, True])
def test_keys_within_sequences_in_each_transfer_syntax(syntax: str, is_open: bool) -> None:
    """``is_open``: of undefined length."""
    sequence = Items([copy.deepcopy(REQUEST)])
    asked = item(QueryRetrieveLevel="SERIES", **SERIES, RequestAttributesSequence=sequence)
    asked["RequestAttributesSequence"].is_undefined_length = is_open
    sequence[0].is_undefined_length_sequence_item = is_open
    (found,) = read(encoded(asked, syntax), syntax).object_keys
    procedure_codes, step, procedure = sorted(found.items, key=lambda key: key.tag & 0xFF0000)
    assert not found.is_universal
    assert procedure.condition is not None
    assert step.condition is None
    (value, scheme) = procedure_codes.items
    assert (value.condition, scheme.condition) == (OneOf(frozenset(("X",))), None)


def test_the_audit_words_tell_the_keys_within_sequences() -> None:
    query = read(identifier("SERIES", **SERIES, RequestAttributesSequence=[REQUEST]))
    assert "RequestAttributesSequence(" in query.words
    assert "RequestedProcedureCodeSequence(CodeValue=X, CodingSchemeDesignator)" in query.words
    assert "RequestedProcedureID=RP*" in query.words


def test_keys_within_a_sequence_that_nobody_answers_are_flagged() -> None:
    def asked(**keys: object) -> FindQuery:
        return read(identifier("SERIES", **SERIES, RequestAttributesSequence=[item(**keys)]))

    assert not asked(RequestedProcedureID="").unsupported
    private = item(RequestedProcedureID="")
    private.add_new(0x00091010, "LO", "X")
    query = read(identifier("SERIES", **SERIES, RequestAttributesSequence=[private]))
    assert query.unsupported
    assert [key.tag for key in query.object_keys[0].items] == [0x00401001]
    only = item()
    only.add_new(0x00091010, "LO", "X")
    query = read(identifier("SERIES", **SERIES, RequestAttributesSequence=[only]))
    assert query.unsupported
    assert query.object_keys == (), "to ask for none of it is not to ask for all of it"


def test_a_request_is_asked_for_below_the_study_only() -> None:
    for wanted in ("RP1", ""):
        query = read(identifier(RequestAttributesSequence=[item(RequestedProcedureID=wanted)]))
        assert (query.object_keys, query.unsupported) == ((), True)


@pytest.mark.parametrize(
    "items",
    [
        [item(RequestedProcedureID="A"), item(RequestedProcedureID="B")],
        [item(RequestedProcedureCodeSequence=[CODE, CODE])],
        [item(AcquisitionDateTime="20240231")],
    ],
)
def test_a_sequence_has_one_item_and_its_values_are_of_their_vr(items: list[Dataset]) -> None:
    data = identifier("SERIES", **SERIES, RequestAttributesSequence=items)
    with pytest.raises(InvalidQueryError) as refused:
        read(data)
    assert refused.value.tag


def nested(depth: int) -> Dataset:
    inner = item(CodeValue="X")
    for _ in range(depth):
        inner = item(RequestedProcedureCodeSequence=[inner])
    return inner


@pytest.mark.parametrize(("depth", "fits"), [(6, True), (8, False), (20, False), (100, False)])
def test_sequences_that_are_nested_too_deep_are_no_question(depth: int, fits: bool) -> None:
    """With lengths: nothing has to be walked to jump over them."""
    data = identifier("SERIES", **SERIES, RequestAttributesSequence=[nested(depth)])
    if fits:
        assert not read(data).object_keys[0].is_universal
        return
    with pytest.raises(InvalidQueryError, match="nested"):
        read(data)


def test_a_sequence_of_very_many_elements_is_no_question() -> None:
    empty = b"\xfe\xff\x00\xe0\0\0\0\0"
    for count in (2, 5000, 100_000):
        value = empty * count
        head = b"\x40\x00\x75\x02SQ\0\0" + len(value).to_bytes(4, "little")
        with pytest.raises(InvalidQueryError):
            read(identifier("SERIES", **SERIES) + head + value)


def test_any_key_of_an_image_is_asked_of_the_objects() -> None:
    query = read(
        identifier(
            "IMAGE",
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.4",
            ImageComments="A*",
            AcquisitionMatrix=None,
            AcquisitionDateTime="2024-",
        )
    )
    assert [key.vr for key in query.object_keys] == ["DT", "US", "LT"]
    assert not query.unsupported
    with pytest.raises(InvalidQueryError, match=r"\(0008,002A\)"):
        image = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
        read(identifier("IMAGE", **image, AcquisitionDateTime="20240231"))


# --- across levels


def test_a_relational_query_needs_no_unique_keys_and_may_ask_below() -> None:
    query = read(identifier("SERIES", PatientID="P1", SOPInstanceUID="1.2"), is_relational=True)
    assert query.is_relational
    assert [asked.key.keyword for asked in query.below] == ["SOPInstanceUID"]
    assert query.unsupported, "what is below is not returned"
    for data in (
        identifier("SERIES", PatientID="P1"),
        identifier("SERIES", StudyInstanceUID="1.2", SOPInstanceUID="1.2"),
    ):
        with pytest.raises(QueryModelError):
            read(data)
        assert read(data, is_relational=True).keys
    rows = identifier("STUDY", Rows=1)
    assert [len(read(rows, is_relational=is_it).below) for is_it in (False, True)] == [0, 1]


def test_a_universal_key_below_is_passed_over_in_any_query() -> None:
    data = identifier("STUDY", Modality="", SeriesInstanceUID="", SOPInstanceUID="")
    for is_relational in (False, True):
        query = read(data, is_relational=is_relational)
        assert (query.below, query.unsupported) == ((), True)


def test_what_objects_know_is_asked_relationally_of_named_ones_only() -> None:
    with pytest.raises(InvalidQueryError, match="below a UID"):
        read(identifier("IMAGE", ImageComments="X"), is_relational=True)
    assert read(identifier("IMAGE", ImageComments=""), is_relational=True).object_keys
    named = identifier("IMAGE", ImageComments="X", StudyInstanceUID=["1.2", "1.3"])
    assert read(named, is_relational=True).object_keys


WHOLE = identifier(
    "IMAGE",
    StudyInstanceUID="1.2.3",
    SeriesInstanceUID="1.2.4",
    PatientName="DOE*",
    StudyDate="20240101-",
    RequestAttributesSequence=[REQUEST],
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
        query = read(data, syntax, is_relational=len(data) % 2 == 0)
    except InvalidQueryError as error:
        assert error.message.isascii()
        return
    assert query.words.isprintable()
