"""Each rule of C-FIND (PS3.4 C.2.2.2) by itself, from an identifier's bytes to the answers' bytes.

Every rule has rows that betray a wrong one: they differ from those that match in what the rule is
about, and in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset

from tests.unit.find_rows import CT, EXPLICIT, answer, entry, identifier, put
from tests.unit.services.parts import PEER, Clock
from tuipacs.domain.find import STUDY_ROOT
from tuipacs.domain.permissions import Permission
from tuipacs.errors import InvalidQueryError
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.services.query import FindRequest, Query
from tuipacs.storage.local import LocalStore

# pydicom's, of odd values, which are what some of these rules are about
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
ASKER = msgspec.structs.replace(PEER, permissions=frozenset({Permission.DICOM_QUERY}))
SR = "1.2.840.10008.5.1.4.1.1.88.11"
MR = "1.2.840.10008.5.1.4.1.1.4"


class Rows:
    """An archive of studies "1.2.0", "1.2.1", ...; asks, and says which were found."""

    def __init__(self, folder: Path) -> None:
        self.index = Index(folder / "index.sqlite")
        migrate(self.index)
        self.query = Query(self.index, Clock(), LocalStore(folder / "objects", reserve=0))

    def put(self, field: str, values: Sequence[str], **more: object) -> None:
        put(
            self.index,
            (
                entry(**{field: value, "study_instance_uid": f"1.2.{n}"} | more)
                for n, value in enumerate(values)
            ),
        )

    def ask(self, data: bytes) -> list[Dataset]:
        request = FindRequest(
            model=STUDY_ROOT,
            identifier=data,
            transfer_syntax_uid=EXPLICIT,
            retrieve_ae_title="TUIPACS",
        )
        found = self.query.find(ASKER, request)
        return [answer(match.identifier) for match in found.answers(lambda: False)]

    def found(self, level: str = "STUDY", **keys: object) -> list[int]:
        """The last numbers of the unique keys of the answers."""
        unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
        tag = unique.get(level, "SOPInstanceUID")
        found = self.ask(identifier(level, **{tag: ""} | keys))
        return sorted(int(str(one[tag].value).rpartition(".")[2]) for one in found)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    rows = Rows(tmp_path)
    yield rows
    rows.index.close()


def raw(tag: int, vr: bytes, value: bytes) -> bytes:
    """A key with bytes that pydicom would not write; the order of the keys is no matter here."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    return head + len(value).to_bytes(2, "little") + value


# --- single values, and their padding


@pytest.mark.parametrize("key", ["A1", "A1 ", "A1\0", " A1"])
def test_single_value_padding_does_not_count(rows: Rows, key: str) -> None:
    rows.put("accession_number", ["A1", "A10", "A 1", "a1", "XA1", ""])
    asked = raw(0x00080050, b"SH", key.encode().ljust(4)) + identifier()
    assert [one.AccessionNumber for one in rows.ask(asked)] == ["A1"]


def test_single_value_is_case_sensitive(rows: Rows) -> None:
    rows.put("study_description", ["Chest", "CHEST", "chest", "Chest PA"])
    assert rows.found(StudyDescription="CHEST") == [1]


def test_single_value_of_a_person_name_is_not_case_or_accent_sensitive(rows: Rows) -> None:
    rows.put("patient_name", ["MÜLLER^ÄNNE", "Muller^Anne", "MULLER^ANN", "Müller", "Muellér^Anne"])
    keys = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "müller^anne"}
    assert rows.found(**keys) == [0, 1]


def test_trailing_carets_of_a_person_name_do_not_count(rows: Rows) -> None:
    rows.put("patient_name", ["DOE^J", "DOE^J^^^", "DOE^J^^DR", "DOE"])
    assert rows.found(PatientName="DOE^J^^") == [0, 1]


def test_any_component_group_of_a_person_name_may_match(rows: Rows) -> None:
    names = ["Yamada^T=山田^太郎=やまだ^たろう", "山田^太郎", "Yamada^T", "Suzuki^T=鈴木^太郎", ""]
    rows.put("patient_name", names)
    utf8 = {"SpecificCharacterSet": "ISO_IR 192"}
    assert rows.found(**utf8, PatientName="山田^太郎") == [0, 1]
    assert rows.found(**utf8, PatientName="yamada^t") == [0, 2]
    assert rows.found(**utf8, PatientName="やまだ*") == [0]
    assert rows.found(**utf8, PatientName="Yamada^T=山田^太郎") == [0]


# --- wildcards


def test_asterisk_is_any_number_of_characters_and_question_mark_one(rows: Rows) -> None:
    rows.put("study_description", ["CHEST", "CHEST PA", "CHES", "XCHEST", ""])
    assert rows.found(StudyDescription="CHEST*") == [0, 1]
    assert rows.found(StudyDescription="CHES?") == [0]
    assert rows.found(StudyDescription="*CHEST") == [0, 3]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("50%", [0]),
        ("50%*", [0, 1]),
        ("A_B", [3]),
        ("A_*", [3]),
        ("A\\B", [5]),
        ("?\\B", [5]),
        ("[AB]*", []),
        ("50", []),
    ],
)
def test_percent_underscore_and_backslash_are_literal(
    rows: Rows, key: str, expected: list[int]
) -> None:
    rows.put("study_description", ["50%", "50% DOSE", "50 ML", "A_B", "AXB", "A\\B", "AB"])
    asked = raw(0x00081030, b"LO", key.encode().ljust(8)) + identifier(StudyInstanceUID="")
    found = rows.ask(asked)
    assert sorted(int(one.StudyInstanceUID[4:]) for one in found) == expected


@pytest.mark.parametrize(
    ("tag", "vr", "key"),
    [
        (0x00200011, b"IS", "1*"),
        (0x00080021, b"DA", "2024*"),
        (0x00080031, b"TM", "10*"),
        (0x00200011, b"IS", "?"),
    ],
)
def test_wildcards_are_for_text_only(rows: Rows, tag: int, vr: bytes, key: str) -> None:
    asked = raw(tag, vr, key.encode().ljust(6)) + identifier("SERIES", StudyInstanceUID="1.2.0")
    with pytest.raises(InvalidQueryError):
        rows.ask(asked)


def test_wildcards_in_a_uid_are_characters(rows: Rows) -> None:
    rows.put("study_date", ["20240101"] * 3)
    data = identifier() + raw(0x0020000D, b"UI", b"1.2.*\0")
    assert rows.ask(data) == []


# --- ranges


DAYS = ["20240130", "20240131", "20240201", "20240229", "20240301", "2024.02.01", "", "2024"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("20240131-20240229", [1, 2, 3, 5]),
        ("-20240131", [0, 1]),
        ("20240229-", [3, 4]),
        ("20240201", [2, 5]),
        ("20240201-20240201", [2, 5]),
        ("20240301-20240130", []),
    ],
)
def test_ranges_of_dates_hold_their_borders(rows: Rows, key: str, expected: list[int]) -> None:
    rows.put("study_date", DAYS)
    assert rows.found(StudyDate=key) == expected


def test_dates_of_the_old_form_are_read(rows: Rows) -> None:
    rows.put("study_date", DAYS)
    asked = raw(0x00080020, b"DA", b"2024.02.01") + identifier(StudyInstanceUID="")
    found = rows.ask(asked)
    assert sorted(int(one.StudyInstanceUID[4:]) for one in found) == [2, 5]


TIMES = ["10", "1030", "103000", "103000.5", "103059.999999", "10:30:30", "1031", "", "0930"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("1030", [1, 2, 3, 4, 5]),
        ("10", [0, 1, 2, 3, 4, 5, 6]),
        ("103000.5", [3]),
        ("103000-103000.5", [1, 2, 3]),
        ("-1030", [0, 1, 2, 3, 4, 5, 8]),
        ("1031-", [6]),
        ("093000-095959", [8]),
        ("1031-0930", []),  # no night: what is before it and after it is asked for apart
    ],
)
def test_times_match_at_any_precision(rows: Rows, key: str, expected: list[int]) -> None:
    rows.put("study_time", TIMES)
    assert rows.found(StudyTime=key) == expected


# --- lists, several values, numbers


def test_a_list_of_uids_finds_each_of_them_and_no_part(rows: Rows) -> None:
    rows.put("study_date", ["20240101"] * 13)
    assert rows.found(StudyInstanceUID=["1.2.1", "1.2.11", "9.9"]) == [1, 11]


@pytest.mark.parametrize(
    ("field", "keyword", "values", "key", "expected"),
    [
        ("body_part_examined", "BodyPartExamined", ["HEAD\\NECK", "NECKLACE", "HEAD"], "NECK", [0]),
        ("operators_name", "OperatorsName", ["A^B\\DOE^J", "A^B DOE^J", "DOE"], "doe^j", [0]),
        ("laterality", "Laterality", ["L\\R", "R", "LR"], "R", [0, 1]),
    ],
)
def test_of_several_stored_values_any_may_match(
    rows: Rows, field: str, keyword: str, values: list[str], key: str, expected: list[int]
) -> None:
    put(
        rows.index,
        (
            entry(study_instance_uid="1.2.0", series_instance_uid=f"1.3.{n}", **{field: value})
            for n, value in enumerate(values)
        ),
    )
    assert rows.found("SERIES", StudyInstanceUID="1.2.0", **{keyword: key}) == expected


def test_integer_strings_match_as_numbers(rows: Rows) -> None:
    put(
        rows.index,
        (
            entry(study_instance_uid="1.2.0", series_instance_uid=f"1.3.{n}", series_number=value)
            for n, value in enumerate(["1", "001", "+1", "1.0", "10", "-1", "", "x"])
        ),
    )
    for key in ("1", "001"):
        found = rows.found("SERIES", StudyInstanceUID="1.2.0", SeriesNumber=key)
        assert found == [0, 1, 2, 3]


def test_decimal_strings_match_as_numbers(rows: Rows) -> None:
    rows.put("patient_size", ["1.7", "1.70", "01.700", "17e-1", "17", "1.71", ""])
    assert rows.found(PatientSize="1.7") == [0, 1, 2, 3]


# --- universal matching, and what is missing


@pytest.mark.parametrize(
    ("field", "keyword", "key"),
    [
        ("patient_name", "PatientName", "*"),
        ("accession_number", "AccessionNumber", "*"),
        ("study_description", "StudyDescription", "**"),
        ("study_date", "StudyDate", ""),
        ("patient_id", "PatientID", "*"),
        ("modality", "ModalitiesInStudy", "*"),
    ],
)
def test_universal_matching_returns_rows_without_the_attribute(
    rows: Rows, field: str, keyword: str, key: str
) -> None:
    rows.put(field, ["", "20240101", ""])
    assert rows.found(**{keyword: key}) == [0, 1, 2]


def test_a_missing_attribute_matches_no_condition(rows: Rows) -> None:
    rows.put("study_description", ["", "A"])
    for key in ("?*", "A*", "*A"):
        assert rows.found(StudyDescription=key) == [1]


# --- what is about all that a study has


@pytest.fixture
def mixed(rows: Rows) -> Rows:
    """Study 0: CT and SR; study 1: MR with two objects; study 2: CT."""
    for study, series, modality, sop_class, count in (
        (0, 1, "CT", CT, 1),
        (0, 2, "SR", SR, 1),
        (1, 1, "MR", MR, 2),
        (2, 1, "CT", CT, 1),
    ):
        put(
            rows.index,
            (
                entry(
                    patient_id="P",
                    study_instance_uid=f"1.2.{study}",
                    series_instance_uid=f"1.2.{study}.{series}",
                    modality=modality,
                    sop_class_uid=sop_class,
                )
                for _ in range(count)
            ),
        )
    return rows


def test_modalities_in_study_match_on_any_series_and_all_are_returned(mixed: Rows) -> None:
    (one,) = mixed.ask(identifier(ModalitiesInStudy="SR"))
    assert list(one.ModalitiesInStudy) == ["CT", "SR"]
    assert mixed.found(ModalitiesInStudy="CT") == [0, 2]
    assert mixed.found(ModalitiesInStudy=["MR", "SR"]) == [0, 1]
    assert mixed.found(ModalitiesInStudy="C") == []


def test_sop_classes_in_study_match_on_any_object(mixed: Rows) -> None:
    assert mixed.found(SOPClassesInStudy=SR) == [0]
    assert mixed.found(SOPClassesInStudy=[SR, MR]) == [0, 1]
    assert mixed.found(SOPClassesInStudy=SR[:-1]) == []
    (one,) = mixed.ask(identifier(SOPClassesInStudy=SR))
    assert sorted(one.SOPClassesInStudy) == sorted([CT, SR])


def test_numbers_of_related_entities_are_counted_at_their_level(mixed: Rows) -> None:
    asked = {
        "NumberOfPatientRelatedStudies": None,
        "NumberOfPatientRelatedSeries": None,
        "NumberOfPatientRelatedInstances": None,
        "NumberOfStudyRelatedSeries": None,
        "NumberOfStudyRelatedInstances": None,
    }
    found = {
        one.StudyInstanceUID: [one[keyword].value for keyword in asked]
        for one in mixed.ask(identifier(StudyInstanceUID="", **asked))
    }
    assert found == {
        "1.2.0": [3, 4, 5, 2, 2],
        "1.2.1": [3, 4, 5, 1, 2],
        "1.2.2": [3, 4, 5, 1, 1],
    }
    assert mixed.found(NumberOfStudyRelatedInstances="02") == [0, 1]
    keys: dict[str, Any] = {"StudyInstanceUID": "1.2.1", "NumberOfSeriesRelatedInstances": None}
    (series,) = mixed.ask(identifier("SERIES", **keys))
    assert series.NumberOfSeriesRelatedInstances == 2


def test_instance_availability_is_matched_and_returned(mixed: Rows) -> None:
    (one,) = mixed.ask(identifier(InstanceAvailability="ONLINE", StudyInstanceUID="1.2.0"))
    assert one.InstanceAvailability == "ONLINE"
    assert mixed.found(InstanceAvailability="NEARLINE") == []
    assert mixed.found(InstanceAvailability="") == [0, 1, 2]


def test_an_answer_has_the_requested_keys_its_level_and_where_to_retrieve(mixed: Rows) -> None:
    (one,) = mixed.ask(identifier(StudyInstanceUID="1.2.0", AccessionNumber="", StudyDate=""))
    assert {element.keyword: element.value for element in one} == {
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "TUIPACS",
        "StudyInstanceUID": "1.2.0",
        "AccessionNumber": "",
        "StudyDate": "",
    }
