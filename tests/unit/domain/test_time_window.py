"""Windows of the day in local time: when they open and close, over midnight and at their ends."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.domain.time_window import closes_at, opens_at


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> float:
    return dt.datetime(2027, 3, day, hour, minute, second).timestamp()  # noqa: DTZ001 - local


NIGHT, OFFICE = "22:00-06:00", "08:30-17:00"


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        ("", at(10, 12), None),
        (NIGHT, at(10, 21, 59, 59), at(10, 22)),
        (NIGHT, at(10, 22), None),
        (NIGHT, at(11, 0), None),
        (NIGHT, at(11, 5, 59, 59), None),
        (NIGHT, at(11, 6), at(11, 22)),
        (OFFICE, at(10, 8, 29), at(10, 8, 30)),
        (OFFICE, at(10, 8, 30), None),
        (OFFICE, at(10, 16, 59), None),
        (OFFICE, at(10, 17), at(11, 8, 30)),
        (OFFICE, at(10, 0), at(10, 8, 30)),
    ],
)
def test_a_closed_window_says_when_it_opens(window: str, now: float, opens: float | None) -> None:
    assert opens_at(window, now) == opens


@pytest.mark.parametrize(
    ("window", "now", "closes"),
    [
        ("", at(10, 12), None),
        (NIGHT, at(10, 22), at(11, 6)),
        (NIGHT, at(11, 5, 59), at(11, 6)),
        (OFFICE, at(10, 8, 30), at(10, 17)),
    ],
)
def test_an_open_window_says_when_it_closes(window: str, now: float, closes: float | None) -> None:
    assert closes_at(window, now) == closes


@pytest.mark.parametrize("window", ["always", "25:00-26:00", "22:00", "22:00-06:60", " "])
def test_a_window_that_cannot_be_read_is_never_open(window: str) -> None:
    assert opens_at(window, at(10, 12)) is not None


_times = st.tuples(st.integers(0, 23), st.integers(0, 59))


@given(_times, _times, st.integers(0, 86399))
def test_it_is_open_from_when_it_opens_until_when_it_closes(
    first: tuple[int, int], last: tuple[int, int], second: int
) -> None:
    window = f"{first[0]:02}:{first[1]:02}-{last[0]:02}:{last[1]:02}"
    now = at(10, 0) + second
    opens = opens_at(window, now)
    if first == last:
        assert opens is not None
        return
    if opens is None:
        closes = closes_at(window, now)
        assert closes is not None
        assert now < closes <= now + 86400
        assert opens_at(window, closes - 1) is None
        assert opens_at(window, closes) is not None
    else:
        assert now < opens <= now + 86400
        assert opens_at(window, opens) is None
        assert opens_at(window, opens - 1) is not None
