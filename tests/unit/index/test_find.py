"""C-FIND on the tables: the index may look wider than the rules, never narrower, and never far."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.find_rows import entry, put
from tuipacs.domain.find import (
    KEYS,
    AskedKey,
    FindQuery,
)
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.errors import InvalidQueryError
from tuipacs.index.database import Index, Reader
from tuipacs.index.find import RowReader, candidates, statement
from tuipacs.index.ingest import Arrival
from tuipacs.index.migrations import migrate

BY_KEYWORD = {key.keyword: key for key in KEYS}
NAMES = [
    "DOE",
    "DOE^JOHN",
    "doe^jöhn",
    "DOELL^J",
    "VAN DER  BERG^ANNA",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^太郎",
    "がく^か",
    "が\u093c^X",  # a mark that stands before the voicing mark once both are decomposed
    "STRAẞE^ß",
    "A%B_C^\\X",
    "^ONLY",
    "",
]
TEXTS = ["", "A", "A B", "50%", "50 ML", "A_B", "AXB", "a", "Ä", "A\\B", "AB*", "?"]
PATIENT_IDS = ["", *(f"{text}P1" for text in TEXTS), "^", "=", "^=^", "\u0301", "P1", "P^1", "P 1"]
DATES = ["", "20240131", "2024.01.31", "20240201", "20231231", "99999999", "2024", " 20240131"]
TIMES = ["", "10", "1030", "10:30:30", "103000.5", "2359", "256161", " noon", "zzz"]


def studies() -> Iterator[Arrival]:
    for n in range(60):
        yield entry(
            study_instance_uid=f"1.2.{n}",
            patient_name=NAMES[n % len(NAMES)],
            patient_id=PATIENT_IDS[n % len(PATIENT_IDS)],
            accession_number=TEXTS[n % 12],
            study_id=TEXTS[(n + 3) % 12],
            study_description=TEXTS[(n + 5) % 12],
            referring_physician_name=NAMES[(n + 4) % len(NAMES)],
            study_date=DATES[n % 8],
            patient_birth_date=DATES[(n + 2) % 8],
            study_time=TIMES[n % len(TIMES)],
            patient_size=["", "1.70", "1.7"][n % 3],
            modality=["CT", "MR", "US", ""][n % 4],
        )
        yield entry(study_instance_uid="1.2.0", modality="MR", sop_class_uid="1.2.3")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("find") / "index.sqlite")
    migrate(index)
    put(index, studies())
    yield index
    index.close()


def query(level: Level = Level.STUDY, **keys: str) -> FindQuery:
    asked = [
        AskedKey(BY_KEYWORD[keyword], condition_of(BY_KEYWORD[keyword].vr, text))
        for keyword, text in keys.items()
    ]
    return FindQuery(level=level, keys=tuple(sorted(asked, key=lambda one: one.key.tag)))


def found(reader: Reader, asked: FindQuery) -> list[tuple[str, ...]]:
    return RowReader(asked).rows(reader, candidates(reader, asked))


@st.composite
def _texts(draw: st.DrawFn, values: list[str]) -> str:
    """A value of the archive, whole or in part, with wildcards here and there."""
    text = draw(st.sampled_from(values))
    cut = draw(st.integers(0, len(text)))
    text = draw(st.sampled_from([text, text[:cut], text[cut:], text.lower(), text.upper()]))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from("*?")) + text[at + draw(st.integers(0, 1)) :]
    return text


_RANGES = [*DATES[:-1], "-20240131", "20240131-", "20240131-20240201", "2024.01.31-2024.12.31"]
ASKED = {
    "PatientName": _texts(NAMES),
    "ReferringPhysicianName": _texts(NAMES),
    "PatientID": _texts(PATIENT_IDS),
    "AccessionNumber": _texts(TEXTS),
    "StudyID": _texts(TEXTS),
    "StudyDescription": _texts(TEXTS),
    "StudyDate": st.sampled_from(_RANGES),
    "PatientBirthDate": st.sampled_from(_RANGES),
    "StudyTime": st.sampled_from([*TIMES[:7], "-1030", "1030-", "10-11", "103000.5-23"]),
    "ModalitiesInStudy": st.sampled_from(["CT", "M?", "CT\\MR", "*", "X", "C"]),
    "SOPClassesInStudy": st.sampled_from(["1.2.3", "1.2", "1.2.3\\1.2"]),
    "StudyInstanceUID": st.sampled_from(["1.2.5", "1.2.5\\1.2.50\\1.2.0", "1.2.*", "1.2"]),
    "NumberOfStudyRelatedSeries": st.sampled_from(["1", "01", "2", "61"]),
    "PatientSize": st.sampled_from(["1.7", "1.70", "17e-1", "2"]),
}
_ASKED = st.fixed_dictionaries({}, optional=ASKED)


@settings(max_examples=300, deadline=None)
@given(keys=_ASKED)
def test_indexes_lose_no_match_and_let_nothing_else_through(
    index: Index, keys: dict[str, str]
) -> None:
    """Beside asking each row: what is found is what fits all keys, whichever index drives."""
    try:
        asked = query(**keys, NumberOfStudyRelatedInstances="")
    except InvalidQueryError:
        return
    every = query(**dict.fromkeys(keys, ""), NumberOfStudyRelatedInstances="")
    with index.read() as reader:
        rows = found(reader, every)
        expected = [
            row
            for row in rows
            if all(one.fits(text) for one, text in zip(asked.keys, row, strict=True))
        ]
        assert len(rows) >= 60
        assert found(reader, asked) == expected


def test_a_patient_id_that_folds_to_nothing_is_found(index: Index) -> None:
    with index.read() as reader:
        for text in ("^", "=", "^=^", "\u0301"):
            assert {row[0] for row in found(reader, query(PatientID=text))} == {text}
            assert len(found(reader, query(PatientID=f"{text[0]}*"))) > 0
        assert ("^",) in found(reader, query(PatientID="?"))


def test_any_value_of_a_code_string_may_match(index: Index) -> None:
    """Senders put several values where the standard has one."""
    put(index, [entry(study_instance_uid="7.1", body_part_examined="HEAD\\NECK", modality="CT")])
    with index.read() as reader:
        for asked, count in {"NECK": 1, "HEAD": 1, "N?CK": 1, "HEA": 0, "HEAD\\NECK": 1}.items():
            keys = query(Level.SERIES, StudyInstanceUID="7.1", BodyPartExamined=asked)
            assert len(found(reader, keys)) == count, asked


def test_a_long_list_is_no_deeper_for_sqlite(index: Index) -> None:
    uids = "\\".join(f"1.2.840.{n}" for n in range(1500))
    with index.read() as reader:
        assert found(reader, query(SOPClassesInStudy=uids)) == []
        assert len(found(reader, query(SOPClassesInStudy=f"1.2.3\\{uids}"))) == 1


def test_a_mark_that_changes_its_place_hides_no_name(index: Index) -> None:
    with index.read() as reader:
        assert {row[0] for row in found(reader, query(PatientName="が*"))} == {
            "がく^か",
            "が\u093c^X",
        }


PLANS = {
    "accession number": ({"AccessionNumber": "A1"}, "study_accession"),
    "begin of one": ({"AccessionNumber": "A1*", "PatientName": "*"}, "study_accession"),
    "patient ID": ({"PatientID": "P1"}, "study_patient_id"),
    "begin of a patient ID": ({"PatientID": "P1*"}, "study_patient_id"),
    "name": ({"PatientName": "DOE^JOHN"}, "study_name "),
    "begin of a name": ({"PatientName": "DO*"}, "study_name_groups"),
    "date": ({"StudyDate": "20240131"}, "study_date"),
    "range of dates": ({"StudyDate": "20240131-20240201", "StudyTime": "10"}, "study_date"),
    "birth date": ({"PatientBirthDate": "20240131"}, "study_birth_date"),
    "study ID": ({"StudyID": "A"}, "study_study_id"),
    "UIDs": ({"StudyInstanceUID": "1.2\\1.3"}, "sqlite_autoindex_study_1"),
}


@pytest.mark.parametrize("what", PLANS)
def test_a_selective_key_is_looked_up_in_its_index(index: Index, what: str) -> None:
    """Neither the studies nor an index of them is read from end to end."""
    keys, expected = PLANS[what]
    plan = _plan(index, query(**keys))
    assert expected in plan
    assert not any(line.startswith(("SCAN s ", "SCAN study")) for line in _but_names(plan))


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        (Level.SERIES, {}),
        (Level.INSTANCE, {"SeriesInstanceUID": "1.3"}),
        (Level.INSTANCE, {"SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4\\1.5"}),
    ],
)
def test_below_the_study_everything_goes_by_its_uids(
    index: Index, level: Level, keys: dict[str, str]
) -> None:
    plan = _plan(index, query(level, StudyInstanceUID="1.2", **keys))
    scans = [line for line in plan.splitlines() if line.startswith("SCAN")]
    assert scans in ([], ["SCAN k VIRTUAL TABLE INDEX 1:"])


def _plan(index: Index, asked: FindQuery) -> str:
    with index.read() as reader:
        sql, parameters = statement(reader, asked)
        rows = reader.all(f"EXPLAIN QUERY PLAN {sql}", parameters)
    return "\n".join(row[3] for row in rows)


def _but_names(plan: str) -> list[str]:
    """Names with several groups have an index of their own that may be read through."""
    return [line for line in plan.splitlines() if "study_name_groups" not in line]


def test_of_two_indexes_the_narrower_one_drives(index: Index) -> None:
    both = _plan(index, query(PatientName="DOE^JOHN", StudyDate="20000101-20991231"))
    assert "study_name" in both
    assert "study_date" not in both
    other = _plan(index, query(PatientName="*", StudyDate="20240201", AccessionNumber="*A*"))
    assert "study_date" in other


def test_versions_of_one_instance_are_one_answer(index: Index) -> None:
    uids = {"study_instance_uid": "9.1", "series_instance_uid": "9.2", "sop_instance_uid": "9.3"}
    put(index, (entry(**uids, instance_number=str(n)) for n in (1, 2)))
    put(index, [entry(**uids | {"series_instance_uid": "9.4"}, instance_number="3")])
    keys = {"StudyInstanceUID": "9.1", "InstanceNumber": ""}
    with index.read() as reader:
        for wanted in ("", "9.3"):
            asked = query(Level.INSTANCE, **keys, SeriesInstanceUID="9.2", SOPInstanceUID=wanted)
            assert [row[-1] for row in found(reader, asked)] == ["1"]
        elsewhere = query(Level.INSTANCE, **keys, SeriesInstanceUID="9.4")
        assert [row[-1] for row in found(reader, elsewhere)] == ["3"]


def test_series_and_instances_come_by_number_and_studies_newest_first(index: Index) -> None:
    with index.write() as tx:
        last = tx.scalar("SELECT max(id) FROM study")
    for n in ("10", "9", "1"):
        uids = {"study_instance_uid": "8.1", "series_instance_uid": f"8.2.{n}"}
        put(index, [entry(**uids, series_number=n, instance_number=n)])
    with index.read() as reader:
        series = query(Level.SERIES, StudyInstanceUID="8.1", SeriesNumber="")
        assert [row[-1] for row in found(reader, series)] == ["1", "9", "10"]
        newest = candidates(reader, query())
        assert newest[0] > last
        assert list(newest) == sorted(newest, reverse=True)


def test_a_study_that_went_meanwhile_is_left_out(index: Index) -> None:
    with index.read() as reader:
        asked = query(StudyInstanceUID="1.2.5")
        assert RowReader(asked).rows(reader, [*candidates(reader, asked), 10**9]) == [("1.2.5",)]
