"""What is sent to others: which instances, in which order, and where their bytes are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tuipacs.domain.level import Level
from tuipacs.index.database import Reader

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One instance as a sender needs it. The UIDs are the dataset's own."""

    key: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    blob_key: str
    header_size: int
    dataset_size: int
    dataset_sha256: bytes
    frames: int


@dataclass(frozen=True, slots=True)
class Load:
    """What so many instances come to: (SOP class, transfer syntax) pairs, bytes of datasets."""

    pairs: tuple[tuple[str, str], ...]
    size: int
    count: int


def named(
    reader: Reader,
    *,
    patients: Sequence[int] | None = None,
    studies: Sequence[str] = (),
    series: Sequence[str] = (),
    instances: Sequence[str] = (),
) -> list[int]:
    """Keys of the instances that these name, in the order to send them in.

    ``patients`` are keys of rows, the others UIDs. Every list that is given restricts, and its
    values are alternatives; none at all names nothing. Of several versions of one SOP instance in
    a study the first is named, as C-FIND answers. The same UID in another study is another object,
    maybe of another patient, and is named too: see `repeated_uid`.
    """
    conditions, parameters = [], []
    for column, values in (
        ("st.patient", patients),
        ("st.study_instance_uid", studies or None),
        ("s.series_instance_uid", series or None),
        ("i.sop_instance_uid", instances or None),
    ):
        if values is not None:
            conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
            parameters.append(json.dumps(list(values)))
    if not conditions:
        return []
    return _first_versions(reader, " AND ".join(conditions), parameters)


_ROW = {
    Level.PATIENT: "st.patient",
    Level.STUDY: "st.id",
    Level.SERIES: "s.id",
    Level.INSTANCE: "i.id",
}


def of_row(reader: Reader, level: Level, key: int) -> list[int]:
    """Keys of the instances of one row, in the order to send them in, first versions only.

    Of an instance its very own version.
    """
    return _first_versions(reader, f"{_ROW[level]} = ?", (key,))


def _first_versions(reader: Reader, condition: str, parameters: Sequence[object]) -> list[int]:
    """Keys in the order to send them in; of each SOP instance of a study the first version's."""
    found: dict[tuple[int, str], tuple[int, int]] = {}  # study, SOP Instance UID: version, key
    for key, uid, version, study in reader.execute(
        "SELECT i.id, i.sop_instance_uid, i.version, st.id FROM study st"
        " JOIN series s ON s.study = st.id JOIN instance i ON i.series = s.id"
        f" WHERE {condition} ORDER BY st.id, s.sort_number, s.id, i.sort_number, i.id",
        parameters,
    ):
        before = found.get((study, uid))
        if before is None or version < before[0]:
            found[study, uid] = version, key
    return [key for _, key in found.values()]


def repeated_uid(reader: Reader, keys: Sequence[int]) -> str:
    """A SOP Instance UID that more than one of these instances has; empty if there is none.

    A receiver, and a report on storage commitment, cannot tell such two apart.
    """
    seen: set[str] = set()
    for batch in _batches(keys):
        for (uid,) in reader.execute(
            "SELECT sop_instance_uid FROM instance WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(batch),),
        ):
            if uid in seen:
                return str(uid)
            seen.add(uid)
    return ""


def study_uids(reader: Reader, keys: Sequence[int]) -> tuple[str, ...]:
    """The Study Instance UIDs of these instances, each once."""
    return tuple(dict.fromkeys(_studies(reader, keys).values()))


def shared_study_uid(reader: Reader, keys: Sequence[int]) -> str:
    """A Study Instance UID under which these instances are of several patients; else empty."""
    seen: set[str] = set()
    for uid in _studies(reader, keys).values():
        if uid in seen:
            return uid
        seen.add(uid)
    return ""


def _studies(reader: Reader, keys: Sequence[int]) -> dict[int, str]:
    """Row key to Study Instance UID of the studies that these instances are in."""
    found: dict[int, str] = {}
    for batch in _batches(keys):
        found.update(
            reader.execute(
                "SELECT DISTINCT st.id, st.study_instance_uid FROM instance i"
                " JOIN series s ON s.id = i.series JOIN study st ON st.id = s.study"
                " WHERE i.id IN (SELECT value FROM json_each(?)) ORDER BY st.id",
                (json.dumps(batch),),
            )
        )
    return found


def load(reader: Reader, keys: Sequence[int]) -> Load:
    """What these instances come to; keys that are gone count nothing."""
    pairs: dict[tuple[str, str], None] = {}
    size = count = 0
    for batch in _batches(keys):
        for sop_class, syntax, number, total in reader.execute(
            "SELECT sop_class_uid, transfer_syntax_uid, count(*), sum(dataset_size) FROM instance"
            " WHERE id IN (SELECT value FROM json_each(?)) GROUP BY 1, 2 ORDER BY min(id)",
            (json.dumps(batch),),
        ):
            pairs[sop_class, syntax] = None
            size += total
            count += number
    return Load(tuple(pairs), size, count)


def outgoing(reader: Reader, keys: Sequence[int]) -> dict[int, Outgoing]:
    """Instances by key; those that are gone are left out."""
    return {
        row[0]: Outgoing(*row)
        for row in reader.execute(
            "SELECT id, sop_class_uid, sop_instance_uid, transfer_syntax_uid, blob_key,"
            " header_size, dataset_size, dataset_sha256, number_of_frames FROM instance"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(keys)),),
        )
    }


def _batches(keys: Iterable[int]) -> Iterator[list[int]]:
    listed = list(keys)
    for start in range(0, len(listed), _BATCH):
        yield listed[start : start + _BATCH]
