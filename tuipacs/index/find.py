"""C-FIND on the tables: which rows may match, quickly, and then the rows themselves.

`candidates` asks SQLite for the keys of all rows that may match, driven by the one index that
leaves fewest. `RowReader` reads some of them at a time and lets only those out that do match, so
that no transaction lasts longer than one piece. Every condition in SQL is wider than the rule or
the same (`tuipacs.domain.find_match` has the rules): it can cost time, and never an answer.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable

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
    OneOf,
)
from tuipacs.domain.level import Level
from tuipacs.index.database import Reader
from tuipacs.index.find_studies import Sql, studies

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
        return studies(reader, query)
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
            (n, asked.condition.fits if asked.key.held is not Held.VALUES else asked.fits)
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
