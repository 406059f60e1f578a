"""Queries about patients: one ID of several issuers or people never mixes names and counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.find_rows import entry, put
from tuipacs.domain.find import KEYS, AskedKey, FindQuery
from tuipacs.domain.find_match import condition_of
from tuipacs.domain.level import Level
from tuipacs.index.database import Index
from tuipacs.index.find import RowReader, candidates
from tuipacs.index.migrations import migrate

BY_KEYWORD = {key.keyword: key for key in KEYS}
COUNTS = (
    "NumberOfPatientRelatedStudies",
    "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("patients") / "index.sqlite")
    migrate(index)
    doe = {"patient_id": "P1", "patient_name": "DOE^JOHN", "patient_birth_date": "19700101"}
    roe = doe | {"patient_name": "ROE^JANE", "patient_birth_date": "19800202"}
    put(
        index,
        [
            # One ID, two issuers.
            entry(patient_id="X", issuer_of_patient_id="A", patient_name="ADAM", modality="CT"),
            entry(patient_id="X", issuer_of_patient_id="B", patient_name="BERT"),
            entry(patient_id="X", issuer_of_patient_id="B", patient_name="BERT"),
            # One ID of one issuer for two people; three studies and two.
            entry(**doe, study_instance_uid="1.1", series_instance_uid="1.1.1"),
            entry(**doe, study_instance_uid="1.1", series_instance_uid="1.1.1"),
            entry(**doe, study_instance_uid="1.1", series_instance_uid="1.1.2"),
            entry(**doe, study_instance_uid="1.2"),
            entry(**doe, study_instance_uid="1.3", study_date="20240101"),
            entry(**roe, study_instance_uid="1.4", patient_comments="of Jane"),
            entry(**roe, study_instance_uid="1.5", modality="MR"),
            # Nobody's: two studies without an ID are two patients.
            entry(patient_name="NN", study_instance_uid="2.1"),
            entry(patient_name="NN", study_instance_uid="2.2"),
            # A report without birth date came first, then a study without description of the name.
            entry(patient_id="G", patient_name="GAP^S", study_instance_uid="3.1"),
            entry(patient_id="G", patient_birth_date="19900303", study_instance_uid="3.2"),
        ],
    )
    yield index
    index.close()


def ask(index: Index, level: Level = Level.PATIENT, **keys: str) -> list[dict[str, str]]:
    asked = [
        AskedKey(key, condition_of(key.vr, text))
        for key, text in sorted((BY_KEYWORD[word], text) for word, text in keys.items())
    ]
    query = FindQuery(level=level, keys=tuple(asked))
    with index.read() as reader:
        rows = RowReader(query).rows(reader, candidates(reader, query))
    return [dict(zip((k.key.keyword for k in asked), row, strict=True)) for row in rows]


def counts(index: Index, level: Level = Level.PATIENT, **keys: str) -> list[tuple[str, ...]]:
    """(name, studies, series, instances) of each answer."""
    found = ask(index, level, **{"PatientName": ""} | keys | dict.fromkeys(COUNTS, ""))
    return sorted((row["PatientName"], *(row[count] for count in COUNTS)) for row in found)


def test_one_patient_is_one_answer_however_many_studies_it_has(index: Index) -> None:
    assert counts(index, PatientID="X") == [("ADAM", "1", "1", "1"), ("BERT", "2", "2", "2")]


def test_issuers_of_one_id_are_told_apart(index: Index) -> None:
    assert counts(index, PatientID="X", IssuerOfPatientID="B") == [("BERT", "2", "2", "2")]
    found = ask(index, PatientID="X", IssuerOfPatientID="", PatientName="")
    assert {(row["IssuerOfPatientID"], row["PatientName"]) for row in found} == {
        ("A", "ADAM"),
        ("B", "BERT"),
    }


def test_two_people_under_one_id_are_two_answers_that_count_their_own(index: Index) -> None:
    both = [("DOE^JOHN", "3", "4", "5"), ("ROE^JANE", "2", "2", "2")]
    assert counts(index, PatientID="P1") == both
    assert counts(index, PatientID="P1", PatientName="ROE*") == both[1:]
    assert counts(index, PatientID="P1", PatientName="*JOHN") == both[:1]
    (jane,) = ask(index, PatientName="ROE^JANE", PatientBirthDate="", PatientComments="")
    assert (jane["PatientBirthDate"], jane["PatientComments"]) == ("19800202", "of Jane")
    (john,) = ask(index, PatientName="DOE^JOHN", PatientBirthDate="", PatientComments="")
    assert (john["PatientBirthDate"], john["PatientComments"]) == ("19700101", "")


def test_no_name_is_found_with_another_persons_birth_date(index: Index) -> None:
    assert ask(index, PatientName="ROE^JANE", PatientBirthDate="19700101") == []
    assert len(ask(index, PatientName="ROE^JANE", PatientBirthDate="19800202")) == 1


@pytest.mark.parametrize("level", [Level.STUDY, Level.PATIENT])
def test_below_the_patient_the_counts_beside_a_name_are_its_own_too(
    index: Index, level: Level
) -> None:
    found = counts(index, level, PatientID="P1")
    assert set(found) == {("DOE^JOHN", "3", "4", "5"), ("ROE^JANE", "2", "2", "2")}
    assert len(found) == (5 if level is Level.STUDY else 2)


def test_an_instance_in_two_studies_of_a_person_counts_once(tmp_path: Path) -> None:
    """Among several people under one ID the counts are not kept, but taken."""
    index = Index(tmp_path / "index.sqlite")
    migrate(index)
    doe = {"patient_id": "P1", "patient_name": "DOE"}
    put(
        index,
        [
            entry(**doe, sop_instance_uid="9.1", study_instance_uid="9", instance_number="1"),
            entry(**doe, sop_instance_uid="9.1", study_instance_uid="8", instance_number="2"),
            entry(patient_id="P1", patient_name="ROE", sop_instance_uid="9.1"),
        ],
    )
    assert counts(index, PatientID="P1") == [("DOE", "2", "2", "1"), ("ROE", "1", "1", "1")]
    index.close()


def test_studies_without_an_id_are_patients_of_their_own(index: Index) -> None:
    assert counts(index, PatientName="NN") == [("NN", "1", "1", "1")] * 2


def test_what_several_studies_know_of_one_patient_is_found_together(index: Index) -> None:
    (gap,) = ask(index, PatientName="GAP^S", PatientBirthDate="19900303", PatientID="")
    assert gap["PatientID"] == "G"
    assert counts(index, PatientBirthDate="19900303") == [("GAP^S", "2", "2", "2")]


def test_a_count_can_be_asked_for(index: Index) -> None:
    found = ask(index, PatientName="", NumberOfPatientRelatedStudies="3")
    assert [row["PatientName"] for row in found] == ["DOE^JOHN"]
    found = ask(index, PatientName="", NumberOfPatientRelatedStudies="5")
    assert found == [], "the five studies under P1 are nobody's"


def test_all_patients_are_answered_newest_first(index: Index) -> None:
    names = [row["PatientName"] for row in ask(index, PatientName="")]
    assert names == ["GAP^S", "NN", "NN", "ROE^JANE", "DOE^JOHN", "BERT", "ADAM"]
