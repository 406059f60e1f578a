"""Pages of patients and studies, and where a row stands in them.

Without a filter an index gives the order; with one, ``study_search`` is scanned once. Both stay
under 50 ms with 1,000,000 instances (docs/adr/0002 has the plans).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuipacs.domain.level import Level
from tuipacs.domain.query import SortKey, Term
from tuipacs.domain.system import ModalityUse, Totals
from tuipacs.index.database import Reader
from tuipacs.index.search import condition

_COLUMN = {
    SortKey.RECEIVED: "received_at",
    SortKey.DATE: "sort_date",
    SortKey.NAME: "sort_name",
    SortKey.ID: "sort_id",
}
_SEARCH_COLUMN = _COLUMN | {SortKey.NAME: "name", SortKey.ID: "patient_id"}


def totals(reader: Reader) -> Totals:
    """The counters of the whole archive."""
    row = reader.one("SELECT patients, studies, series, instances, bytes FROM total")
    if row is None:
        raise AssertionError("the archive has lost its counters")
    return Totals(
        patients=row[0], studies=row[1], series=row[2], instances=row[3], size_bytes=row[4]
    )


def modality_use(reader: Reader) -> tuple[ModalityUse, ...]:
    """Use by modality, largest first."""
    return tuple(
        ModalityUse(modality=row[0], series=row[1], instances=row[2], size_bytes=row[3])
        for row in reader.execute(
            "SELECT modality, series, instances, bytes FROM modality_use ORDER BY bytes DESC"
        )
    )


def page(
    reader: Reader,
    level: Level,
    terms: tuple[Term, ...],
    sort: SortKey,
    *,
    descending: bool,
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    """Keys of one page of patients or studies, and how many match in all."""
    table = level.value
    if not terms:
        return _plain(reader, table, sort, descending, offset, limit)
    matches, parameters = _MATCHING[table](terms, sort)
    return _counted(reader, matches, parameters, descending, offset, limit)


def position(
    reader: Reader,
    level: Level,
    key: int,
    terms: tuple[Term, ...],
    sort: SortKey,
    *,
    descending: bool,
) -> int | None:
    """How many patients or studies come before ``key``; None if it is not among them."""
    table = level.value
    if terms:
        matches, parameters = _MATCHING[table](terms, sort)
    else:
        matches, parameters = f"SELECT id, {_COLUMN[sort]} AS k FROM {table}", []
    own = reader.scalar(f"SELECT k FROM ({matches}) WHERE id = ?", [*parameters, key])
    if own is None:
        return None
    before = ">" if descending else "<"
    return int(
        reader.scalar(
            f"SELECT count(*) FROM ({matches}) WHERE (k, id) {before} (?, ?)",
            [*parameters, own, key],
        )
    )


def study_keys_of(reader: Reader, patient: int, terms: tuple[Term, ...]) -> list[int]:
    """Keys of a patient's studies that match, newest first."""
    where, parameters = condition(terms)
    found = reader.execute(
        f"SELECT study FROM study_search WHERE study IN (SELECT id FROM study WHERE patient = ?)"
        f" AND {where} ORDER BY sort_date DESC, study DESC",
        [patient, *parameters],
    )
    return [row[0] for row in found]


def matching_study_keys(reader: Reader, terms: tuple[Term, ...]) -> list[int]:
    """Keys of all studies that match, newest received first."""
    where, parameters = condition(terms)
    found = reader.execute(
        f"SELECT study FROM study_search WHERE {where} ORDER BY received_at DESC, study DESC",
        parameters,
    )
    return [row[0] for row in found]


def _plain(
    reader: Reader, table: str, sort: SortKey, descending: bool, offset: int, limit: int
) -> tuple[list[int], int]:
    direction = "DESC" if descending else "ASC"
    found = reader.execute(
        f"SELECT id FROM {table} ORDER BY {_COLUMN[sort]} {direction}, id {direction}"
        " LIMIT ? OFFSET ?",
        (limit, offset),
    )
    keys = [row[0] for row in found]
    everything = totals(reader)
    return keys, everything.patients if table == "patient" else everything.studies


def _counted(
    reader: Reader,
    matches: str,
    parameters: list[Any],
    descending: bool,
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    direction = "DESC" if descending else "ASC"
    found = reader.all(
        f"SELECT id, count(*) OVER () FROM ({matches}) ORDER BY k {direction}, id {direction}"
        " LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    )
    if found:
        return [row[0] for row in found], found[0][1]
    count = reader.scalar(f"SELECT count(*) FROM ({matches})", parameters) if offset else 0
    return [], int(count)


def _matching_patients(terms: tuple[Term, ...], sort: SortKey) -> tuple[str, list[Any]]:
    """A patient stands where the matching study stands that comes first in descending order."""
    where, parameters = condition(terms)
    return (
        f"SELECT patient AS id, max({_SEARCH_COLUMN[sort]}) AS k FROM study_search"
        f" WHERE {where} GROUP BY patient",
        parameters,
    )


def _matching_studies(terms: tuple[Term, ...], sort: SortKey) -> tuple[str, list[Any]]:
    where, parameters = condition(terms)
    columns = f"study AS id, {_SEARCH_COLUMN[sort]} AS k"
    return f"SELECT {columns} FROM study_search WHERE {where}", parameters


_MATCHING: dict[str, Callable[[tuple[Term, ...], SortKey], tuple[str, list[Any]]]] = {
    "patient": _matching_patients,
    "study": _matching_studies,
}
