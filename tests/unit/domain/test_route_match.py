"""Whether a rule matches, and the first reason why not; each row would betray a wrong rule."""

from __future__ import annotations

import datetime as dt
import fnmatch
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.route import RouteConditions, RouteLevel, RouteRule, RouteSource, Weekday
from tuipacs.domain.route_check import check_rule
from tuipacs.domain.route_match import SeriesFacts, StudyFacts, fits, in_window, match
from tuipacs.errors import UsageError

TODAY = dt.date(2026, 11, 22)
CAME = dt.datetime(2026, 11, 20, 23, 30).astimezone().timestamp()  # a Friday, local time


def series(key: int = 1, **other: Any) -> SeriesFacts:
    given: dict[str, Any] = {
        "modality": "CT",
        "description": "AXIAL THIN",
        "body_part": "CHEST",
        "institution": "St. Elsewhere",
        "station": "CTSCAN1",
        "instances": 100,
        "senders": frozenset({"CT1"}),
        "sop_classes": frozenset({"1.2.840.10008.5.1.4.1.1.2"}),
    }
    return SeriesFacts(key=key, **(given | other))


def study(*parts: SeriesFacts, **other: Any) -> StudyFacts:
    given: dict[str, Any] = {
        "key": 1,
        "study_instance_uid": "1.2.3",
        "patient_id": "RES-17",
        "issuer": "HOSP",
        "description": "CT Thorax ä",
        "accession_number": "A55",
        "referring_physician": "SMITH^Jane",
        "study_date": "20261120",
        "received_at": CAME,
        "flags": (),
    }
    return StudyFacts(series=parts or (series(),), **(given | other))


SCOUT = series(2, description="SCOUT", instances=2)
REPORT = series(3, modality="SR", description="Report", instances=1, senders=frozenset({"CAD1"}))


def reason(facts: StudyFacts, *, level: RouteLevel = RouteLevel.STUDY, **conditions: Any) -> str:
    """The first reason why not; empty when it matches."""
    rule = RouteRule(name="r", nodes=(1,), level=level, conditions=RouteConditions(**conditions))
    faults = match(check_rule(rule), facts, TODAY).faults
    return faults[0] if faults else ""


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"modalities": ("MR", "CT")},
        {"modalities": ("CT", "SR"), "only_modalities": True},
        {"calling_ae_titles": ("CT?",)},
        {"calling_ae_titles": ("!MR*",)},
        {"study_descriptions": ("*thorax*",)},
        {"study_descriptions": ("CT THORAX A",)},
        {"study_descriptions": ("ct*", "!*knee*")},
        {"series_descriptions": ("*thin",), "modalities": ("CT",)},
        {"patient_ids": ("RES-*",), "issuers": ("HOSP",)},
        {"referring_physicians": ("smith jane",)},
        {"referring_physicians": ("Smith^*",)},
        {"institutions": ("st. *",), "stations": ("CTSCAN?",), "body_parts": ("chest",)},
        {"sop_classes": ("1.2.840.10008.5.1.4.1.1.2",)},
        {"not_older_than_days": 2},
        {"minimum": 103, "maximum": 103},
        {"weekdays": (Weekday.FRIDAY,), "window": "22:00-06:00"},
        {"without_flags": True},
    ],
)
def test_all_that_is_asked_holds(conditions: dict[str, Any]) -> None:
    assert reason(study(series(), SCOUT, REPORT), **conditions) == ""


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"modalities": ("MR",)}, "no modality is like MR (there is CT, SR)"),
        ({"modalities": ("C",)}, "no modality is like C (there is CT, SR)"),
        ({"modalities": ("ct",)}, "no modality is like ct (there is CT, SR)"),
        (
            {"modalities": ("CT",), "only_modalities": True},
            "it has a series of SR; the rule takes CT only",
        ),
        (
            {"modalities": ("SR",), "series_descriptions": ("*THIN",)},
            "of the series that fit so far no series description is like *THIN (there is Report)",
        ),
        ({"calling_ae_titles": ("ct1",)}, "no sender is like ct1 (there is CAD1, CT1)"),
        ({"study_descriptions": ("Thorax",)}, "its description is “CT Thorax ä”, not like Thorax"),
        ({"study_descriptions": ("!*thorax*",)}, "its description is “CT Thorax ä”, not like !*"),
        ({"patient_ids": ("res-*",)}, "its patient ID is not like res-*"),
        ({"issuers": ("OTHER",)}, "its issuer of the patient ID is not like OTHER"),
        ({"not_older_than_days": 1}, "it is 2 days old; the rule takes up to 1"),
        ({"minimum": 104}, "it has 103 objects; the rule takes 104 or more"),
        ({"maximum": 102}, "it has 103 objects; the rule takes up to 102"),
        ({"weekdays": (Weekday.MONDAY,)}, "it came on a Friday; the rule takes mon"),
        ({"window": "06:00-22:00"}, "it came at 23:30; the rule takes 06:00-22:00"),
        ({"source": RouteSource.IMPORTED}, "a node sent it, and the rule is for imports"),
        ({"sop_classes": ("1.2.840.10008.5.1.4.1.1.4",)}, "no SOP class is like"),
    ],
)
def test_the_first_thing_against_it_is_told(conditions: dict[str, Any], words: str) -> None:
    assert reason(study(series(), SCOUT, REPORT), **conditions).startswith(words)


def test_one_series_has_to_fit_all_that_is_asked_of_a_series() -> None:
    """A CT scout and a thin MR are no thin CT."""
    parts = (series(1, description="SCOUT"), series(2, modality="MR", description="THIN"))
    assert reason(study(*parts), modalities=("CT",), series_descriptions=("THIN",))
    assert not reason(study(*parts), modalities=("MR",), series_descriptions=("THIN",))


def test_a_rule_of_series_level_takes_the_series_that_fit_and_no_other() -> None:
    rule = RouteRule(
        name="r",
        nodes=(1,),
        level=RouteLevel.SERIES,
        conditions=RouteConditions(modalities=("CT",), minimum=10),
    )
    facts = study(series(), SCOUT, REPORT)
    assert [s.key for s in match(rule, facts, TODAY).series] == [1]
    whole = msgspec.structs.replace(rule, level=RouteLevel.STUDY)
    assert [s.key for s in match(whole, facts, TODAY).series] == [1, 2, 3]


def test_a_series_that_is_too_small_is_told_with_its_size() -> None:
    words = reason(study(SCOUT, REPORT), level=RouteLevel.SERIES, minimum=10)
    assert words == "its largest matching series has 2 objects; the rule takes 10 or more"


def test_an_import_is_only_for_rules_that_take_imports() -> None:
    imported = study(series(senders=frozenset({""})))
    assert reason(imported) == "it was imported, and the rule is for what nodes send"
    assert "modality" in reason(imported, modalities=("NM",)), "what it is comes first"
    assert reason(imported, source=RouteSource.ANY) == ""
    assert reason(imported, source=RouteSource.IMPORTED) == ""


def test_a_study_of_nothing_but_other_versions_is_not_routed() -> None:
    facts = StudyFacts(**{**_fields(study()), "series": ()})
    assert reason(facts).startswith("it holds only other versions")


def _fields(facts: StudyFacts) -> dict[str, Any]:
    return dict(vars(facts))


@pytest.mark.parametrize("date", ["", "2026", "20261399", "yesterday"])
def test_without_a_readable_date_a_study_is_not_young(date: str) -> None:
    words = "it has no study date, and the rule asks for its age"
    assert reason(study(study_date=date), not_older_than_days=36_500) == words
    assert reason(study(study_date=date)) == ""


def test_a_date_with_dots_and_one_in_the_future_count() -> None:
    assert reason(study(study_date="2026.11.21"), not_older_than_days=1) == ""
    assert reason(study(study_date="20270101"), not_older_than_days=1) == ""


def test_an_empty_text_is_said_to_be_empty() -> None:
    assert reason(study(description=""), study_descriptions=("*CT*",)) == (
        "its description is empty; the rule takes *CT*"
    )
    assert reason(study(description=""), study_descriptions=("!*CT*",)) == ""


def test_flags_are_named() -> None:
    assert reason(study(flags=("conflict",)), without_flags=True) == "it is flagged: conflict"


def test_a_reason_never_holds_the_patients_id_nor_a_physicians_name() -> None:
    for name in ("patient_ids", "referring_physicians", "accession_numbers"):
        conditions: dict[str, Any] = {name: ("X",)}
        words = reason(study(), **conditions)
        assert words
        assert not any(secret in words for secret in ("RES-17", "SMITH", "A55"))


def test_hostile_text_in_a_reason_is_harmless() -> None:
    words = reason(study(description="\x1b]52;c;x\x07" + "A" * 500), study_descriptions=("B",))
    assert "\x1b" not in words
    assert len(words) < 120


PATTERN = st.text(alphabet="aB*?[]!-.\\^$ ", min_size=1, max_size=12).filter(
    lambda text: text.strip(" ") and not text.strip(" ").startswith("!")
)


@given(PATTERN, st.text(alphabet="aB[]!-.\\^$ *?", max_size=12))
def test_a_pattern_matches_as_a_glob_without_brackets_does(pattern: str, text: str) -> None:
    pattern, text = pattern.strip(" "), text.strip(" ")
    like = fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    assert fits((pattern,), text, exactly=True) == like


def test_a_pattern_of_many_stars_is_quick() -> None:
    """Backtracking would take longer than anyone lives."""
    assert not fits(("*a" * 30 + "b",), "a" * 10_000)


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_and_its_reverse_share_the_day_between_them(a: int, b: int, at: int) -> None:
    def words(minute: int) -> str:
        return f"{minute // 60:02}:{minute % 60:02}"

    there, back = f"{words(a)}-{words(b)}", f"{words(b)}-{words(a)}"
    if a == b:
        assert in_window(there, at)
    else:
        assert in_window(there, at) != in_window(back, at)
        assert in_window(there, a)
        assert not in_window(there, b)


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"name": "7"},
        {"name": "x" * 61},
        {"name": "a\x1bb"},
        {"nodes": ()},
        {"nodes": tuple(range(1, 30))},
        {"priority": 3},
        {"quiet_seconds": -1},
        {"conditions": RouteConditions(window="24:00-25:00")},
        {"conditions": RouteConditions(window="1-2")},
        {"conditions": RouteConditions(sop_classes=("CT",))},
        {"conditions": RouteConditions(modalities=("!",))},
        {"conditions": RouteConditions(modalities=("A" * 70,))},
        {"conditions": RouteConditions(modalities=tuple(map(str, range(51))))},
        {"conditions": RouteConditions(only_modalities=True)},
        {"conditions": RouteConditions(minimum=2, maximum=1)},
        {"conditions": RouteConditions(not_older_than_days=-1)},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(change: dict[str, Any]) -> None:
    rule = RouteRule(name="r", nodes=(1,))
    with pytest.raises(UsageError):
        check_rule(msgspec.structs.replace(rule, **change))


def test_a_rule_without_destination_may_stop_the_others() -> None:
    assert check_rule(RouteRule(name="r", nodes=(), stop=True)).nodes == ()


def test_a_rule_is_kept_in_one_form() -> None:
    rule = RouteRule(
        name=" r ",
        nodes=(2, 1, 2),
        conditions=RouteConditions(
            modalities=(" CT", "CT", ""), weekdays=(Weekday.SUNDAY, Weekday.MONDAY)
        ),
    )
    kept = check_rule(rule)
    assert (kept.name, kept.nodes, kept.conditions.modalities) == ("r", (2, 1), ("CT",))
    assert kept.conditions.weekdays == (Weekday.MONDAY, Weekday.SUNDAY)
