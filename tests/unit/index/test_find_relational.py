"""Queries across levels: any key at any level, as one would find it by looking at every object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.find_rows import entry, put
from tuipacs.domain.find import KEYS, ORDER, AskedKey, FindQuery, Held
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.index.database import Index, Reader
from tuipacs.index.find import Candidates, RowReader, statement
from tuipacs.index.ingest import Arrival
from tuipacs.index.migrations import migrate

BY_KEYWORD = {key.keyword: key for key in KEYS}
UNIQUE = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.INSTANCE: "SOPInstanceUID",
}


def objects() -> Iterator[Arrival]:
    """24 studies of 8 patients; every third study has a series of its own kind."""
    for n in range(24):
        for r in range(1 + n % 3):
            for i in range(1 + (n + r) % 2):
                yield entry(
                    patient_id=f"P{n % 8}",
                    patient_name=f"NAME{n % 8}^{'ANNA' if n % 2 else 'JOHN'}",
                    study_instance_uid=f"1.{n}",
                    study_date=f"202401{1 + n % 9:02d}",
                    study_description=["HEAD", "CHEST", ""][n % 3],
                    series_instance_uid=f"1.{n}.{r}",
                    modality=["CT", "MR", "SR"][r],
                    series_number=str(r),
                    series_description=["AX", "COR"][(n + r) % 2],
                    sop_instance_uid=f"1.{n}.{r}.{i}",
                    instance_number=f"0{i}",
                    content_date=f"2024020{1 + (n + i) % 5}",
                    rows=512 if i else 0,
                )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("relational") / "index.sqlite")
    migrate(index)
    put(index, objects())
    yield index
    index.close()


def query(level: Level, **keys: str) -> FindQuery:
    asked = [
        AskedKey(key, condition_of(key.vr, text))
        for key, text in sorted((BY_KEYWORD[word], text) for word, text in keys.items())
    ]
    at = ORDER.index(level)
    return FindQuery(
        level=level,
        keys=tuple(one for one in asked if ORDER.index(one.key.level) <= at),
        below=tuple(one for one in asked if ORDER.index(one.key.level) > at and one.condition),
        is_relational=True,
    )


def found(reader: Reader, asked: FindQuery, most: int = 1000) -> list[tuple[str, ...]]:
    candidates, rows, out = Candidates(reader, asked), RowReader(asked), []
    while (piece := candidates.next(reader, most)) is not None:
        out += rows.rows(reader, piece)
    return out


def expected(asked: FindQuery) -> list[tuple[str, ...]]:
    """By looking at every object: an answer for each row of the level that has one that fits."""
    keys = (*asked.keys, *asked.below)
    answers: dict[str, tuple[str, ...]] = {}
    for arrival in objects():
        parts = arrival.attributes
        texts = []
        for one in keys:
            field = one.key.column[2:]
            part = next(
                p
                for p in (parts.patient, parts.study, parts.series, parts.instance)
                if field in p.__struct_fields__
            )
            value = getattr(part, field)
            texts.append("" if one.key.held is Held.INTEGER and not value else str(value))
        if all(one.fits(text) for one, text in zip(keys, texts, strict=True)):
            answer = tuple(texts[: len(asked.keys)])
            answers[answer[[k.key.keyword for k in asked.keys].index(UNIQUE[asked.level])]] = answer
    return sorted(answers.values())


ASKED = {
    "PatientName": st.sampled_from(["NAME1*", "*^ANNA", "NAME3^ANNA", "NOBODY", ""]),
    "PatientID": st.sampled_from(["P1", "P?", "P9", ""]),
    "StudyInstanceUID": st.sampled_from(["1.5", "1.5\\1.7", "1", ""]),
    "StudyDate": st.sampled_from(["20240103", "20240102-20240104", ""]),
    "StudyDescription": st.sampled_from(["HEAD", "*E*", ""]),
    "SeriesInstanceUID": st.sampled_from(["1.5.1", "1.5.0\\1.8.2\\9", ""]),
    "Modality": st.sampled_from(["MR", "CT\\SR", "?R", "US", ""]),
    "SeriesDescription": st.sampled_from(["AX", "C*", ""]),
    "SOPInstanceUID": st.sampled_from(["1.5.1.0", "1.5.0.1\\1.8.1.0", ""]),
    "InstanceNumber": st.sampled_from(["0", "1", "2", ""]),
    "ContentDate": st.sampled_from(["20240203", "-20240202", ""]),
    "Rows": st.sampled_from(["512", ""]),
}


@settings(max_examples=200, deadline=None)
@given(
    level=st.sampled_from(ORDER),
    keys=st.fixed_dictionaries({}, optional=ASKED),
    most=st.sampled_from([1, 3, 1000]),
)
def test_any_combination_of_keys_finds_what_a_look_at_every_object_finds(
    index: Index, level: Level, keys: dict[str, str], most: int
) -> None:
    asked = query(level, **{UNIQUE[level]: "", **keys})
    with index.read() as reader:
        assert sorted(found(reader, asked, most)) == expected(asked)


def test_conditions_below_have_to_meet_in_one_series_and_one_object(index: Index) -> None:
    """An MR series and a COR series are no COR MR series."""
    with index.read() as reader:
        both = {
            row[0]
            for key in ("Modality", "SeriesDescription")
            for row in found(reader, query(Level.STUDY, StudyInstanceUID="1.4", **{key: ""}))
        }
        assert both == {"1.4"}
        for asked, count in {"AX": 0, "COR": 1}.items():
            one = query(Level.STUDY, StudyInstanceUID="1.4", Modality="MR", SeriesDescription=asked)
            assert len(found(reader, one)) == count, asked


def test_each_is_answered_once_however_many_objects_below_fit(index: Index) -> None:
    with index.read() as reader:
        asked = query(Level.PATIENT, PatientID="", Modality="CT", InstanceNumber="0")
        assert sorted(found(reader, asked)) == [(f"P{n}",) for n in range(8)]


def test_a_later_version_of_an_object_finds_nothing_above_it(tmp_path: Path) -> None:
    """Nor is it answered itself: the first one stands for the SOP instance."""
    index = Index(tmp_path / "index.sqlite")
    migrate(index)
    uids = {"study_instance_uid": "9", "series_instance_uid": "9.1", "sop_instance_uid": "9.1.1"}
    put(index, (entry(**uids, instance_number=str(n)) for n in (1, 2)))
    with index.read() as reader:
        for level in ORDER:
            for number, count in {"1": 1, "2": 0}.items():
                asked = query(level, **{UNIQUE[level]: "", "InstanceNumber": number})
                assert len(found(reader, asked)) == count, (level, number)
    index.close()


def test_answers_come_study_by_study_and_by_number(index: Index) -> None:
    with index.read() as reader:
        rows = found(reader, query(Level.INSTANCE, SOPInstanceUID="", StudyDescription="CHEST"))
    numbers = [tuple(map(int, row[0].split(".")[1:])) for row in rows]
    assert numbers == sorted(numbers, key=lambda uid: (-uid[0], uid[1], uid[2]))
    assert len({uid[0] for uid in numbers}) > 3


PLANS = {
    "an object": (Level.INSTANCE, {"SOPInstanceUID": "1.5.1.0"}),
    "objects of a patient": (Level.INSTANCE, {"SOPInstanceUID": "", "PatientID": "P1"}),
    "a series": (Level.SERIES, {"SeriesInstanceUID": "1.5.1"}),
    "series of a day": (Level.SERIES, {"SeriesInstanceUID": "", "StudyDate": "20240103"}),
    "the study of an object": (Level.STUDY, {"StudyInstanceUID": "", "SOPInstanceUID": "1.5.1.0"}),
    "the study of a series": (Level.STUDY, {"StudyInstanceUID": "", "SeriesInstanceUID": "1.5.1"}),
    "the patient of a study": (Level.PATIENT, {"PatientID": "", "StudyInstanceUID": "1.5"}),
    "the patient of an object": (Level.PATIENT, {"PatientID": "", "SOPInstanceUID": "1.5.1.0"}),
    "a patient": (Level.PATIENT, {"PatientID": "P1"}),
    "a patient by name": (Level.PATIENT, {"PatientID": "", "PatientName": "NAME1^ANNA"}),
}


@pytest.mark.parametrize("what", PLANS)
def test_a_selective_key_is_looked_up_at_any_level(index: Index, what: str) -> None:
    """No table and no index of one is read from end to end, least of all that of the instances."""
    level, keys = PLANS[what]
    with index.read() as reader:
        sql, parameters = statement(reader, query(level, **keys))
        plan = [row[3] for row in reader.all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    tables = ("SCAN s ", "SCAN r", "SCAN i", "SCAN o", "SCAN p", "SCAN study", "SCAN patient")
    scans = [line for line in plan if line.startswith(tables) and "study_name_groups" not in line]
    assert scans == [], plan


@pytest.mark.parametrize("level", ORDER)
def test_rows_are_read_by_their_keys(index: Index, level: Level) -> None:
    below = {} if level is Level.INSTANCE else {"InstanceNumber": "1"}
    asked = query(level, **{UNIQUE[level]: ""}, **below)
    rows = RowReader(asked)
    with index.read() as reader:
        plan = [row[3] for row in reader.all(f"EXPLAIN QUERY PLAN {rows.sql}", ("[1]",))]
    assert [line for line in plan if line.startswith("SCAN")] == ["SCAN k VIRTUAL TABLE INDEX 1:"]


@pytest.mark.parametrize("level", [Level.PATIENT, Level.STUDY])
@pytest.mark.parametrize("keys", [{"Modality": "CT"}, {"StationName": "ST1", "SeriesNumber": "1"}])
def test_a_condition_on_series_reads_no_object(
    index: Index, level: Level, keys: dict[str, str]
) -> None:
    """Nor all series at once: those of some studies at a time, by their index."""
    asked = query(level, **{UNIQUE[level]: ""}, **keys)
    rows = RowReader(asked)
    with index.read() as reader:
        sql, parameters = statement(reader, asked)
        plan = [row[3] for row in reader.all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        below = rows._parameters
        read = [row[3] for row in reader.all(f"EXPLAIN QUERY PLAN {rows.sql}", ("[1]", *below))]
    assert "instance" not in sql + rows.sql.replace("study_instance_uid", "")
    assert any("USING INDEX series_study" in line for line in read), read
    assert ("study_modalities" in "".join(plan)) == ("Modality" in keys)
