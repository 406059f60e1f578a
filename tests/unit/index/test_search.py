"""Filter, order and paging against the simplest possible search: a loop over everything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.services.parts import Parts, opened
from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.level import Level
from tuipacs.domain.query import Field, SortKey, Term, fold
from tuipacs.domain.records import Flag
from tuipacs.errors import UsageError
from tuipacs.index import browse
from tuipacs.index.ingest import Arrival, add

WORDS = [
    "DOE", "Jane", "MÜLLER^Änne", "山田^太郎", "100%", "a_b", "it's", 'say "x"', "\x01", "x\x02y",
    "\x05CT", "\x1f", "\x00", "*", "O'NEIL", "ŁÓDŹ", "ss", "ß", " ", "^", "CT", "-", "\u200b", "\t",
]  # fmt: skip
MODALITIES = ["CT", "MR", "US", "SR", "PR", "ct"]
DATES = ["20240131", "2024.02.01", "20231231", "", "x", "20240131"]


def arrival(rng: random.Random, number: int) -> Arrival:
    def text(most: int = 3) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(most + 1)))

    person = rng.randrange(14)
    own = random.Random(person)  # noqa: S311
    return Arrival(
        attributes=IndexedAttributes(
            patient=PatientAttributes(
                patient_id="" if person == 0 else f"{own.choice(WORDS)}{person}",
                patient_name=f"{own.choice(WORDS)} {own.choice(WORDS)}",
            ),
            study=StudyAttributes(
                study_instance_uid=f"1.2.{number // 2}.A",
                study_date=rng.choice(DATES),
                study_time=rng.choice(["", "0930", "12:30:00"]),
                accession_number=text(1),
                study_description=text(),
                referring_physician_name=text(2),
            ),
            series=SeriesAttributes(
                series_instance_uid=f"1.3.{number}", modality=rng.choice(MODALITIES)
            ),
            instance=InstanceAttributes(
                sop_instance_uid="1.4.1" if number % 11 == 0 else f"1.4.{number}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
            ),
        ),
        blob=StoredBlob(
            key=f"{number}",
            header_size=1,
            header_sha256=b"",
            dataset_size=number,
            dataset_sha256=b"%d" % number,
        ),
        calling_ae_title=rng.choice(["CT1", "MR_2", ""]),
        at=float(1000 + number // 3),  # ties
    )


COLUMNS = [
    "id", "patient", "name", "pid", "acc", "desc", "ref", "mods", "ae", "uid", "date", "received",
    "flags",
]  # fmt: skip


class Everything:
    """The archive, and the same as plain rows for the oracle."""

    def __init__(self, parts: Parts) -> None:
        self.index = parts.index
        self.studies: list[dict[str, Any]] = [
            dict(
                zip(
                    COLUMNS,
                    row,
                    strict=True,
                )
            )
            for row in parts.rows(
                "SELECT s.id, s.patient, s.patient_name, p.patient_id, s.accession_number,"
                " s.study_description, s.referring_physician_name, s.modalities,"
                " s.calling_ae_title, s.study_instance_uid, s.sort_date, s.received_at, s.flags"
                " FROM study s JOIN patient p ON p.id = s.patient"
            )
        ]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with opened(tmp_path_factory.mktemp("search")) as parts:
        rng = random.Random(7)  # noqa: S311
        with parts.index.write() as tx:
            for number in range(1, 71):
                add(tx, arrival(rng, number))
        yield Everything(parts)


def plain(text: str) -> str:
    """Folded, every control a blank."""
    return fold("".join(c if c.isprintable() else " " for c in text))


def matches(study: dict[str, Any], term: Term) -> bool:
    modalities = [m for m in study["mods"].split("\\") if m]
    match term.field:
        case Field.DATE:
            day = study["date"][:8]
            hit = bool(day) and (term.first or day) <= day <= (term.last or day)
        case Field.STATE:
            bits = {"conflict": 1, "patient-mismatch": 2, "uid-shared": 4, "no-patient-id": 8}
            hit = bool(study["flags"] & bits.get(term.value, 0xFF))
        case Field.MODALITY:
            wanted = {plain(value) for value in term.value.split(",") if value}
            hit = bool(wanted & {plain(m) for m in modalities})
        case Field.ANY:
            texts = [study[k] for k in ("name", "pid", "acc", "desc", "ref")]
            hit = any(plain(term.value) in plain(t) for t in (*texts, " ".join(modalities)))
        case field:
            key = {
                Field.NAME: "name",
                Field.PATIENT_ID: "pid",
                Field.ACCESSION: "acc",
                Field.DESCRIPTION: "desc",
                Field.CALLING_AE: "ae",
                Field.UID: "uid",
            }[field]
            hit = plain(term.value) in plain(study[key])
    return hit != term.exclude


_value = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(
        ["muller", "ne ya", "1.2.3", ".a", "mr_", "%", "_", "'", "\x1f", "ct mr", "CT1"]
    ),
    st.text(max_size=2),
)
_texts = [f for f in Field if f not in (Field.DATE, Field.STATE, Field.MODALITY)]
_day = st.sampled_from(["", "20231231", "20240100", "20240131", "20240199", "2024.02", "20249999"])
_terms = st.one_of(
    st.builds(Term, field=st.sampled_from(_texts), value=_value, exclude=st.booleans()),
    st.builds(
        Term,
        field=st.just(Field.MODALITY),
        value=st.lists(st.sampled_from([*MODALITIES, "C", "XX"]), max_size=3).map(",".join),
        exclude=st.booleans(),
    ),
    st.builds(Term, field=st.just(Field.DATE), first=_day, last=_day, exclude=st.booleans()),
    st.builds(
        Term,
        field=st.just(Field.STATE),
        value=st.sampled_from([f.value for f in Flag if f is not Flag.REMARK] + ["flagged"]),
        exclude=st.booleans(),
    ),
)
_filters = st.lists(_terms, max_size=3).map(tuple)


def study_key(study: dict[str, Any], sort: SortKey, filtered: bool) -> Any:
    tidy = plain if filtered else fold
    return {
        SortKey.RECEIVED: study["received"],
        SortKey.DATE: study["date"],
        SortKey.NAME: tidy(study["name"]),
        SortKey.ID: tidy(study["pid"]),
    }[sort]


@settings(max_examples=100, deadline=None)
@given(
    terms=_filters,
    sort=st.sampled_from(SortKey),
    descending=st.booleans(),
    size=st.sampled_from([1, 7, 500]),
)
def test_studies_are_those_of_the_loop_in_its_order_page_by_page(
    everything: Everything, terms: tuple[Term, ...], sort: SortKey, descending: bool, size: int
) -> None:
    found = [study for study in everything.studies if all(matches(study, t) for t in terms)]
    found.sort(key=lambda s: (study_key(s, sort, bool(terms)), s["id"]), reverse=descending)
    expected = [study["id"] for study in found]
    with everything.index.read() as reader:
        pages: list[int] = []
        while True:
            rows, matched = browse.page(
                reader,
                Level.STUDY,
                terms,
                sort,
                descending=descending,
                offset=len(pages),
                limit=size,
            )
            assert matched == len(expected)
            if not rows:
                break
            pages.extend(rows)
        assert pages == expected
        order = {"descending": descending}
        for study in everything.studies:
            place = browse.position(reader, Level.STUDY, study["id"], terms, sort, **order)
            assert place == (expected.index(study["id"]) if study["id"] in expected else None)
        assert browse.position(reader, Level.STUDY, 999, terms, sort, **order) is None
        for patient in {study["patient"] for study in everything.studies}:
            own = [s for s in everything.studies if s["patient"] == patient and s["id"] in expected]
            own.sort(key=lambda s: (s["date"], s["id"]), reverse=True)
            assert browse.study_keys_of(reader, patient, terms) == [s["id"] for s in own]


@settings(max_examples=100, deadline=None)
@given(
    terms=_filters,
    sort=st.sampled_from(SortKey),
    descending=st.booleans(),
    size=st.sampled_from([1, 5, 500]),
)
def test_patients_are_those_with_a_matching_study(
    everything: Everything, terms: tuple[Term, ...], sort: SortKey, descending: bool, size: int
) -> None:
    best: dict[int, Any] = {}
    for study in everything.studies:
        if all(matches(study, term) for term in terms):
            key = study_key(study, sort, bool(terms))
            best[study["patient"]] = max(best.get(study["patient"], key), key)
    expected = sorted(best, key=lambda patient: (best[patient], patient), reverse=descending)
    with everything.index.read() as reader:
        pages: list[int] = []
        while True:
            rows, matched = browse.page(
                reader,
                Level.PATIENT,
                terms,
                sort,
                descending=descending,
                offset=len(pages),
                limit=size,
            )
            assert matched == len(expected)
            if not rows:
                break
            pages.extend(rows)
        assert pages == expected
        for patient in {study["patient"] for study in everything.studies}:
            place = browse.position(
                reader, Level.PATIENT, patient, terms, sort, descending=descending
            )
            assert place == (expected.index(patient) if patient in expected else None)


def test_a_state_that_is_none_is_told(everything: Everything) -> None:
    with everything.index.read() as reader, pytest.raises(UsageError, match="st: takes"):
        browse.matching_study_keys(reader, (Term(field=Field.STATE, value="odd"),))


def test_the_loop_finds_something_and_not_everything(everything: Everything) -> None:
    """The oracle itself is not empty."""
    for term in (
        Term(field=Field.ANY, value="doe"),
        Term(field=Field.NAME, value="muller"),
        Term(field=Field.MODALITY, value="CT"),
        Term(field=Field.CALLING_AE, value="mr_2"),
        Term(field=Field.STATE, value="conflict"),
        Term(field=Field.DATE, first="20240131", last="20240131"),
    ):
        hits = sum(matches(study, term) for study in everything.studies)
        assert 0 < hits < len(everything.studies), term
