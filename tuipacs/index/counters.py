"""What is kept up to date above the objects: counts, times, modalities and flags."""

from __future__ import annotations

from typing import NamedTuple

from tuipacs.domain.records import Flag
from tuipacs.index.database import Transaction
from tuipacs.index.flags import BIT


class News(NamedTuple):
    """1 where a SOP Instance UID is new, 0 where another version of it is counted already."""

    patient: int
    study: int
    series: int
    total: int


ALL_NEW = News(1, 1, 1, 1)
NOTHING_NEW = News(0, 0, 0, 0)


def news_to(tx: Transaction, sop_instance_uid: str, above: tuple[int, int, int]) -> News:
    """Counts are of SOP instances, not of the versions that are kept (PS3.4 C.3.4)."""
    places = tx.all(
        "SELECT st.patient, s.study, s.id FROM instance i JOIN series s ON s.id = i.series"
        " JOIN study st ON st.id = s.study WHERE i.sop_instance_uid = ?",
        (sop_instance_uid,),
    )
    known = [{place[level] for place in places} for level in range(3)]
    patient, study, series = (int(key not in keys) for key, keys in zip(above, known, strict=True))
    return News(patient, study, series, int(not places))


_COUNT = "SET instances = instances + ?, bytes = bytes + ?"
_COUNT_AND_FLAG = f"{_COUNT}, flags = flags | ? WHERE id = ?;"
_COUNT_ALL = (  # one call into SQLite; each cell it names is a column that no index has
    f"UPDATE series {_COUNT}, received_at = ?, flags = flags | ? WHERE id = ?;"
    f"UPDATE study {_COUNT_AND_FLAG} UPDATE patient {_COUNT_AND_FLAG}"
    f"UPDATE modality_use {_COUNT} WHERE modality = ?; UPDATE total {_COUNT}"
)


def count(
    tx: Transaction,
    above: tuple[int, int, int],
    news: News,
    *,
    flags: int,
    size: int,
    modality: str,
    at: float,
) -> None:
    """Count one object of ``size`` bytes in its patient, study and series (the keys ``above``)."""
    patient, study, series = above
    upward = flags & ~BIT[Flag.REMARK]  # an odd header is news of the study, not of the person
    tx.execute(
        _COUNT_ALL,
        (
            *(news.series, size, at, flags, series),
            *(news.study, size, flags, study),
            *(news.patient, size, upward, patient),
            *(news.series, size, modality),
            *(news.total, size),
        ),
    )
    if flags:
        tx.execute("UPDATE study_search SET flags = flags | ? WHERE study = ?", (flags, study))


def to_the_second(at: float) -> float:
    """When a study or patient last received something.

    Orders stand on it, so that each new value costs pages of indexes: once a second is enough.
    """
    return float(int(at))


def note_time(tx: Transaction, patient: int, study: int, second: float) -> None:
    """A study and its patient have received something in another second than before."""
    tx.execute(
        "UPDATE study SET received_at = ? WHERE id = ?;"
        "UPDATE patient SET received_at = ? WHERE id = ?;"
        "UPDATE study_search SET received_at = ? WHERE study = ?",
        (second, study, second, patient, second, study),
    )


def note_modality(tx: Transaction, table: str, key: int, before: str, modality: str) -> str:
    """Add a modality to a row's set; return the new set, or "" if it was in."""
    present = set(before.split("\\")) - {""}
    if not modality or modality in present:
        return ""
    merged = "\\".join(sorted(present | {modality}))
    tx.execute(f"UPDATE {table} SET modalities = ? WHERE id = ?", (merged, key))
    return merged


def flag_study(tx: Transaction, study: int, bit: int, *, series: int = 0) -> None:
    """Flag a study and its patient; the change names the ``series`` whose doing it is, if any."""
    tx.execute("UPDATE study SET flags = flags | ? WHERE id = ?", (bit, study))
    tx.execute("UPDATE study_search SET flags = flags | ? WHERE study = ?", (bit, study))
    tx.execute(
        "UPDATE patient SET flags = flags | ? WHERE id = (SELECT patient FROM study WHERE id = ?)",
        (bit, study),
    )
    tx.execute(
        "INSERT INTO change (at, kind, patient, study, series, instance)"
        " SELECT received_at, 'flagged', patient, id, ?, 0 FROM study WHERE id = ?",
        (series, study),
    )


def flag_versions(tx: Transaction, sop_instance_uid: str) -> None:
    """Flag all versions of one SOP Instance UID and the rows above them."""
    bit = BIT[Flag.CONFLICT]
    tx.execute(
        "UPDATE instance SET flags = flags | ? WHERE sop_instance_uid = ?", (bit, sop_instance_uid)
    )
    rows = tx.all(
        "SELECT DISTINCT s.id, s.study FROM instance i JOIN series s ON s.id = i.series"
        " WHERE i.sop_instance_uid = ?",
        (sop_instance_uid,),
    )
    for series, study in rows:
        tx.execute("UPDATE series SET flags = flags | ? WHERE id = ?", (bit, series))
        flag_study(tx, study, bit, series=series)
