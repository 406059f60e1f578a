"""Values as people read them. No terminal in sight: records in, plain text out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from rich.cells import cell_len, chop_cells, set_cell_size

from tuipacs.domain.byte_size import size as size
from tuipacs.domain.records import Flag
from tuipacs.errors import TuipacsError

ELLIPSIS = "…"
FLAG_MARK = "⚑"
NONE = "-"

FLAG_WORDS: dict[Flag, tuple[str, str]] = {
    Flag.CONFLICT: (
        "conflict",
        "one SOP Instance UID arrived with different bytes; all versions are kept",
    ),
    Flag.PATIENT_MISMATCH: (
        "patient mismatch",
        "name, birth date or sex differ under one patient ID: is this one person?",
    ),
    Flag.UID_SHARED: (
        "shared UID",
        "one Study Instance UID appears under two patients: nobody is sent it by that UID alone",
    ),
    Flag.NO_PATIENT_ID: ("no patient ID", "cannot be matched with other studies of the person"),
    Flag.REMARK: ("remark", "the header had oddities; the instance's details name them"),
}
"""Flag → (short name, explanation)."""


def fit(text: str, width: int, align: str = "left") -> str:
    """Return ``text`` in exactly ``width`` cells, cut with an ellipsis where it is longer.

    What stands on the right is a number: it is written shorter, and never cut.
    """
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width and align == "right":
        text = short_number(text, width)
        length = len(text)
    if length > width:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + ELLIPSIS, width)
    if align == "right":
        return " " * (width - length) + text
    return text + " " * (width - length)


def short_number(text: str, width: int) -> str:
    """A number in ``width`` cells at most: ``1,234,567``, ``1234567``, ``1234k``, ``1M``, ``…``.

    Thousands and millions are rounded down. A number without its last digits would be another
    number, so what has no shorter form is left out.
    """
    forms = [text, text.replace(",", "")]
    if forms[1].isascii() and forms[1].isdigit():
        count = int(forms[1])
        forms += [f"{count // 1000}k", f"{count // 1_000_000}M"]
    return next((form for form in forms if cell_len(form) <= width), ELLIPSIS)


def cut(text: str, width: int) -> str:
    """``text`` in ``width`` cells at most, with an ellipsis where it is longer."""
    return text if cell_len(text) <= width else fit(text, width)


def wrap(text: str, width: int) -> list[str]:
    """``text`` in lines of ``width`` cells at most, one at least; long words go on in the next."""
    if width <= 0:
        return [text]
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if cell_len(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(word, width)
        lines += full
    return [*lines, line]


def person_name(value: str) -> str:
    """A Person Name (PS3.5 6.2.1.1) on one line: ideographic group first, then alphabetic.

    Components keep their carets, since they say which part is the family name.
    """
    groups = [group.strip().rstrip("^").strip() for group in value.split("=")]
    alphabetic, ideographic = groups[0], groups[1] if len(groups) > 1 else ""
    if ideographic and alphabetic and ideographic != alphabetic:
        return f"{ideographic} ({alphabetic})"
    return ideographic or alphabetic or (groups[2] if len(groups) > 2 else "")


def date(value: str) -> str:
    """A DICOM date as ISO 8601; what is none stays as it is."""
    if len(value) == 8 and value.isascii() and value.isdigit():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return value


def time(value: str) -> str:
    """A DICOM time to the minute; what is none stays as it is."""
    if len(value) >= 4 and value[:4].isascii() and value[:4].isdigit():
        return f"{value[:2]}:{value[2:4]}"
    return value


def age(birth_date: str, on_date: str) -> str:
    """Whole years between two DICOM dates as ``54 y``; empty when either is no date."""
    try:
        born = dt.datetime.strptime(birth_date, "%Y%m%d").date()  # noqa: DTZ007
        then = dt.datetime.strptime(on_date, "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return ""
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return f"{years} y" if years >= 0 else ""


def moment(seconds: float | None) -> str:
    """A point in time, local, to the second: ``2026-11-20 09:14:05``."""
    if not seconds:
        return NONE
    return dt.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(seconds: float | None, today: dt.date) -> str:
    """A point in time, local, in 10 cells: the time when it is ``today``, else the date."""
    if not seconds:
        return NONE
    then = dt.datetime.fromtimestamp(seconds).astimezone()
    if then.date() == today:
        return then.strftime("%H:%M:%S")
    return then.strftime("%Y-%m-%d")


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: ``2 m 05 s``."""
    if seconds is None:
        return NONE
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def number(count: int) -> str:
    """A count with separators of thousands: ``98,311``."""
    return f"{count:,}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """``1 study``, ``2 studies``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def retry_words(at: float | None) -> str:
    """``retry 14:32:10``, in local time; empty for None."""
    if at is None:
        return ""
    return f"retry {dt.datetime.fromtimestamp(at, dt.UTC).astimezone():%H:%M:%S}"


def modalities(values: Iterable[str]) -> str:
    """Modalities as one short text: ``CT/SR``."""
    return "/".join(values)


def percent(part: float, whole: float) -> str:
    """``41%``; a dash when there is no whole."""
    return f"{100 * part / whole:.0f}%" if whole > 0 else NONE


def error_words(error: TuipacsError) -> str:
    """An error and its remedy, as sentences in a row."""
    return ". ".join(part.rstrip(".") for part in (error.message, error.remedy) if part)
