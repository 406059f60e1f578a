"""Whether a rule matches a study, and the words why not. No I/O: the facts are handed in."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tuipacs.domain.query import fold
from tuipacs.domain.route import RouteConditions, RouteLevel, RouteRule, RouteSource, Weekday
from tuipacs.domain.safe_text import clean

_SHOWN = 40  # cells of a value in a reason
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_MINUTES = 24 * 60


@dataclass(frozen=True)
class SeriesFacts:
    """What rules ask of one series. ``senders`` are calling AE titles, "" for an import."""

    key: int
    modality: str
    description: str
    body_part: str
    institution: str
    station: str
    instances: int
    senders: frozenset[str]
    sop_classes: frozenset[str]


@dataclass(frozen=True)
class StudyFacts:
    """What rules ask of one study. Only the first version of each object counts."""

    key: int
    study_instance_uid: str
    patient_id: str
    issuer: str
    description: str
    accession_number: str
    referring_physician: str
    study_date: str
    received_at: float  # its newest object, seconds since the epoch
    flags: tuple[str, ...]
    series: tuple[SeriesFacts, ...]


class Match(NamedTuple):
    """The series that fit, and what is against it, the first reason first; empty: it matches."""

    series: tuple[SeriesFacts, ...]
    faults: tuple[str, ...]


WAS_IMPORTED = "it was imported, and the rule is for what nodes send"


def match(rule: RouteRule, study: StudyFacts, today: dt.date) -> Match:
    """Hold ``rule`` against ``study``. ``today``: local, for its age."""
    conditions = rule.conditions
    faults = [*_study_faults(conditions, study, today)]
    series, fault = _fitting(rule, study)
    if fault:
        faults.append(fault)
    faults += _source_faults(conditions, study)  # where it came from says least of what it is
    if faults:
        return Match((), tuple(faults))
    return Match(study.series if rule.level is RouteLevel.STUDY else series, ())


def _study_faults(want: RouteConditions, study: StudyFacts, today: dt.date) -> Iterator[str]:
    if not study.series:
        yield "it holds only other versions of objects that were here before"
    for name, patterns, value in (
        # The ID itself has no place in a reason: who reads the rules need not know whose it is.
        ("patient ID", want.patient_ids, study.patient_id),
        ("issuer of the patient ID", want.issuers, study.issuer),
    ):
        if not fits(patterns, value, exactly=True):
            yield f"its {name} {_unlike(patterns, value, show=False)}"
    for name, patterns, value in (
        ("description", want.study_descriptions, study.description),
        ("accession number", want.accession_numbers, study.accession_number),
        ("referring physician", want.referring_physicians, study.referring_physician),
    ):
        if not fits(patterns, value):
            yield f"its {name} {_unlike(patterns, value, show=name == 'description')}"
    yield from _age_fault(want.not_older_than_days, study.study_date, today)
    yield from _time_faults(want, study.received_at)
    if want.without_flags and study.flags:
        yield f"it is flagged: {', '.join(study.flags)}"


def _source_faults(want: RouteConditions, study: StudyFacts) -> Iterator[str]:
    senders = frozenset[str]().union(*(series.senders for series in study.series))
    if want.source is RouteSource.RECEIVED and study.series and not any(senders):
        yield WAS_IMPORTED
    elif want.source is RouteSource.IMPORTED and study.series and "" not in senders:
        yield "a node sent it, and the rule is for imports"


def _age_fault(days: int, study_date: str, today: dt.date) -> Iterator[str]:
    if not days:
        return
    found = _DAY.fullmatch(study_date.replace(".", ""))
    try:
        day = dt.date(*map(int, found.groups())) if found else None
    except ValueError:
        day = None
    if day is None:
        yield "it has no study date, and the rule asks for its age"
    elif (age := (today - day).days) > days:
        yield f"it is {age:,} days old; the rule takes up to {days:,}"


def _time_faults(want: RouteConditions, received_at: float) -> Iterator[str]:
    if not (want.weekdays or want.window):
        return
    at = dt.datetime.fromtimestamp(received_at).astimezone()
    weekday = tuple(Weekday)[at.weekday()]
    if want.weekdays and weekday not in want.weekdays:
        yield f"it came on a {at:%A}; the rule takes {', '.join(want.weekdays)}"
    if want.window and not in_window(want.window, at.hour * 60 + at.minute):
        yield f"it came at {at:%H:%M}; the rule takes {want.window}"


def _fitting(rule: RouteRule, study: StudyFacts) -> tuple[tuple[SeriesFacts, ...], str]:
    """The series that fit, or why there is none: the condition that the last ones fail."""
    want = rule.conditions
    if not study.series:
        return (), ""
    if want.only_modalities and want.modalities:
        for series in study.series:
            if not fits(want.modalities, series.modality, exactly=True):
                found = clean(series.modality, limit=16) or "no modality"
                return (
                    (),
                    f"it has a series of {found}; the rule takes {_list(want.modalities)} only",
                )
    left = study.series
    asked: list[tuple[str, tuple[str, ...], Callable[[SeriesFacts], Sequence[str]], bool]] = [
        ("sender", want.calling_ae_titles, lambda s: sorted(s.senders), True),
        ("modality", want.modalities, lambda s: (s.modality,), True),
        ("series description", want.series_descriptions, lambda s: (s.description,), False),
        ("body part", want.body_parts, lambda s: (s.body_part,), False),
        ("institution", want.institutions, lambda s: (s.institution,), False),
        ("station", want.stations, lambda s: (s.station,), False),
        ("SOP class", want.sop_classes, lambda s: sorted(s.sop_classes), True),
    ]
    for name, patterns, values_of, exactly in asked:
        if not patterns:
            continue
        fitting = tuple(
            series
            for series in left
            if any(fits(patterns, value, exactly=exactly) for value in values_of(series))
        )
        if not fitting:
            values = sorted({value for series in left for value in values_of(series)})
            narrowed = len(left) < len(study.series)
            return (), _no_series(name, patterns, tuple(values), narrowed)
        left = fitting
    return _counted(rule, study, left)


def _counted(
    rule: RouteRule, study: StudyFacts, left: tuple[SeriesFacts, ...]
) -> tuple[tuple[SeriesFacts, ...], str]:
    least, most = rule.conditions.minimum, rule.conditions.maximum
    if rule.level is RouteLevel.STUDY:
        count = sum(series.instances for series in study.series)
        fault = _count_fault(count, least, most)
        return (left, "") if not fault else ((), f"it has {fault}")
    kept = tuple(s for s in left if not _count_fault(s.instances, least, most))
    if kept:
        return kept, ""
    largest = max(series.instances for series in left)
    return (), f"its largest matching series has {_count_fault(largest, least, most)}"


def _count_fault(count: int, least: int, most: int) -> str:
    if count < least:
        return f"{count:,} objects; the rule takes {least:,} or more"
    if most and count > most:
        return f"{count:,} objects; the rule takes up to {most:,}"
    return ""


def _no_series(
    name: str, patterns: tuple[str, ...], values: tuple[str, ...], narrowed: bool
) -> str:
    shown = ", ".join(clean(value, limit=_SHOWN) or "none" for value in values[:4])
    shown += ", …" if len(values) > 4 else ""
    of = "of the series that fit so far " if narrowed else ""
    return f"{of}no {name} is like {_list(patterns)} (there is {shown})"


def _unlike(patterns: tuple[str, ...], value: str, *, show: bool) -> str:
    if not value:
        return f"is empty; the rule takes {_list(patterns)}"
    said = f"is “{clean(value, limit=_SHOWN)}”, not" if show else "is not"
    return f"{said} like {_list(patterns)}"


def _list(patterns: tuple[str, ...]) -> str:
    shown = " or ".join(clean(pattern, limit=_SHOWN) for pattern in patterns[:4])
    return shown + (" or …" if len(patterns) > 4 else "")


def fits(patterns: tuple[str, ...], value: str, *, exactly: bool = False) -> bool:
    """Whether ``value`` fits one of ``patterns`` and none that excludes; True without any.

    ``exactly``: with case and accents. Outer blanks do not count (PS3.5 6.2).
    """
    if not patterns:
        return True
    wanted = excluded = False
    fitted = False
    text = value.strip(" ") if exactly else fold(value)
    for pattern in patterns:
        if pattern.startswith("!"):
            excluded = excluded or _fits(pattern[1:], text, exactly)
        else:
            wanted = True
            fitted = fitted or _fits(pattern, text, exactly)
    return not excluded and (fitted or not wanted)


def _fits(pattern: str, text: str, exactly: bool) -> bool:
    return _compiled(pattern, exactly).fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, exactly: bool) -> re.Pattern[str]:
    """What a star took is never tried anew: linear, however many stars there are."""
    first, *more = (pattern.strip(" ") if exactly else fold(pattern)).split("*")
    parts = [_fixed(first)]
    if more:
        parts += (f"(?>.*?{_fixed(part)})" for part in more[:-1] if part)
        parts.append(".*" + _fixed(more[-1]))
    return re.compile("".join(parts), re.DOTALL)


def _fixed(part: str) -> str:
    return re.escape(part).replace(r"\?", ".")


def read_window(text: str) -> tuple[int, int] | None:
    """(first, last) minute of the day of "22:00-06:00"; None if it is no window."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        return None
    hours = [int(part) for part in found.groups()]
    return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]


def in_window(text: str, minute: int) -> bool:
    """Whether a minute of the day lies in a window; its end does not. Over midnight if it must."""
    window = read_window(text)
    if window is None:
        return False  # rules are checked when they are kept: what cannot be read lets nothing out
    first, last = window
    return (minute - first) % _MINUTES < ((last - first) % _MINUTES or _MINUTES)
