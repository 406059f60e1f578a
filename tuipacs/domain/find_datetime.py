"""DT values and their ranges (PS3.5 6.2, PS3.4 C.2.2.2.5): a hyphen is a range or an offset.

Whatever could be an offset from UTC is one: "2024-0500" is a year in New York, "2024-2025" are two
years, for no offset is 20 hours. Times without an offset are of the archive's own time zone.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from tuipacs.errors import InvalidQueryError

_PARTS = (
    r"(\d{4})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])(?:([01]\d|2[0-3])"
    r"(?:([0-5]\d)(?:([0-5]\d|60)(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"(\+(?:0\d|1[0-4])[0-5]\d|-(?:0\d|1[0-2])[0-5]\d)?"
)
_ONE = re.compile(_PARTS, re.ASCII)
_RANGE = re.compile(rf"({_PARTS})?(?:(-)({_PARTS})?)?", re.ASCII)
_GROUPS = 9  # of one value in `_RANGE`: itself and its parts


@dataclass(frozen=True)
class DateTimeSpan:
    """From ``first`` to ``last``, inclusive; None is open."""

    first: dt.datetime | None
    last: dt.datetime | None

    def fits(self, value: str) -> bool:
        """See `Condition`. A value that leaves parts open counts from their beginning."""
        found = _ONE.fullmatch(value.strip(" "))
        at = _moment(found.groups(), latest=False) if found else None
        if at is None:
            return False
        return (self.first is None or self.first <= at) and (self.last is None or at <= self.last)


def date_time_span(text: str) -> DateTimeSpan:
    """What a DT key asks; a single value matches at its own precision.

    Raises `InvalidQueryError`, without the text.
    """
    found = _RANGE.fullmatch(text.strip(" "))
    parts = found.groups() if found else ()
    first, dash, last = parts[:1], parts[_GROUPS : _GROUPS + 1], parts[_GROUPS + 1 : _GROUPS + 2]
    if not any((*first, *last)):
        raise InvalidQueryError("is neither a date and time nor a range of them")
    start = _moment(parts[1:_GROUPS], latest=False) if first[0] else None
    end_parts = parts[_GROUPS + 2 :] if dash[0] else parts[1:_GROUPS]
    end = _moment(end_parts, latest=True) if end_parts[0] else None
    if bool(first[0]) != (start is not None) or bool(end_parts[0]) != (end is not None):
        raise InvalidQueryError("has a date that there is not")
    return DateTimeSpan(start, end)


def _moment(parts: tuple[str | None, ...], *, latest: bool) -> dt.datetime | None:
    """The first or the last moment of what a DT says; None for 30 February, or the year 0."""
    year, month, day, hour, minute, second, fraction, offset = parts
    try:
        start = dt.datetime(
            int(year or 0),
            int(month or (12 if latest else 1)),
            int(day or 1),
            int(hour or (23 if latest else 0)),
            int(minute or (59 if latest else 0)),
            min(59, int(second or (59 if latest else 0))),
            int((fraction or "").ljust(6, "9" if latest else "0")),
            tzinfo=_zone(offset) if offset else None,
        )
        if latest and not day:
            start = start.replace(day=_days(start.year, start.month))
    except ValueError:
        return None
    return start if offset else _here(start)


def _here(moment: dt.datetime) -> dt.datetime:
    """In the archive's own time zone; at the ends of time (99991231) any zone will do."""
    try:
        return moment.astimezone()
    except (ValueError, OverflowError):
        return moment.replace(tzinfo=dt.UTC)


def _days(year: int, month: int) -> int:
    """Of a month."""
    following = dt.date(year, month, 28) + dt.timedelta(days=4)
    return (following - dt.timedelta(days=following.day)).day


def _zone(offset: str) -> dt.timezone:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return dt.timezone(dt.timedelta(minutes=-minutes if offset[0] == "-" else minutes))
