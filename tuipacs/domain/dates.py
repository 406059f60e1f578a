"""Dates as people type them and as DICOM writes them (DA, PS3.5 6.2)."""

from __future__ import annotations

import datetime as dt
import re

_RELATIVE = re.compile(r"-([0-9]{1,4})([dwmy])")
_SEPARATOR = re.compile(r"(?<=[0-9])[-.](?=[0-9]{2}(?![0-9]))")  # 2026-11-21
_UNIT_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


def da(day: dt.date) -> str:
    """``20261121``."""
    return f"{day.year:04}{day.month:02}{day.day:02}"  # %Y leaves out leading zeros


def spoken_day(text: str, today: dt.date) -> dt.date | None:
    """The day of ``today`` and ``yesterday``; None for other texts."""
    if text == "today":
        return today
    return today - dt.timedelta(days=1) if text == "yesterday" else None


def is_relative(text: str) -> bool:
    """Whether it is one of ``-7d``, ``-2w``, ``-6m``, ``-1y``."""
    return _RELATIVE.fullmatch(text) is not None


def days_ago(text: str, today: dt.date) -> dt.date:
    """The first day of such a text. Raises `OverflowError` for one before the year 1."""
    count, unit = text[1:-1], text[-1]
    return today - dt.timedelta(days=int(count) * _UNIT_DAYS[unit])


def range_ends(text: str) -> tuple[str, str, str]:
    """First day, dash, last day; ``2026-11-21`` and ``2026.11.21`` are one day."""
    return _SEPARATOR.sub("", text).partition("-")
