"""DT keys (PS3.5 6.2, PS3.4 C.2.2.2.5): ranges, precision, and what a hyphen is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.find_match import condition_of
from tuipacs.errors import InvalidQueryError


def ask(key: str, *values: str) -> list[str]:
    condition = condition_of("DT", key)
    assert condition is not None
    return [value for value in values if condition.fits(value)]


def test_a_hyphen_before_an_offset_is_no_range() -> None:
    """Noon in New York is 17:00 in Greenwich; the year 2024 there is no range to the year 500."""
    values = ("20240131170000+0000", "20240131120000+0000", "20240131180000+0100")
    assert ask("20240131120000-0500", *values) == [values[0], values[2]]
    assert ask("2024-0500", "20240101040000+0000", "20240101060000+0000") == ["20240101060000+0000"]


def test_a_hyphen_before_a_year_is_a_range() -> None:
    """No offset from UTC has more than 14 hours."""
    values = ("20231231+0000", "20240601+0000", "20250601+0000", "20260101+0000")
    assert ask("2024+0000-2025+0000", *values) == list(values[1:3])
    assert ask("2024-2025", "2023", "2024", "2025", "2026") == ["2024", "2025"]


def test_both_ends_may_have_offsets() -> None:
    key = "20240131120000-0500-20240131130000-0500"
    values = ("20240131165959+0000", "20240131170000+0000", "20240131180000+0000", "202401311801Z")
    assert ask(key, *values) == list(values[1:3])


def test_open_ends_with_an_offset() -> None:
    assert ask("20240131120000-0500-", "20240131165959+0000", "20240131170000+0000") == [
        "20240131170000+0000"
    ]
    assert ask("-20240131120000-0500", "20240131170000+0000", "20240131170001+0000") == [
        "20240131170000+0000"
    ]


def test_the_end_of_a_range_covers_its_own_precision() -> None:
    assert ask("202401-202402", "20240229235959.999999", "20240301") == ["20240229235959.999999"]
    assert ask("-2023", "20231231235959", "20240101") == ["20231231235959"]
    assert ask("20240131100000.5", "20240131100000.599999", "20240131100000.6") == [
        "20240131100000.599999"
    ]


def test_a_value_that_leaves_parts_open_counts_from_their_beginning() -> None:
    assert ask("20240101", "2024", "202401", "20240102") == ["2024", "202401"]


def test_times_without_an_offset_are_of_one_zone() -> None:
    assert ask("20240131120000", "20240131120000", "20240131130000") == ["20240131120000"]


@pytest.mark.parametrize("value", ["", "x", "20240230", "20241301", "0000", "2024013125", "2024-"])
def test_what_is_no_date_and_time_is_in_no_range(value: str) -> None:
    assert ask("-99991231", value) == []


def test_ranges_to_the_ends_of_time_are_ranges() -> None:
    assert ask("00010101-99991231", "20240131", "19000101120000-0500") == [
        "20240131",
        "19000101120000-0500",
    ]


@pytest.mark.parametrize(
    "key",
    ["-", "--", "*", "2024*", "20240230", "0000", "x", "2024-2025-2026", "2024--2025", "20245"],
)
def test_what_is_no_date_and_time_is_no_question(key: str) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        condition_of("DT", key)
    assert key not in refused.value.message or key == "-"


@given(
    st.text(alphabet="0123456789+-. ", max_size=60), st.text(alphabet="0123456789+-.", max_size=30)
)
def test_no_text_raises_anything_but_a_refusal(key: str, value: str) -> None:
    try:
        condition = condition_of("DT", key)
    except InvalidQueryError:
        return
    if condition is not None:
        condition.fits(value)
