"""Attribute matching of C-FIND (PS3.4 C.2.2.2), rule by rule; each value betrays a wrong one."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuipacs.domain.find_match import Condition, Wildcard, condition_of
from tuipacs.errors import InvalidQueryError


def fits(vr: str, key: str, value: str) -> bool:
    condition = condition_of(vr, key)
    assert condition is not None, "this key matches everything"
    return condition.fits(value)


def ask(vr: str, key: str, *values: str) -> list[str]:
    """Which values fit."""
    return [value for value in values if fits(vr, key, value)]


@pytest.mark.parametrize("vr", ["AE", "CS", "LO", "SH", "LT", "ST"])
def test_a_single_value_is_the_whole_value_in_its_case(vr: str) -> None:
    assert ask(vr, "CHEST", "CHEST", "chest", "CHEST 2", "XCHEST", "") == ["CHEST"]


@pytest.mark.parametrize("vr", ["AE", "CS", "LO", "SH", "LT", "ST"])
def test_an_asterisk_is_any_characters_and_a_question_mark_is_one(vr: str) -> None:
    values = ("CHEST", "CHEST PA", "CHESS", "CHES", "XCHEST", "chest", "")
    assert ask(vr, "CHEST*", *values) == ["CHEST", "CHEST PA"]
    assert ask(vr, "CHES?", *values) == ["CHEST", "CHESS"]
    assert ask(vr, "*EST*", *values) == ["CHEST", "CHEST PA", "XCHEST"]
    assert ask(vr, "?", *values, "A") == ["A"]
    assert ask(vr, "?*?", *values, "A", "AB")[-1] == "AB"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("50%", "50 ML"),
        ("A_B", "AXB"),
        ("A\\B", "AB"),
        ("A\\B", "A"),
        ("A[BC]", "AB"),
        ("A.B", "AXB"),
    ],
)
@pytest.mark.parametrize("star", ["", "*"])
def test_signs_of_other_pattern_languages_are_letters(key: str, value: str, star: str) -> None:
    assert not fits("LO", key + star, value)
    assert fits("LO", key + star, key)


@pytest.mark.parametrize(
    "vr", ["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UI", "DA", "TM", "IS", "DS", "AS"]
)
def test_an_empty_key_matches_everything(vr: str) -> None:
    assert condition_of(vr, "") is None


@pytest.mark.parametrize("key", ["*", "**", "*" * 1000])
@pytest.mark.parametrize("vr", ["CS", "LO", "PN", "ST"])
def test_a_lone_asterisk_matches_everything(vr: str, key: str) -> None:
    assert condition_of(vr, key) is None


@pytest.mark.parametrize("key", ["?*", "A", "A*"])
@pytest.mark.parametrize("vr", ["CS", "LO", "PN"])
def test_an_absent_attribute_fits_no_condition(vr: str, key: str) -> None:
    assert not fits(vr, key, "")


def test_wildcards_are_letters_in_a_uid() -> None:
    assert ask("UI", "1.2.*", "1.2.3", "1.2.*") == ["1.2.*"]
    assert ask("UI", "*", "1.2.3") == []
    assert ask("UI", "1.2.?", "1.2.3") == []


def test_a_list_of_uids_takes_any_of_them_and_no_part_of_one() -> None:
    found = ask("UI", "1.2.3\\1.2.4\0\\", "1.2.3", "1.2.4", "1.2", "1.2.34", "1.2.3\\1.2.4")
    assert found == ["1.2.3", "1.2.4"]


@pytest.mark.parametrize("vr", ["UI", "CS"])
def test_a_list_without_a_value_is_no_question(vr: str) -> None:
    """Taken for an empty key it would match everything."""
    for text in ("\\", "\\\\", " \\ "):
        with pytest.raises(InvalidQueryError):
            condition_of(vr, text)


@pytest.mark.parametrize("vr", ["DA", "TM", "IS", "DS"])
@pytest.mark.parametrize("key", ["*", "2024*", "1?", "x", "-", "--", "1-2-3", "%"])
def test_what_is_no_value_of_its_vr_is_refused_rather_than_guessed(vr: str, key: str) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        condition_of(vr, key)
    assert key not in refused.value.message or key == "-"


DAYS = (
    "20240130",
    "20240131",
    "20240201",
    "20240229",
    "20240301",
    "2024.02.01",
    "",
    "0",
    "20241301",
)


def test_dates_match_exactly_and_in_ranges_with_both_ends() -> None:
    assert ask("DA", "20240201", *DAYS) == ["20240201", "2024.02.01"]
    assert ask("DA", "2024.02.01", *DAYS) == ["20240201", "2024.02.01"]
    assert ask("DA", "20240131-20240229", *DAYS) == [
        "20240131",
        "20240201",
        "20240229",
        "2024.02.01",
    ]
    assert ask("DA", "-20240131", *DAYS) == ["20240130", "20240131"]
    assert ask("DA", "20240229-", *DAYS) == ["20240229", "20240301"]
    assert ask("DA", "2024.02.29-2024.03.01", *DAYS) == ["20240229", "20240301"]
    assert ask("DA", "20240301-20240201", *DAYS) == []


def test_a_stored_text_that_is_no_date_is_in_no_range() -> None:
    assert ask("DA", "-99991231", "99999999", "20240100", "20249901", "unknown", "2024") == []


TIMES = ("10", "1030", "103000", "103000.5", "103059.999999", "10:30:30", "1031", "", "256161")


def test_times_match_at_the_precision_of_the_key() -> None:
    assert ask("TM", "1030", *TIMES) == [
        "1030",
        "103000",
        "103000.5",
        "103059.999999",
        "10:30:30",
    ]
    assert ask("TM", "10", *TIMES) == [time for time in TIMES if time.startswith("10")]
    assert ask("TM", "103000", *TIMES) == ["1030", "103000", "103000.5"]
    assert ask("TM", "10:30-10:30", *TIMES) == ask("TM", "1030", *TIMES)


def test_ranges_of_times_hold_both_ends() -> None:
    assert ask("TM", "-1030", *TIMES) == list(TIMES[:6])
    assert ask("TM", "1031-", *TIMES) == ["1031"]
    assert ask("TM", "103000.5-103059.999999", *TIMES) == ["103000.5", "103059.999999", "10:30:30"]
    assert ask("TM", "23-22", *TIMES) == []


@pytest.mark.parametrize("vr", ["IS", "DS"])
def test_numbers_match_as_numbers(vr: str) -> None:
    values = ("1", "001", "+1", " 1 ", "1.0", "10", "-1", "1e0", "", "NaN", "1e400", "x")
    assert ask(vr, "1", *values) == ["1", "001", "+1", " 1 ", "1.0", "1e0"]
    assert ask(vr, "01", "1", "11") == ["1"]


def test_a_code_string_of_several_values_asks_for_any_of_them() -> None:
    assert ask("CS", "CT\\MR", "CT", "MR", "CR", "CT\\MR", "M") == ["CT", "MR"]
    assert ask("CS", "C*\\MR", "CT", "MR", "CR", "US") == ["CT", "MR", "CR"]
    assert condition_of("CS", "CT\\*") is None


# --- person names


def test_a_name_matches_whatever_its_case_and_accents() -> None:
    assert ask("PN", "müller^änne", "MULLER^ANNE", "Müller^Änne", "MÜLLER^Anne^X") == [
        "MULLER^ANNE",
        "Müller^Änne",
    ]


def test_trailing_carets_of_a_name_mean_nothing() -> None:
    assert ask("PN", "DOE^JOHN", "DOE^JOHN^^^", "DOE^JOHN^", "DOE^JOHN^^DR") == [
        "DOE^JOHN^^^",
        "DOE^JOHN^",
    ]
    assert ask("PN", "DOE^^", "DOE", "DOE^JOHN") == ["DOE"]
    assert ask("PN", "DOE^*", "DOE", "DOE^JOHN", "DOELL^JOHN") == ["DOE", "DOE^JOHN"]


def test_components_of_a_name_are_told_apart() -> None:
    assert ask("PN", "DOE^JOHN", "DOE JOHN", "DOE^^JOHN", "JOHN^DOE", "DOE", "^JOHN") == []
    assert ask("PN", "^JOHN", "^JOHN", "JOHN", "DOE^JOHN") == ["^JOHN"]


YAMADA = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize(
    "key",
    [
        "yamada^tarou",
        "山田^太郎",
        "やまだ^たろう",
        "山田*",
        "*太郎",
        "YAM*",
        "Yamada^Tarou=山田^太郎",
        "=山田^太郎",
    ],
)
def test_any_component_group_of_a_name_may_be_the_one(key: str) -> None:
    assert fits("PN", key, YAMADA)
    assert fits("PN", key, f"X={YAMADA}")


@pytest.mark.parametrize(
    "key",
    ["yamada", "山田", "山田^次郎", "Yamada^Tarou=山田^次郎", "tarou", "Yamada^Tarou 山田^太郎"],
)
def test_a_group_matches_as_a_whole_or_not_at_all(key: str) -> None:
    assert not fits("PN", key, YAMADA)


def test_a_mark_that_makes_another_letter_is_not_an_accent() -> None:
    assert not fits("PN", "か*", "が")
    assert fits("PN", "か\u3099*", "がく")
    assert ask("PN", "が?", "がく", "が") == ["がく"]


def test_spaces_within_a_name_count_once_and_at_the_ends_not_at_all() -> None:
    assert ask("PN", "VAN DER  BERG^ANNA", "VAN DER BERG^ANNA", " van der berg ^ anna") == [
        "VAN DER BERG^ANNA",
        " van der berg ^ anna",
    ]
    assert ask("PN", "VAN *", "VAN DER BERG", "VANCE") == ["VAN DER BERG"]


# --- against other implementations, and hostile

ALPHABET = st.text(alphabet="AB*?", max_size=8)


@given(pattern=ALPHABET, value=st.text(alphabet="AB", min_size=1, max_size=8))
def test_wildcards_agree_with_another_implementation(pattern: str, value: str) -> None:
    expected = re.fullmatch(fnmatch.translate(pattern), value) is not None
    assert Wildcard(pattern).fits(value) == expected


@settings(max_examples=200)
@given(
    vr=st.sampled_from(
        ["AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"]
    ),
    key=st.text(max_size=30),
    value=st.text(max_size=30),
)
def test_no_text_raises_anything_but_a_refusal(vr: str, key: str, value: str) -> None:
    try:
        condition: Condition | None = condition_of(vr, key)
    except InvalidQueryError:
        return
    if condition is not None:
        condition.fits(value)
        assert not condition.fits("")


def test_a_pattern_made_to_be_slow_is_not() -> None:
    """Backtracking would take longer than the universe has."""
    assert not fits("LO", "*A" * 300 + "*B", "A" * 1024)
    assert not fits("PN", "*A?" * 250 + "*B", "A" * 1024)
