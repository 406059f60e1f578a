"""What a first object leaves empty is filled by a later one; what is there stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.unit.find_rows import entry, put
from tuipacs.domain.find import KEYS, AskedKey, FindQuery
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.domain.query import Field, Term
from tuipacs.index.database import Index
from tuipacs.index.find import RowReader, candidates
from tuipacs.index.migrations import MIGRATIONS, migrate
from tuipacs.index.search import condition

BY_KEYWORD = {key.keyword: key for key in KEYS}
UIDS = {"study_instance_uid": "1.2", "patient_id": "P1"}
PERSON = {"patient_name": "DOE^JANE", "patient_birth_date": "19700102", "patient_sex": "F"}
STUDY = {
    "study_date": "20240131",
    "study_time": "0930",
    "accession_number": "A1",
    "study_id": "S1",
    "study_description": "HEAD",
    "referring_physician_name": "REF",
    "admission_id": "ADM",
    "other_patient_ids": "X\\Y",
    "patient_comments": "left-handed",
}
SERIES = {"series_description": "AX", "protocol_name": "BRAIN", "series_number": "7"}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.sqlite")
    migrate(index)
    yield index
    index.close()


def found(index: Index, level: Level = Level.STUDY, **keys: str) -> list[tuple[str, ...]]:
    asked = [
        AskedKey(BY_KEYWORD[keyword], condition_of(BY_KEYWORD[keyword].vr, text))
        for keyword, text in keys.items()
    ]
    query = FindQuery(level=level, keys=tuple(sorted(asked, key=lambda one: one.key.tag)))
    with index.read() as reader:
        return RowReader(query).rows(reader, candidates(reader, query))


def rows(index: Index, sql: str) -> list[tuple[object, ...]]:
    with index.read() as reader:
        return reader.all(sql)


def columns(index: Index, table: str, names: Iterable[str]) -> dict[str, object]:
    """Of the only row of a table."""
    (row,) = rows(index, f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - our own SQL
    return dict(zip(names, row, strict=True))


def filtered(index: Index, *terms: Term) -> int:
    where, parameters = condition(terms)
    with index.read() as reader:
        sql = f"SELECT count(*) FROM study_search WHERE {where}"  # noqa: S608 - our own SQL
        return int(reader.scalar(sql, tuple(parameters)))


@pytest.mark.parametrize("series", ["the same", "another"])
def test_a_study_that_began_with_an_empty_report_is_found_by_all_it_is(
    index: Index, series: str
) -> None:
    first = {"series_instance_uid": "1.3", "modality": "SR"}
    later = first if series == "the same" else {"series_instance_uid": "1.4", "modality": "CT"}
    put(index, [entry(**UIDS, **first)])
    put(index, [entry(**UIDS, **PERSON, **STUDY, **SERIES, **later)])
    for keys in (
        {"PatientName": "DOE*", "PatientSex": "F"},
        {"PatientBirthDate": "19700102"},
        {"AccessionNumber": "A1"},
        {"StudyDate": "20240131", "StudyTime": "09"},
        {"StudyID": "S1", "AdmissionID": "ADM"},
        {"StudyDescription": "HEAD"},
        {"ReferringPhysicianName": "ref"},
        {"OtherPatientIDs": "Y", "PatientComments": "left*"},
    ):
        assert len(found(index, **keys)) == 1, keys
    (row,) = found(index, Level.SERIES, StudyInstanceUID="1.2", SeriesDescription="AX")
    assert row
    for term in (
        Term(field=Field.NAME, value="jane"),
        Term(field=Field.ACCESSION, value="a1"),
        Term(field=Field.DESCRIPTION, value="head"),
        Term(field=Field.ANY, value="ref"),
        Term(field=Field.ANY, value="sr"),
        Term(field=Field.DATE, first="20240131", last="20240131"),
    ):
        assert filtered(index, term) == 1, term
    assert rows(index, "SELECT sort_name, sort_date, patient_sex FROM patient") == [
        ("doe jane", "202401310930", "F")
    ]
    assert rows(
        index, "SELECT max(sort_number) FILTER (WHERE series_number <> '') FROM series"
    ) == [(7,)]


def test_what_is_there_stays(index: Index) -> None:
    first = UIDS | PERSON | STUDY | SERIES | {"series_instance_uid": "1.3"}
    put(index, [entry(**first)])
    before = rows(index, "SELECT * FROM study_search")
    other = dict.fromkeys(STUDY | SERIES, "other") | {"patient_name": "doe^jane"}
    put(index, [entry(**first | other)])
    put(index, [entry(**first | dict.fromkeys(STUDY | SERIES | PERSON, ""))])
    assert rows(index, "SELECT * FROM study_search") == before
    assert columns(index, "study", PERSON | STUDY) == PERSON | STUDY
    assert columns(index, "series", SERIES) == SERIES


def test_an_object_that_brings_nothing_new_costs_no_statement(index: Index) -> None:
    first = UIDS | PERSON | STUDY | SERIES | {"series_instance_uid": "1.3"}
    put(index, [entry(**first)])
    run: list[str] = []

    def trace(_cursor: object, sql: str, _values: object) -> bool:
        run.append(sql)
        return True

    index.database.connection().exec_trace = trace
    counts = []
    for other in ({}, dict.fromkeys(STUDY | SERIES, "other"), dict.fromkeys(STUDY | SERIES, "")):
        run.clear()
        put(index, [entry(**first | other)])
        counts.append(sum(not sql.startswith(("BEGIN", "COMMIT")) for sql in run))
    assert len(set(counts)) == 1
    assert sum("FROM series s CROSS JOIN study" in sql for sql in run) == 1
    assert not any("study_search SET" in sql or "SET series" in sql for sql in run)


def test_nobody_is_made_of_two_people(index: Index) -> None:
    """An object whose birth date contradicts gives neither its name nor its comments."""
    put(index, [entry(**UIDS, patient_birth_date="19500101")])
    put(index, [entry(**UIDS, **PERSON, patient_comments="x", accession_number="A1")])
    for table in ("patient", "study"):
        found_now = columns(index, table, ("patient_name", "patient_sex", "patient_comments"))
        assert set(found_now.values()) == {""}
    assert len(found(index, AccessionNumber="A1")) == 1


def test_a_time_comes_with_the_date_that_it_is_of(index: Index) -> None:
    put(index, [entry(**UIDS, study_date="20240131")])
    put(index, [entry(**UIDS, study_date="20240201", study_time="1200")])
    assert rows(index, "SELECT study_date, study_time FROM study") == [("20240131", "")]
    put(index, [entry(**UIDS, study_date="20240131", study_time="0930")])
    assert rows(index, "SELECT study_time, sort_date FROM study") == [("0930", "202401310930")]


def test_comments_of_one_study_are_not_those_of_another_with_its_patient_id(index: Index) -> None:
    put(index, [entry(patient_id="P1", study_instance_uid="1.2", **STUDY)])
    put(index, [entry(patient_id="P1", study_instance_uid="1.3")])
    keys = {"OtherPatientIDs": "", "PatientComments": ""}
    assert found(index, StudyInstanceUID="1.2", **keys) == [("X\\Y", "left-handed", "1.2")]
    assert found(index, StudyInstanceUID="1.3", **keys) == [("", "", "1.3")]


def test_an_older_archive_keeps_comments_only_where_they_are_surely_the_studys(
    tmp_path: Path,
) -> None:
    index = Index(tmp_path / "index.sqlite")
    folder = resources.files("tuipacs.index") / "schema"
    with index.write() as tx:
        for name in MIGRATIONS[:4]:
            for _ in tx.execute((folder / name).read_text(encoding="utf-8")):
                pass
        patient = "'', '', '', '', '', 'X', 'c', '', '', '', 0, ''"
        for number, studies in ((1, 1), (2, 2)):
            tx.execute(
                f"INSERT INTO patient VALUES (?, ?, {patient}, ?, 0, 0, 0, 0)",  # noqa: S608
                (number, f"id {number}", studies),
            )
        for study, owner in ((1, 1), (2, 2), (3, 2)):
            texts = ", ".join(["''"] * 17)
            tx.execute(
                f"INSERT INTO study VALUES (?, ?, ?, {texts}, 0, 0, '', '', '', 0, 0, 0, 0)",  # noqa: S608
                (study, owner, f"1.{study}"),
            )
        tx.execute("PRAGMA user_version = 4")
    migrate(index)
    texts = rows(index, "SELECT other_patient_ids, patient_comments FROM study ORDER BY id")
    assert texts == [("X", "c"), ("", ""), ("", "")]
    index.close()
