"""Attribute matching of C-FIND (PS3.4 C.2.2.2): what a key's text asks, and whether a value fits.

This is the truth about matching: the index may look at more rows than match, never at fewer, and
each row is asked here before it is answered. All of it takes time linear in the texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from tuipacs.domain.find_datetime import date_time_span
from tuipacs.domain.query import fold
from tuipacs.errors import InvalidQueryError

WILDCARD_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_NUMBER_VRS = frozenset(("IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"))
_DATE = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)


class Condition(Protocol):
    """What one key asks. An empty value, as of an absent attribute, never fits."""

    def fits(self, value: str) -> bool:
        """Whether one stored value, without padding, matches."""
        ...


@dataclass(frozen=True)
class OneOf:
    """Single value and list of UID matching: exact, case-sensitive."""

    values: frozenset[str]

    def fits(self, value: str) -> bool:
        """See `Condition`."""
        return value in self.values


class Wildcard:
    """A text with ``*`` (any characters, or none) and ``?`` (one character)."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        first, *rest = re.sub(r"\*+", "*", pattern).split("*")
        self.pieces = (first, *rest)
        self._first = _compiled(first)
        self._middle = tuple(_compiled(piece) for piece in rest[:-1])
        self._last = _compiled(rest[-1]) if rest else None
        self._last_length = len(rest[-1]) if rest else 0

    def fits(self, value: str) -> bool:
        """See `Condition`. Each piece is taken where it comes first: no other place is better."""
        if self._last is None:
            return self._first.fullmatch(value) is not None
        found = self._first.match(value)
        if found is None:
            return False
        at = found.end()
        for piece in self._middle:
            found = piece.search(value, at)
            if found is None:
                return False
            at = found.end()
        end = len(value) - self._last_length
        return end >= at and self._last.match(value, end) is not None and bool(value)


def _compiled(piece: str) -> re.Pattern[str]:
    """A piece between two asterisks: of one length, so that a search is no more than a scan."""
    return re.compile("".join("." if c == "?" else re.escape(c) for c in piece), re.DOTALL)


class PersonName:
    """A PN: no case, no accents; any component group of the value may be the one that fits.

    Of a key with several groups each that is not empty has to fit one. Trailing carets mean nothing
    (PS3.5 6.2.1), so ``DOE^*`` fits a DOE without given name.
    """

    def __init__(self, text: str) -> None:
        groups = (group.strip(" ").rstrip(" ^") for group in text.split("="))
        self.groups = tuple(group for group in groups if group.strip("*"))
        self._asked = tuple(_name_patterns(group) for group in self.groups)

    def fits(self, value: str) -> bool:
        """See `Condition`."""
        groups = folded_groups(value)
        return all(
            any(one.fits(group) for one in patterns for group in groups if group)
            for patterns in self._asked
        )


def _name_patterns(group: str) -> tuple[Condition, ...]:
    pieces = re.split(r"([*?])", group)
    pieces[::2] = [_fold_piece(piece) for piece in pieces[::2]]
    folded = re.sub(r" *\^ *", "^", re.sub(" +", " ", "".join(pieces)))
    folded = folded.strip(" ").rstrip(" ^")
    if "*" not in folded and "?" not in folded:
        return (OneOf(frozenset((folded,))),)
    found = [folded]
    while found[-1].endswith("^*"):
        found.append(found[-1][:-2].rstrip("^"))
    return tuple(Wildcard(pattern) for pattern in found if pattern)


def _fold_piece(text: str) -> str:
    """`fold` for a part of a component: a space at its ends stays one."""
    return "^".join(
        unicodedata.normalize("NFC", fold(f"x{part}x")[1:-1]) for part in text.split("^")
    )


@lru_cache(maxsize=4096)
def folded_groups(value: str) -> tuple[str, ...]:
    """The component groups of a person name for comparing: folded, without trailing carets."""
    return tuple(
        "^".join(unicodedata.normalize("NFC", fold(part)) for part in group.split("^")).rstrip("^")
        for group in value.split("=")
    )


@dataclass(frozen=True)
class DateSpan:
    """From ``first`` to ``last``, YYYYMMDD, inclusive; "" is open. A single date is both."""

    first: str
    last: str

    def fits(self, value: str) -> bool:
        """See `Condition`. What is no date is in no span."""
        digits = date_digits(value)
        return bool(digits) and self.first <= digits and (not self.last or digits <= self.last)


@dataclass(frozen=True)
class TimeSpan:
    """From ``first`` to ``last``, twelve digits HHMMSSFFFFFF, inclusive; "" is open."""

    first: str
    last: str

    def fits(self, value: str) -> bool:
        """See `Condition`. A value without minutes or seconds counts with zeros."""
        digits = time_digits(value, latest=False)
        return bool(digits) and self.first <= digits and (not self.last or digits <= self.last)


@dataclass(frozen=True)
class Number:
    """IS, DS and binary numbers match as numbers: "1" is "001" and "1.0"."""

    value: Decimal

    def fits(self, value: str) -> bool:
        """See `Condition`."""
        return _number(value) == self.value


def date_digits(text: str) -> str:
    """YYYYMMDD of a DA, also as YYYY.MM.DD of old; "" for what is no date."""
    found = _DATE.fullmatch(text)
    if found is None or not ("01" <= found[3] <= "12" and "01" <= found[4] <= "31"):
        return ""
    return found[1] + found[3] + found[4]


def time_digits(text: str, *, latest: bool) -> str:
    """Twelve digits of a TM of any precision; what it leaves open is filled. "" for no time."""
    found = _TIME.fullmatch(text.strip(" "))
    if found is None:
        return ""
    hour, minute, second, fraction = found.groups()
    if hour > "23" or (minute or "") > "59" or (second or "") > "60":
        return ""
    if latest:
        return hour + (minute or "59") + (second or "60") + (fraction or "").ljust(6, "9")
    return hour + (minute or "00") + (second or "00") + (fraction or "").ljust(6, "0")


def _number(text: str) -> Decimal | None:
    text = text.strip(" ")
    try:
        return Decimal(text) if len(text) <= 64 and _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        return None


def condition_of(vr: str, text: str) -> Condition | None:
    """What a key of this VR asks with a text that has no padding; None matches everything.

    Raises `InvalidQueryError`, without the text, for what is no value of the VR: an answer to
    a question that nobody asked would be a wrong one.
    """
    if not text:
        return None
    if vr in _SPANS:
        return _SPANS[vr](text)
    if vr in WILDCARD_VRS and not text.strip("*"):
        return None
    if vr == "PN":
        name = PersonName(text)
        return name if name.groups else None
    if vr in _NUMBER_VRS:
        number = _number(text) if vr != "IS" or _INTEGER.fullmatch(text.strip(" ")) else None
        if number is None:
            raise InvalidQueryError("is not a number")
        return Number(number)
    if vr == "CS" and "\\" in text:  # as the field asks for several modalities
        return _any_of([part.strip(" ") for part in text.split("\\")])
    return (
        Wildcard(text)
        if vr in WILDCARD_VRS and ("*" in text or "?" in text)
        else OneOf(frozenset((text,)))
    )


def _uids(text: str) -> Condition:
    uids = frozenset(uid.strip("\0 ") for uid in text.split("\\")) - {""}
    if not uids:  # to take it for no condition would answer everything
        raise InvalidQueryError("is a list without a UID")
    return OneOf(uids)


@dataclass(frozen=True)
class AnyOf:
    """Several values of which one has to fit."""

    conditions: tuple[Condition, ...]

    def fits(self, value: str) -> bool:
        """See `Condition`."""
        return any(condition.fits(value) for condition in self.conditions)


def _any_of(parts: list[str]) -> Condition | None:
    values = [part for part in dict.fromkeys(parts) if part]
    if not values:
        raise InvalidQueryError("is a list without a value")
    if any(not value.strip("*") for value in values):
        return None
    if not any("*" in value or "?" in value for value in values):
        return OneOf(frozenset(values))
    return AnyOf(tuple(Wildcard(value) for value in values))


def _date_span(text: str) -> DateSpan:
    first, dash, last = (part.strip(" ") for part in text.partition("-"))
    start, end = date_digits(first), date_digits(last)
    if bool(first) != bool(start) or bool(last) != bool(end) or not (start or end):
        raise InvalidQueryError("is neither a date nor a range of dates")
    return DateSpan(start, end if dash else start)


def _time_span(text: str) -> TimeSpan:
    first, dash, last = (part.strip(" ") for part in text.partition("-"))
    if not dash:
        last = first
    start, end = time_digits(first, latest=False), time_digits(last, latest=True)
    if bool(first) != bool(start) or bool(last) != bool(end) or not (start or end):
        raise InvalidQueryError("is neither a time nor a range of times")
    return TimeSpan(start, end)


_SPANS: Mapping[str, Callable[[str], Condition]] = MappingProxyType(
    {"UI": _uids, "DA": _date_span, "TM": _time_span, "DT": date_time_span}
)
