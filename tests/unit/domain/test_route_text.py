"""Conditions on one line: what is written is read again, and what cannot be read is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.route import RouteConditions, RouteRule, RouteSource, Weekday
from tuipacs.domain.route_check import check_rule
from tuipacs.domain.route_text import FIELDS, read_conditions, read_days, write_conditions
from tuipacs.errors import UsageError


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", {}),
        ("mod:", {}),
        ("mod:CT,MR", {"modalities": ("CT", "MR")}),
        ("only:CT", {"modalities": ("CT",), "only_modalities": True}),
        ('study:"*CHEST W/O*",KNEE', {"study_descriptions": ("*CHEST W/O*", "KNEE")}),
        ('series:!"A, B"', {"series_descriptions": ("!A, B",)}),
        ("FROM:CT* age:30d", {"calling_ae_titles": ("CT*",), "not_older_than_days": 30}),
        ("min:2 max:9 unflagged", {"minimum": 2, "maximum": 9, "without_flags": True}),
        ("time:22:00-06:00 in:any", {"window": "22:00-06:00", "source": RouteSource.ANY}),
        ("days:sat-mon", {"weekdays": (Weekday.MONDAY, Weekday.SATURDAY, Weekday.SUNDAY)}),
    ],
)
def test_a_line_says(line: str, fields: dict[str, Any]) -> None:
    assert read_conditions(line) == RouteConditions(**fields)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CT", "CT: conditions are like mod:CT"),
        ("colour:red", "there is no colour:"),
        ('study:"CHEST', "a quote is not closed"),
        ("mod:CT mod:MR", "mod stands there twice"),
        ("mod:CT only:MR", "only stands there twice"),
        ("age:old", "age: takes a number of days"),
        ("min:-1", "min: takes a number"),
        ("in:space", "in: takes received, imported, any"),
        ("days:monday", "days are mon, tue"),
    ],
)
def test_what_cannot_be_read_is_told(line: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_conditions(line)
    assert error.value.message.startswith(words)


def test_days_go_round_the_week() -> None:
    assert len(read_days("mon-sun")) == len(read_days("tue-mon")) == 7
    assert read_days("fri-sat, mon") == (Weekday.MONDAY, Weekday.FRIDAY, Weekday.SATURDAY)


PATTERN = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12
)
PATTERNS = st.lists(PATTERN, max_size=3).map(tuple)
LISTS = dict.fromkeys(set(FIELDS.values()) - {"sop_classes"}, PATTERNS)


@given(
    st.fixed_dictionaries(
        {
            **LISTS,
            "minimum": st.integers(0, 9),
            "not_older_than_days": st.integers(0, 999),
            "weekdays": st.lists(st.sampled_from(Weekday), max_size=3).map(tuple),
            "window": st.sampled_from(("", "08:00-17:30")),
            "source": st.sampled_from(RouteSource),
            "without_flags": st.booleans(),
            "only_modalities": st.booleans(),
        }
    )
)
def test_what_is_written_is_read_again(fields: dict[str, Any]) -> None:
    """Of every rule that can be kept at all."""
    try:
        rule = check_rule(RouteRule(name="r", nodes=(1,), conditions=RouteConditions(**fields)))
    except UsageError:
        return
    assert read_conditions(write_conditions(rule.conditions)) == rule.conditions
