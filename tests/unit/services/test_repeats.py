"""Counting repeats: what a report says belongs to the key that it names, and none is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tuipacs.services.repeats import EVERYONE_ELSE, Key, Repeats, Report


def test_kinds_are_told_apart_up_to_a_limit_and_each_report_names_what_it_counts() -> None:
    repeats = Repeats(window=10, limit=2)
    told = [repeats.report((name,), 0.0) for name in "aabbcd"]
    assert told == [
        Report(("a",), 0),
        None,
        Report(("b",), 0),
        None,
        Report(EVERYONE_ELSE, 0),
        None,
    ]
    due = {report.key: report.earlier for report in repeats.due(10.0)}
    assert due == {("a",): 1, ("b",): 1, EVERYONE_ELSE: 1}
    assert repeats.due(11.0) == []
    assert repeats.report(("c",), 11.0) == Report(("c",), 0)


def test_a_table_that_nobody_empties_is_not_full_for_good() -> None:
    repeats = Repeats(window=10, limit=2)
    for name in "aabb":
        repeats.report((name,), 0.0)
    assert repeats.report(("honest",), 10.0) == Report(("honest",), 0)
    assert repeats.report(("other",), 10.0) == Report(("other",), 0)
    assert repeats.report(("third",), 10.0) == Report(EVERYONE_ELSE, 2)  # of a and b


def test_what_could_not_be_written_is_told_later_and_takes_no_place_beyond_the_limit() -> None:
    repeats = Repeats(window=10, limit=1)
    assert repeats.report(("a",), 0.0) == Report(("a",), 0)
    repeats.give_back(("b",), 3, 0.0)
    assert repeats.due(9.0) == []
    assert repeats.due(10.0) == [Report(EVERYONE_ELSE, 3)]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 6), st.booleans()), max_size=60)
)
def test_every_one_is_told_once_under_its_own_key_or_everyone_elses(
    steps: list[tuple[str, int, bool]],
) -> None:
    """Also: no key is told more often than it came, and never more than a window allows."""
    repeats = Repeats(window=10, limit=2)
    came: Counter[Key] = Counter()
    told: Counter[Key] = Counter()
    now = 0.0
    for name, pause, is_flushed in steps:
        now += pause
        if is_flushed:
            for report in repeats.due(now):
                told[report.key] += report.earlier
        came[(name,)] += 1
        said = repeats.report((name,), now)
        if said is not None:
            assert said.key in ((name,), EVERYONE_ELSE)
            told[said.key] += 1 + said.earlier
    for report in repeats.due(now + 10):
        told[report.key] += report.earlier
    assert told.total() == came.total()
    assert all(told[key] <= came[key] for key in told if key != EVERYONE_ELSE)
