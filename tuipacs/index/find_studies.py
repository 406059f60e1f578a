"""Which studies may match a C-FIND query: by the one index that leaves fewest of them.

Each condition here is wider than the rule or the same, as `tuipacs.index.find` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tuipacs.domain.find import KEYS, AskedKey, FindQuery, Held
from tuipacs.domain.find_match import (
    Condition,
    DateSpan,
    OneOf,
    PersonName,
    TimeSpan,
    Wildcard,
)
from tuipacs.domain.query import fold
from tuipacs.index.database import Reader
from tuipacs.index.find_columns import first_studies
from tuipacs.index.find_text import literal_parts, literal_start, name_parts

Sql = tuple[str, tuple[Any, ...]]

_LAST = "\U0010ffff"  # sorts after each character that follows a prefix
_AFTER_DIGITS = ":"  # and after the dots of a date of old
_ENOUGH = 2000  # rows of an index after which it counts as a wide one
_OF_FEW_VALUES = frozenset(
    ("s.modalities", "s.study_description", "s.referring_physician_name")  # each has an index
)
_FEW = 2000
_MODALITIES = next(key for key in KEYS if key.column == "s.modalities")
_ALL = "1"  # the condition that all rows meet
_MOST_VALUES = 100  # that SQL looks for one by one


_BELOW = {  # the studies that have what a relational query names
    "r.series_instance_uid": "SELECT DISTINCT r.study AS id FROM json_each(?) k CROSS JOIN series r"
    " ON r.series_instance_uid = k.value",
    "i.sop_instance_uid": "SELECT DISTINCT r.study AS id FROM json_each(?) k CROSS JOIN instance i"
    " ON i.sop_instance_uid = k.value CROSS JOIN series r ON r.id = i.series",
}


class _Narrowing(NamedTuple):
    """A condition on studies: the ids by an index, and an expression over study ``s``."""

    ids: Sql | None
    expression: Sql | None


def studies(reader: Reader, query: FindQuery) -> Sql:
    """The statement that gives the keys of all studies that may match, in any order."""
    driver, of_driver = _driver(reader, query)
    asked_for = _of_studies(query)
    where, parameters = conditions((asked for asked in asked_for if asked is not of_driver), "ps")
    if driver is None:
        return f"SELECT s.id FROM study s WHERE {where}", parameters
    if where == _ALL:
        return driver
    return (
        f"SELECT s.id FROM ({driver[0]}) d CROSS JOIN study s ON s.id = d.id WHERE {where}",
        driver[1] + parameters,
    )


def _of_studies(query: FindQuery) -> tuple[AskedKey, ...]:
    """All conditions, and what they mean for a study: one with a CT is one with a CT series."""
    also = (
        AskedKey(_MODALITIES, asked.condition)
        for asked in query.below
        if asked.key.column == "r.modality"
    )
    return (*query.keys, *query.below, *also)


def patients(reader: Reader, query: FindQuery) -> Sql:
    """The statement that gives the studies on which the people stand that may match.

    By one key only: what else a patient is asked for may be another study's.
    """
    driver, _ = _driver(reader, query)
    if driver is None:
        return first_studies("SELECT id FROM patient"), ()
    of = f"SELECT DISTINCT s.patient FROM ({driver[0]}) x CROSS JOIN study s ON s.id = x.id"
    return first_studies(of), driver[1]


def conditions(asked_for: Iterable[AskedKey], tables: str) -> Sql:
    """What SQL can say about rows of these ``tables``: letters of p, s, r, i."""
    expressions = [
        narrowing.expression
        for asked in asked_for
        if asked.key.column[0] in tables and (narrowing := _narrowing(asked)).expression
    ]
    where = " AND ".join(sql for sql, _ in expressions)
    return where or _ALL, tuple(parameter for _, some in expressions for parameter in some)


def _driver(reader: Reader, query: FindQuery) -> tuple[Sql | None, AskedKey | None]:
    """The index that leaves fewest studies, and the key that it is of; none if none helps."""
    best: tuple[int, Sql | None, AskedKey | None] = (_ENOUGH + 1, None, None)
    asked_for = _of_studies(query)
    for asked in asked_for:
        ids = _narrowing(asked).ids
        if ids and (count := _count(reader, ids)) < best[0]:
            best = (count, ids, asked)
    if best[0] >= _ENOUGH:
        for asked in asked_for:
            ids = _by_its_values(reader, asked)
            if ids and (count := _count(reader, ids)) < best[0]:
                best = (count, ids, asked)
    return best[1], best[2]


def _by_its_values(reader: Reader, asked: AskedKey) -> Sql | None:
    """For a column of few different values: those that match, and the studies that have them."""
    condition, column = asked.condition, asked.key.column
    if condition is None or column not in _OF_FEW_VALUES:
        return None
    name = column[2:]
    step = f"(SELECT min({name}) FROM study WHERE {name} <> '' AND {name} > v)"
    values = reader.all(
        f"WITH RECURSIVE d (v) AS (SELECT '' UNION ALL SELECT {step} FROM d WHERE v IS NOT NULL)"
        f" SELECT v FROM d WHERE v <> '' LIMIT {_FEW + 1}"
    )
    if len(values) > _FEW:
        return None
    return (
        f"SELECT s.id FROM json_each(?) k CROSS JOIN study s"
        f" ON s.{name} = k.value AND s.{name} <> ''",
        (json.dumps([value for (value,) in values if asked.fits(value)]),),
    )


def _count(reader: Reader, ids: Sql) -> int:
    """Rows that an index leaves, up to a bound."""
    return int(reader.scalar(f"SELECT count(*) FROM ({ids[0]} LIMIT {_ENOUGH})", ids[1]))


def _narrowing(asked: AskedKey) -> _Narrowing:
    condition, column = asked.condition, asked.key.column
    if condition is None:
        return _Narrowing(None, None)
    if column == "s.study_instance_uid" and isinstance(condition, OneOf):
        uids = json.dumps(sorted(condition.values))
        return _by("s.study_instance_uid IN (SELECT value FROM json_each(?))", uids)
    if column in _BELOW and isinstance(condition, OneOf):
        uids = json.dumps(sorted(condition.values))
        return _Narrowing((_BELOW[column], (uids,)), _expression(asked))
    if column == "p.patient_id":
        return _by_text("s.sort_id", condition, fold)
    if column in ("s.accession_number", "s.study_id"):
        return _by_text(column, condition, None)
    if column == "s.patient_name" and isinstance(condition, PersonName):
        return _by_name(condition)
    if column == "s.study_date" and isinstance(condition, DateSpan):
        # The date's digits, then the time, which may be any text; empty where the date is none.
        return _by(
            "s.sort_date >= ? AND s.sort_date < ?",
            condition.first or "0",
            (condition.last or "9") + _LAST,
        )
    if column == "s.patient_birth_date" and isinstance(condition, DateSpan):
        return _by_birth_date(condition)
    return _Narrowing(None, _expression(asked))


def _by(where: str, *parameters: Any) -> _Narrowing:
    """A condition on study ``s`` that has an index."""
    return _Narrowing((f"SELECT s.id FROM study s WHERE {where}", parameters), (where, parameters))


def _by_text(column: str, condition: Condition, folded: Callable[[str], str] | None) -> _Narrowing:
    """An exact value, or what begins as a pattern does; ``folded`` as the column was made."""
    # What the partial indexes ask for. A text that is not empty may be empty once it is folded
    # ("^" as a patient ID), and then it has to be found as what it was.
    also = "1" if folded else f"{column} <> ''"
    if isinstance(condition, OneOf):
        values = [folded(value) if folded else value for value in sorted(condition.values)]
        return _by(f"{column} IN (SELECT value FROM json_each(?)) AND {also}", json.dumps(values))
    if isinstance(condition, Wildcard):
        start = literal_start(condition.pattern, folded=folded is not None)
        if start:
            return _by(f"{column} >= ? AND {column} < ? AND {also}", start, start + _LAST)
    return _Narrowing(None, (also, ()))


def _by_name(condition: PersonName) -> _Narrowing:
    """``sort_name`` is the folded name, all groups with a space between them.

    The group that fits may stand at its start, or be a later one of a name that has several.
    """
    parts = max((name_parts(group) for group in condition.groups), key=lambda p: len(p.start))
    if not parts.start:
        inside = _all_inside("s.sort_name", parts.inside)
        return _Narrowing(None, inside if parts.inside else ("s.sort_name <> ''", ()))
    first = "s.sort_name >= ? AND s.sort_name < ?"
    later = "instr(s.patient_name, '=') > 0 AND instr(s.sort_name, ?)"
    parameters = (parts.start, parts.start + _LAST, parts.start)
    return _Narrowing(
        (
            f"SELECT s.id FROM study s WHERE {first} UNION"
            f" SELECT s.id FROM study s INDEXED BY study_name_groups WHERE {later}",
            parameters,
        ),
        (f"({first} OR {later})", parameters),
    )


def _by_birth_date(condition: DateSpan) -> _Narrowing:
    """As stored: a single date is looked for in both forms, a range by its years."""
    also = "s.patient_birth_date <> ''"
    if condition.first == condition.last:
        day = condition.first
        old = f"{day[:4]}.{day[4:6]}.{day[6:]}"
        return _by(f"s.patient_birth_date IN (?, ?) AND {also}", day, old)
    return _by(
        f"s.patient_birth_date >= ? AND s.patient_birth_date < ? AND {also}",
        condition.first[:4] or "0",
        (condition.last[:4] or "9") + _AFTER_DIGITS,
    )


def _expression(asked: AskedKey) -> Sql | None:
    """A condition on columns without an index of their own."""
    condition, key = asked.condition, asked.key
    if key.column.startswith("p.") or key.held in (Held.COUNT, Held.INTEGER):
        return None
    if isinstance(condition, OneOf):
        if key.held is Held.VALUES:
            if len(condition.values) > _MOST_VALUES:  # SQLite's expressions are 1,000 deep at most
                return f"{key.column} <> ''", ()
            found = " OR ".join(f"instr({key.column}, ?)" for _ in condition.values)
            return f"({found})", tuple(condition.values)
        return (
            f"{key.column} IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(condition.values)),),
        )
    if isinstance(condition, TimeSpan):
        return (
            f"substr(ltrim({key.column}), 1, 2) BETWEEN ? AND ?",
            (condition.first[:2] or "00", condition.last[:2] or "99"),
        )
    if isinstance(condition, Wildcard):
        parts = literal_parts(condition.pattern)
        return _all_inside(key.column, parts) if parts else (f"{key.column} <> ''", ())
    return f"{key.column} <> ''", ()


def _all_inside(column: str, parts: Sequence[str]) -> Sql:
    return " AND ".join(f"instr({column}, ?)" for _ in parts), tuple(parts)
