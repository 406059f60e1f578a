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
    for table, key, new, mask in (
        ("series", series, news.series, flags),
        ("study", study, news.study, flags),
        ("patient", patient, news.patient, upward),
    ):
        tx.execute(
            f"UPDATE {table} SET instances = instances + ?, bytes = bytes + ?, received_at = ?,"
            " flags = flags | ? WHERE id = ?",
            (new, size, at, mask, key),
        )
    tx.execute(
        "UPDATE study_search SET received_at = ?, flags = flags | ? WHERE study = ?",
        (at, flags, study),
    )
    tx.execute("UPDATE total SET instances = instances + ?, bytes = bytes + ?", (news.total, size))
    tx.execute(
        "UPDATE modality_use SET instances = instances + ?, bytes = bytes + ? WHERE modality = ?",
        (news.series, size, modality),
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
