"""From keys and UIDs to keys and rows: children, parents, and what a UID names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuipacs.domain.level import Level
from tuipacs.domain.query import Term
from tuipacs.index import rows
from tuipacs.index.database import Reader
from tuipacs.index.search import series_condition
from tuipacs.schema.messages import ExportEntry, Shown

_SHOWN_INSTANCES = 100_000
_BATCH = 500
_INSTANCE_ORDER = "ORDER BY sort_number, id"
_SERIES_ORDER = "ORDER BY sort_number, id"


@dataclass(frozen=True)
class StoredObject:
    """Where one instance's bytes are, and whose they are."""

    key: int
    blob_key: str
    header_size: int
    header_sha256: bytes
    dataset_size: int
    dataset_sha256: bytes
    sop_instance_uid: str
    study_key: int
    study_instance_uid: str
    patient_id: str


def stored_object(reader: Reader, key: int) -> StoredObject | None:
    """The stored bytes of an instance."""
    row = reader.one(
        "SELECT i.id, i.blob_key, i.header_size, i.header_sha256, i.dataset_size,"
        " i.dataset_sha256, i.sop_instance_uid, st.id, st.study_instance_uid,"
        " p.patient_id FROM instance i JOIN series s ON s.id = i.series"
        " JOIN study st ON st.id = s.study JOIN patient p ON p.id = st.patient WHERE i.id = ?",
        (key,),
    )
    return None if row is None else StoredObject(*row)


def patient_id(reader: Reader, key: int) -> str | None:
    """The ID of a patient row; None if there is no such row."""
    found: str | None = reader.scalar("SELECT patient_id FROM patient WHERE id = ?", (key,))
    return found


def study_names(reader: Reader, key: int) -> tuple[str, str] | None:
    """(patient ID, Study Instance UID) of a study row."""
    row = reader.one(
        "SELECT p.patient_id, s.study_instance_uid FROM study s JOIN patient p ON p.id = s.patient"
        " WHERE s.id = ?",
        (key,),
    )
    return None if row is None else (row[0], row[1])


def series_keys(reader: Reader, study: int) -> list[int]:
    """Series of a study, by number."""
    return rows.keys_of(reader, f"SELECT id FROM series WHERE study = ? {_SERIES_ORDER}", (study,))


def instance_keys(reader: Reader, series: int, offset: int, limit: int) -> tuple[list[int], int]:
    """A page of the instances of a series, by number, and how many there are."""
    keys = rows.keys_of(
        reader,
        f"SELECT id FROM instance WHERE series = ? {_INSTANCE_ORDER} LIMIT ? OFFSET ?",
        (series, limit, offset),
    )
    total = reader.scalar("SELECT count(*) FROM instance WHERE series = ?", (series,))
    return keys, int(total)


def series_in(
    reader: Reader, studies: Sequence[int], terms: tuple[Term, ...], limit: int
) -> tuple[list[int], int]:
    """At most ``limit`` series of these studies in their order, and how many there are.

    Of the terms that chose the studies, the modality chooses among their series too (PS3.4 C.6).
    """
    return _below(reader, studies, "s.id FROM series s", "", terms, limit)


def instances_in(
    reader: Reader, studies: Sequence[int], terms: tuple[Term, ...], limit: int
) -> tuple[list[int], int]:
    """As `series_in`, for the instances of those series; all versions of each."""
    source = "i.id FROM instance i JOIN series s ON s.id = i.series"
    return _below(reader, studies, source, ", i.sort_number, i.id", terms, limit)


def _below(
    reader: Reader,
    studies: Sequence[int],
    source: str,
    order: str,
    terms: tuple[Term, ...],
    limit: int,
) -> tuple[list[int], int]:
    column, _, tables = source.partition(" FROM ")
    where, parameters = series_condition(terms)
    found: list[int] = []
    matched = 0
    for start in range(0, len(studies), _BATCH):
        batch = studies[start : start + _BATCH]
        marks = ", ".join("?" * len(batch))
        matched += reader.scalar(
            f"SELECT count(*) FROM {tables} WHERE s.study IN ({marks}) AND {where}",
            [*batch, *parameters],
        )
        for study in batch:
            if len(found) >= limit:
                break
            sql = (
                f"SELECT {column} FROM {tables} WHERE s.study = ? AND {where}"
                f" ORDER BY s.sort_number, s.id{order} LIMIT ?"
            )
            found.extend(rows.keys_of(reader, sql, [study, *parameters, limit - len(found)]))
    return found, matched


def show(reader: Reader, uid: str) -> Shown | None:
    """Rows that a study, series or SOP instance UID or a patient ID names, with their parents."""
    if studies := rows.keys_of(reader, "SELECT id FROM study WHERE study_instance_uid = ?", (uid,)):
        below = [key for study in studies for key in series_keys(reader, study)]
        return _shown(reader, Level.STUDY, studies, series=below)
    found = rows.keys_of(reader, "SELECT id FROM series WHERE series_instance_uid = ?", (uid,))
    if found:
        studies = [_parent(reader, "series", "study", key) for key in found]
        below = [key for one in found for key in instance_keys(reader, one, 0, _SHOWN_INSTANCES)[0]]
        return _shown(reader, Level.SERIES, studies, series=found, instances=below)
    instances = rows.keys_of(
        reader, "SELECT id FROM instance WHERE sop_instance_uid = ? ORDER BY version", (uid,)
    )
    if instances:
        found = _distinct(_parent(reader, "instance", "series", key) for key in instances)
        studies = [_parent(reader, "series", "study", key) for key in found]
        return _shown(reader, Level.INSTANCE, studies, series=found, instances=instances)
    patients = rows.keys_of(
        reader, "SELECT id FROM patient WHERE patient_id = ? AND patient_id <> ''", (uid,)
    )
    if not patients:
        return None
    studies = [
        key
        for patient in patients
        for key in rows.keys_of(
            reader, "SELECT id FROM study WHERE patient = ? ORDER BY sort_date DESC", (patient,)
        )
    ]
    return _shown(reader, Level.PATIENT, studies)


def _shown(
    reader: Reader,
    level: Level,
    studies: Sequence[int],
    *,
    series: Sequence[int] = (),
    instances: Sequence[int] = (),
) -> Shown:
    studies = _distinct(studies)
    study_rows = rows.studies(reader, studies)
    patients = _distinct(study.patient_key for study in study_rows)
    return Shown(
        level=level,
        patients=rows.patients(reader, patients),
        studies=study_rows,
        series=rows.series(reader, series),
        instances=rows.instances(reader, instances),
    )


def _parent(reader: Reader, table: str, column: str, key: int) -> int:
    return int(reader.scalar(f"SELECT {column} FROM {table} WHERE id = ?", (key,)))


def _distinct(keys: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(keys))


def export_entries(reader: Reader, uid: str) -> list[ExportEntry]:
    """All objects below a study, series or SOP instance UID, in order."""
    return [
        ExportEntry(
            key=row[0],
            study_key=row[1],
            series_key=row[2],
            sop_instance_uid=row[3],
            size_bytes=row[4],
        )
        for row in reader.execute(
            "SELECT i.id, s.study, s.id, i.sop_instance_uid, i.header_size + i.dataset_size"
            " FROM instance i JOIN series s ON s.id = i.series JOIN study st ON st.id = s.study"
            " WHERE i.id IN (SELECT id FROM instance WHERE sop_instance_uid = :uid"
            " UNION SELECT id FROM instance WHERE series IN"
            "  (SELECT id FROM series WHERE series_instance_uid = :uid)"
            " UNION SELECT id FROM instance WHERE series IN (SELECT r.id FROM series r"
            "  JOIN study t ON t.id = r.study WHERE t.study_instance_uid = :uid))"
            " ORDER BY s.study, s.sort_number, s.id, i.sort_number, i.id",
            {"uid": uid},
        )
    ]


def representative(reader: Reader, level: Level, key: int) -> tuple[int, int, int] | None:
    """(instance, position from 1, count) that stands for a row; None if it has no objects.

    The middle image of the largest series with images; without images the first object.
    """
    if level is Level.INSTANCE:
        series = reader.scalar("SELECT series FROM instance WHERE id = ?", (key,))
    elif level is Level.SERIES:
        series = key
    else:
        above = "s.study = ?" if level is Level.STUDY else "st.patient = ?"
        series = reader.scalar(
            "SELECT s.id FROM series s JOIN study st ON st.id = s.study"
            f" WHERE {above} ORDER BY (SELECT rows > 0 FROM instance WHERE series = s.id"
            " ORDER BY sort_number, id LIMIT 1) DESC, st.sort_date DESC, s.instances DESC, s.id"
            " LIMIT 1",
            (key,),
        )
    if series is None:
        return None
    keys = rows.keys_of(
        reader,
        f"SELECT id FROM instance WHERE series = ? {_INSTANCE_ORDER}",
        (series,),
    )
    if not keys:
        return None
    place = keys.index(key) if level is Level.INSTANCE else len(keys) // 2
    return keys[place], place + 1, len(keys)
