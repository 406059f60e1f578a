"""The table of keys: what it says is what the index has and what the document tells."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom.datadict import dictionary_VR, keyword_for_tag

from tuipacs.domain.attributes import (
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.find import BY_TAG, KEYS, UNIQUE_KEYS, Held
from tuipacs.domain.level import Level

_STRUCTS = (PatientAttributes, StudyAttributes, SeriesAttributes, InstanceAttributes)
DOCUMENT = Path(__file__).parents[3] / "docs" / "queries.md"


def test_tags_keywords_and_vrs_are_those_of_the_dictionary() -> None:
    for key in KEYS:
        assert keyword_for_tag(key.tag) == key.keyword
        assert dictionary_VR(key.tag) == key.vr
    assert len(BY_TAG) == len(KEYS)
    assert set(UNIQUE_KEYS.values()) <= set(BY_TAG)


def test_a_column_is_named_like_its_keyword() -> None:
    """A slip between two columns would answer one attribute with another's value."""
    fields = {name for struct in _STRUCTS for name in struct.__struct_fields__}
    for key in KEYS:
        column = key.column[2:]
        if column in fields and column not in ("series", "instances", "transfer_syntax_uid"):
            words = re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key.keyword)
            assert words.lower().replace("i_ds", "ids") == column, key


def test_counts_are_of_what_their_name_says() -> None:
    for key in KEYS:
        if key.held is Held.COUNT:
            name = re.fullmatch("NumberOf(Patient|Study|Series)Related([A-Z][a-z]+)", key.keyword)
            assert name
            table = {"Patient": "p", "Study": "s", "Series": "r"}[name[1]]
            assert key.column == f"{table}.{name[2].lower()}"


def test_the_document_lists_each_key_at_its_level() -> None:
    rows = re.findall(r"^\| (STUDY|SERIES|IMAGE) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    told = {level: set(keys.split(", ")) for level, keys in rows}
    names = {Level.PATIENT: "STUDY", Level.STUDY: "STUDY", Level.SERIES: "SERIES"}
    expected: dict[str, set[str]] = {"STUDY": set(), "SERIES": set(), "IMAGE": set()}
    for key in KEYS:
        expected[names.get(key.level, "IMAGE")].add(key.keyword)
    assert told == expected
