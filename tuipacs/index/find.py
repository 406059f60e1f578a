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

from tuipacs.domain.find import (
    ORDER,
    SERIES_UID_TAG,
    SOP_INSTANCE_UID_TAG,
    STUDY_UID_TAG,
    AskedKey,
    FindQuery,
    Held,
)
from tuipacs.domain.find_match import OneOf
from tuipacs.domain.level import Level
from tuipacs.index.database import Reader
from tuipacs.index.find_columns import (
    FIRST_VERSION,
    FROM,
    PATIENT_OF_STUDY,
    column,
    down_to,
    needs_patient,
)
from tuipacs.index.find_studies import Sql, conditions, patients, studies

_PIECE, _PIECE_BELOW = 1000, 50  # keys; with conditions below each may have many rows
_SERIES_PIECE = 20  # whose instances are gathered at a time


class Candidates:
    """The rows of the query's level that may match, in the order of the answers: pieces of keys.

    Patients and studies come newest first; series and instances by their number. Of an image query
    that names no series the series are gathered, and their instances as they are come to.
    """

    def __init__(self, reader: Reader, query: FindQuery) -> None:
        self._query = query
        self._of_series = query.level is Level.INSTANCE and not names_instances(query)
        sql, parameters = statement(reader, query)
        self._keys = array("q", (row[0] for row in reader.execute(sql, parameters)))
        if query.level in (Level.PATIENT, Level.STUDY):
            self._keys = array("q", sorted(self._keys, reverse=True))
        self._at = 0
        self._found = array("q")

    def next(self, reader: Reader, most: int) -> Sequence[int] | None:
        """At most ``most`` of them, perhaps none; None when there are no more."""
        if not self._of_series:
            return self._take(min(most, _PIECE_BELOW if self._query.below else _PIECE))
        if not self._found:
            some = self._take(_SERIES_PIECE)
            if some is None:
                return None
            self._found = _instances_of(reader, self._query, some)
        piece, self._found = self._found[:most], self._found[most:]
        return piece

    def _take(self, most: int) -> Sequence[int] | None:
        piece = self._keys[self._at : self._at + most]
        self._at += most
        return piece or None


def candidates(reader: Reader, query: FindQuery) -> array[int]:
    """All of them at once."""
    found = Candidates(reader, query)
    keys = array("q")
    while (piece := found.next(reader, _PIECE)) is not None:
        keys.extend(piece)
    return keys


def names_instances(query: FindQuery) -> bool:
    """Whether an image query's instances are looked up at once: few are named, or one series."""
    return not query.is_relational or isinstance(query.condition(SOP_INSTANCE_UID_TAG), OneOf)


def statement(reader: Reader, query: FindQuery) -> Sql:
    """The SQL of the keys that `Candidates` gathers."""
    if query.level is Level.PATIENT:
        return patients(reader, query)
    if query.level is Level.STUDY:
        return studies(reader, query)
    if query.level is Level.INSTANCE and names_instances(query):
        return _instances(query)
    return _series(reader, query)


def _series(reader: Reader, query: FindQuery) -> Sql:
    """Keys of series: of one study, of those that are named, or of the studies that may match."""
    if not query.is_relational:
        return (
            "SELECT r.id FROM study s CROSS JOIN series r ON r.study = s.id"
            " WHERE s.study_instance_uid = ? ORDER BY r.sort_number, r.id",
            (query.single_value(STUDY_UID_TAG),),
        )
    named = query.condition(SERIES_UID_TAG)
    if isinstance(named, OneOf):
        source = (
            "json_each(?) k CROSS JOIN series r ON r.series_instance_uid = k.value"
            " CROSS JOIN study s ON s.id = r.study"
        )
        given: tuple[object, ...] = (json.dumps(sorted(named.values)),)
    else:
        sql, given = studies(reader, query)
        source = (
            f"({sql}) k CROSS JOIN study s ON s.id = k.id CROSS JOIN series r ON r.study = s.id"
        )
    where, parameters = conditions((*query.keys, *query.below), "psr")
    return (
        f"SELECT r.id FROM {source} WHERE {where} ORDER BY s.id DESC, r.sort_number, r.id",
        (*given, *parameters),
    )


def _instances(query: FindQuery) -> Sql:
    """Keys of instances: those that are named, or those of one series."""
    named = query.condition(SOP_INSTANCE_UID_TAG)
    if isinstance(named, OneOf):
        source = (
            "json_each(?) k CROSS JOIN instance i ON i.sop_instance_uid = k.value"
            " CROSS JOIN series r ON r.id = i.series CROSS JOIN study s ON s.id = r.study"
        )
        given: tuple[object, ...] = (json.dumps(sorted(named.values)),)
    else:
        source = (
            "series r CROSS JOIN study s ON s.id = r.study CROSS JOIN instance i ON i.series = r.id"
        )
        given = ()
    if query.is_relational:
        where, parameters = conditions(query.keys, "psr")
    else:
        where = "r.series_instance_uid = ? AND s.study_instance_uid = ?"
        parameters = (query.single_value(SERIES_UID_TAG), query.single_value(STUDY_UID_TAG))
    order = "s.id DESC, r.sort_number, r.id, " if query.is_relational else ""
    return (
        f"SELECT i.id FROM {source} WHERE {where} AND {FIRST_VERSION}"
        f" ORDER BY {order}i.sort_number, i.id",
        (*given, *parameters),
    )


def _instances_of(reader: Reader, query: FindQuery, series: Sequence[int]) -> array[int]:
    where, parameters = conditions(query.keys, "i")
    sql = (
        "SELECT i.id FROM json_each(?) k CROSS JOIN instance i ON i.series = k.value"
        f" WHERE {where} AND {FIRST_VERSION} ORDER BY k.key, i.sort_number, i.id"
    )
    rows = reader.execute(sql, (json.dumps(list(series)), *parameters))
    return array("q", (row[0] for row in rows))


# What is read besides the keys where a header has to be looked into: the file, and what the index
# has of a series' request.
_EXTRA = {
    Level.INSTANCE: ("i.blob_key", "i.header_size", "i.transfer_syntax_uid"),
    Level.SERIES: (
        *("f.blob_key", "f.header_size", "f.transfer_syntax_uid"),
        *("r.requested_procedure_id", "r.scheduled_procedure_step_id"),
    ),
}
_FIRST_OBJECT = (
    " CROSS JOIN instance f ON f.id = (SELECT min(o.id) FROM instance o WHERE o.series = r.id)"
)


class RowReader:
    """Reads the rows of a query's answers: a text for each of its keys.

    With object keys each row has three columns more: key of the file, size of its header, transfer
    syntax; and at SERIES level two more, the IDs that the index has of the series' request.
    """

    def __init__(self, query: FindQuery) -> None:
        level, below = query.level, query.below
        deepest = max((level, *(asked.key.level for asked in below)), key=ORDER.index)
        extra = _EXTRA[level] if query.object_keys else ()
        answered = [*(column(asked.key, level) for asked in query.keys), *extra]
        asked_for = (*query.keys, *below)
        joined = FROM[level]
        if level is not Level.PATIENT and any(needs_patient(asked.key) for asked in asked_for):
            joined += PATIENT_OF_STUDY
        if query.object_keys and level is Level.SERIES:
            joined += _FIRST_OBJECT
        joined += down_to(level, deepest) if below else ""
        where, self._parameters = conditions(below, "sri")
        columns = [*answered, *(column(asked.key, deepest) for asked in below)]
        self.sql = (
            f"SELECT {', '.join(['k.key', *columns])} FROM json_each(?) k CROSS JOIN {joined}"
            f" WHERE {where}"
        )
        self._is_many = bool(below)  # rows for one key
        self._end = 1 + len(answered)
        places = [*range(1, 1 + len(query.keys)), *range(self._end, self._end + len(below))]
        self._tests = [
            (n, _test(asked))
            for n, asked in zip(places, asked_for, strict=True)
            if asked.condition is not None
        ]

    def rows(self, reader: Reader, keys: Iterable[int]) -> list[tuple[str, ...]]:
        """The rows of these keys that match, in their order; removed ones are left out."""
        found = reader.all(self.sql, (json.dumps(list(keys)), *self._parameters))
        for n, test in self._tests:
            found = [row for row in found if test(row[n])]
        if not self._is_many:
            return [row[1:] for row in found]
        first = {row[0]: row[1 : self._end] for row in reversed(found)}
        return [first[key] for key in sorted(first)]


def _test(asked: AskedKey) -> Callable[[str], bool]:
    if asked.condition is None:
        raise AssertionError("a key without a condition needs no test")
    return asked.fits if asked.key.held is Held.VALUES else asked.condition.fits
