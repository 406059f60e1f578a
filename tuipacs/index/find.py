"""C-FIND on the tables: which rows may match, quickly, and then the rows themselves.

`candidates` asks SQLite for the keys of all rows that may match, driven by the one index that
leaves fewest. `RowReader` reads some of them at a time and lets only those out that do match, so
that no transaction lasts longer than one piece. Every condition in SQL is wider than the rule or
the same (`tuipacs.domain.find_match` has the rules): it can cost time, and never an answer.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tuipacs.domain.find import (
    SERIES_UID_TAG,
    SOP_INSTANCE_UID_TAG,
    STUDY_UID_TAG,
    AskedKey,
    FindKey,
    FindQuery,
    Held,
)
from tuipacs.domain.find_match import (
    Condition,
    DateSpan,
    OneOf,
    PersonName,
    Wildcard,
)
from tuipacs.domain.level import Level
from tuipacs.domain.query import fold
from tuipacs.index.database import Reader
from tuipacs.index.find_text import literal_parts, literal_start, name_parts

Sql = tuple[str, tuple[Any, ...]]

_LAST = "\U0010ffff"  # sorts after each character that follows a prefix
_ENOUGH = 2000  # rows of an index after which it counts as a wide one
_FROM = {
    Level.STUDY: "study s ON s.id = k.value",
    Level.SERIES: "series r ON r.id = k.value CROSS JOIN study s ON s.id = r.study",
    Level.INSTANCE: "instance i ON i.id = k.value CROSS JOIN series r ON r.id = i.series"
    " CROSS JOIN study s ON s.id = r.study",
}
# Of the versions of one SOP instance in a series the first stands for it: counts say so, too.
_FIRST_VERSION = (
    "(i.version = 1 OR NOT EXISTS (SELECT 1 FROM instance o WHERE o.sop_instance_uid ="
    " i.sop_instance_uid AND o.series = i.series AND o.version < i.version))"
)


class _Narrowing(NamedTuple):
    """A condition on studies: the ids by an index, or an expression over study ``s``."""

    ids: Sql | None
    expression: Sql | None


def candidates(reader: Reader, query: FindQuery) -> array[int]:
    """Keys of the rows of the query's level that may match, in the order of the answers.

    Studies come newest first; series and instances by their number.
    """
    sql, parameters = statement(reader, query)
    found = array("q", (row[0] for row in reader.execute(sql, parameters)))
    if query.level is Level.STUDY:
        found = array("q", sorted(found, reverse=True))
    return found


def statement(reader: Reader, query: FindQuery) -> Sql:
    """The SQL of `candidates`."""
    conditions = {asked.key.tag: asked.condition for asked in query.keys if asked.condition}
    if query.level is Level.STUDY:
        return _studies(reader, query)
    study_uid = _only(conditions[STUDY_UID_TAG])
    if query.level is Level.SERIES:
        return (
            "SELECT r.id FROM study s CROSS JOIN series r ON r.study = s.id"
            " WHERE s.study_instance_uid = ? ORDER BY r.sort_number, r.id",
            (study_uid,),
        )
    series_uid = _only(conditions[SERIES_UID_TAG])
    wanted = conditions.get(SOP_INSTANCE_UID_TAG)
    if isinstance(wanted, OneOf):
        return (
            "SELECT i.id FROM json_each(?) k CROSS JOIN instance i ON i.sop_instance_uid = k.value"
            " CROSS JOIN series r ON r.id = i.series CROSS JOIN study s ON s.id = r.study"
            f" WHERE r.series_instance_uid = ? AND s.study_instance_uid = ? AND {_FIRST_VERSION}"
            " ORDER BY i.sort_number, i.id",
            (json.dumps(sorted(wanted.values)), series_uid, study_uid),
        )
    return (
        "SELECT i.id FROM series r CROSS JOIN study s ON s.id = r.study"
        " CROSS JOIN instance i ON i.series = r.id"
        f" WHERE r.series_instance_uid = ? AND s.study_instance_uid = ? AND {_FIRST_VERSION}"
        " ORDER BY i.sort_number, i.id",
        (series_uid, study_uid),
    )


def _only(condition: Condition) -> str:
    if not isinstance(condition, OneOf):
        raise AssertionError("a unique key above the level is one value")
    (value,) = condition.values
    return value


def _studies(reader: Reader, query: FindQuery) -> Sql:
    by_index: list[Sql] = []
    expressions: list[Sql] = []
    for asked in query.keys:
        narrowing = _narrowing(asked)
        if narrowing.ids:
            by_index.append(narrowing.ids)
        elif narrowing.expression:
            expressions.append(narrowing.expression)
    if not by_index:
        where = " AND ".join(sql for sql, _ in expressions) or "1"
        parameters = tuple(p for _, some in expressions for p in some)
        return f"SELECT s.id FROM study s WHERE {where}", parameters
    ids, parameters = (
        min(by_index, key=lambda sql: _count(reader, sql)) if by_index[1:] else by_index[0]
    )
    if not expressions:
        return ids, parameters
    where = " AND ".join(sql for sql, _ in expressions)
    return (
        f"SELECT s.id FROM ({ids}) d CROSS JOIN study s ON s.id = d.id WHERE {where}",
        parameters + tuple(p for _, some in expressions for p in some),
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
        return _by(
            "SELECT s.id FROM json_each(?) k CROSS JOIN study s ON s.study_instance_uid = k.value",
            uids,
        )
    if column == "p.patient_id":
        return _by_text("sort_id", condition, fold_text=fold)
    if column in ("s.accession_number", "s.study_id"):
        return _by_text(column[2:], condition, fold_text=str, also=f"{column[2:]} <> ''")
    if column == "s.patient_name" and isinstance(condition, PersonName):
        return _by_name(condition)
    if column == "s.study_date" and isinstance(condition, DateSpan):
        return _by_date(condition)
    if column == "s.patient_birth_date" and isinstance(condition, DateSpan):
        return _by_birth_date(condition)
    return _Narrowing(None, _expression(asked))


def _by(sql: str, *parameters: Any) -> _Narrowing:
    return _Narrowing((sql, parameters), None)


def _by_text(
    column: str, condition: Condition, *, fold_text: Callable[[str], str], also: str = "1"
) -> _Narrowing:
    """An exact value, or what begins as a pattern does; ``fold_text`` as the column was made."""
    if isinstance(condition, OneOf):
        marks = ", ".join("?" * len(condition.values))
        values = tuple(fold_text(value) for value in sorted(condition.values))
        return _by(f"SELECT s.id FROM study s WHERE {column} IN ({marks}) AND {also}", *values)
    if isinstance(condition, Wildcard):
        start = literal_start(condition.pattern, folded=fold_text is fold)
        if start:
            return _by(
                f"SELECT s.id FROM study s WHERE {column} >= ? AND {column} < ? AND {also}",
                start,
                start + _LAST,
            )
    return _Narrowing(None, (f"s.{column} <> ''", ()))


def _by_name(condition: PersonName) -> _Narrowing:
    """``sort_name`` is the folded name, all groups with a space between them.

    The group that fits may stand at its start, or be a later one of a name that has several.
    """
    parts = max((name_parts(group) for group in condition.groups), key=lambda p: len(p.start))
    if parts.start:
        return _by(
            "SELECT s.id FROM study s WHERE sort_name >= ? AND sort_name < ?"
            " UNION SELECT s.id FROM study s"
            " WHERE instr(patient_name, '=') > 0 AND instr(sort_name, ?)",
            parts.start,
            parts.start + _LAST,
            parts.start,
        )
    if parts.inside:
        return _Narrowing(None, _all_inside("s.sort_name", parts.inside))
    return _Narrowing(None, ("s.sort_name <> ''", ()))


def _by_date(condition: DateSpan) -> _Narrowing:
    """``sort_date`` is the date's digits and the time; empty where the date is none."""
    last = condition.last or "9"
    return _by(
        "SELECT s.id FROM study s WHERE sort_date >= ? AND sort_date < ?",
        condition.first or "0",
        last + ":",
    )


def _by_birth_date(condition: DateSpan) -> _Narrowing:
    """As stored: a single date is looked for in both forms, a range by its years."""
    if condition.first == condition.last:
        day = condition.first
        forms = (day, f"{day[:4]}.{day[4:6]}.{day[6:]}")
        return _by(
            "SELECT s.id FROM study s WHERE patient_birth_date IN (?, ?)"
            " AND patient_birth_date <> ''",
            *forms,
        )
    return _by(
        "SELECT s.id FROM study s WHERE patient_birth_date >= ? AND patient_birth_date < ?"
        " AND patient_birth_date <> ''",
        condition.first[:4] or "0",
        (condition.last[:4] or "9") + ":",
    )


def _expression(asked: AskedKey) -> Sql | None:
    """A condition on columns without an index of their own."""
    condition, key = asked.condition, asked.key
    if key.column.startswith("p.") or key.held in (Held.COUNT, Held.INTEGER):
        return None
    if isinstance(condition, OneOf):
        if key.held is Held.VALUES:
            found = " OR ".join(f"instr({key.column}, ?)" for _ in condition.values)
            return f"({found})", tuple(condition.values)
        return (
            f"{key.column} IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(condition.values)),),
        )
    if isinstance(condition, Wildcard):
        parts = literal_parts(condition.pattern)
        return _all_inside(key.column, parts) if parts else (f"{key.column} <> ''", ())
    return f"{key.column} <> ''", ()


def _all_inside(column: str, parts: Sequence[str]) -> Sql:
    return " AND ".join(f"instr({column}, ?)" for _ in parts), tuple(parts)


class RowReader:
    """Reads the rows of a query's answers: a text for each of its keys."""

    def __init__(self, query: FindQuery) -> None:
        columns = [_column(asked.key) for asked in query.keys]
        joined = " CROSS JOIN patient p ON p.id = s.patient" if _needs_patient(query.keys) else ""
        self.sql = (
            f"SELECT {', '.join(columns) or '1'} FROM json_each(?) k"
            f" CROSS JOIN {_FROM[query.level]}{joined}"
        )
        self._has_columns = bool(columns)
        self._tests = [
            (n, _test(asked.key, asked.condition))
            for n, asked in enumerate(query.keys)
            if asked.condition is not None
        ]

    def rows(self, reader: Reader, keys: Iterable[int]) -> list[tuple[str, ...]]:
        """The rows of these keys that match, in their order; removed ones are left out."""
        found = reader.all(self.sql, (json.dumps(list(keys)),))
        if not self._has_columns:
            return [()] * len(found)
        for n, test in self._tests:
            found = [row for row in found if test(row[n])]
        return found


def _needs_patient(keys: Iterable[AskedKey]) -> bool:
    return any(asked.key.column.startswith("p.") for asked in keys)


def _column(key: FindKey) -> str:
    if key.held is Held.COUNT:
        return f"CAST({key.column} AS TEXT)"
    if key.held is Held.INTEGER:
        return f"CASE {key.column} WHEN 0 THEN '' ELSE CAST({key.column} AS TEXT) END"
    return key.column


def _test(key: FindKey, condition: Condition) -> Callable[[str], bool]:
    if key.held is not Held.VALUES:
        return condition.fits
    whole = condition.fits if isinstance(condition, OneOf) else None

    def fits_any(text: str) -> bool:
        if whole is not None and whole(text):  # a key with a backslash is what is stored with one
            return True
        return any(condition.fits(value) for value in text.split("\\"))

    return fits_any
