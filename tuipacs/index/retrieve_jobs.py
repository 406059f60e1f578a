"""The items of a retrieve job, by series: what the source has, and what of it has come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from tuipacs.domain.ingest import UNSAID, SaidPatient
from tuipacs.domain.job import ItemState
from tuipacs.index import job_items, jobs
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.job_items import ItemOutcome, WaitingItem

HERE_ALREADY = "there already"
_UNNAMED = -1  # as the instance of an item that cannot be asked for


@dataclass(frozen=True)
class Unnamed:
    """What the source lists and nobody can ask it for, or does not list; ``uid`` is clean or "".

    ``is_absent``: it is not there.
    """

    uid: str
    why: str
    is_absent: bool = False


@dataclass(frozen=True)
class ListedSeries:
    """A series at the source: its instances as (SOP Class UID or "", SOP Instance UID).

    ``is_whole``: they are all that it has of it. ``present``: those that the destination has.
    What cannot be named has failed at once; of a series that cannot, ``series_instance_uid`` is "".
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[tuple[str, str], ...] = ()
    is_whole: bool = False
    present: frozenset[str] = frozenset()
    unnamed: tuple[Unnamed, ...] = ()
    patient: SaidPatient = UNSAID


@dataclass(frozen=True)
class SeriesToDo:
    """What of one series is still to come; ``is_whole``: all of it, so the series can be named."""

    study_instance_uid: str
    series_instance_uid: str
    items: tuple[WaitingItem, ...]
    is_whole: bool
    patient: SaidPatient = UNSAID


def to_list(reader: Reader, job: int) -> tuple[str, ...] | None:
    """The studies that the source is to be asked about once more; None if it was never asked.

    They are those whose lists had gaps, and those of what could not be named, when it is retried.
    """
    checkpoint = jobs.checkpoint(reader, job)
    if not checkpoint:
        return None
    retried = reader.all(
        "SELECT DISTINCT s.study_instance_uid FROM job_item i JOIN job_series s ON s.job = i.job"
        " AND i.position BETWEEN s.first AND s.first + s.instances - 1"
        " WHERE i.job = ? AND i.state = 0 AND i.instance = ?",
        (job, _UNNAMED),
    )
    open_ = msgspec.json.decode(checkpoint, type=tuple[str, ...])
    return tuple(dict.fromkeys((*open_, *(study for (study,) in retried))))


def named(reader: Reader, job: int) -> frozenset[str]:
    """The SOP instances that the job is held to so far."""
    sql = "SELECT sop_instance_uid FROM job_item WHERE job = ? AND instance <> ?"
    return frozenset(uid for (uid,) in reader.execute(sql, (job, _UNNAMED)))


def put_list(
    tx: Transaction,
    job: int,
    series: Sequence[ListedSeries],
    *,
    again: Collection[str] = (),
    still: Sequence[str] = (),
) -> None:
    """Write what is to be retrieved, behind what was listed before.

    What the destination has is done at once. ``again``: the studies that were listed before;
    ``still``: those that have to be once more, in this order.
    """
    _forget_unnamed(tx, job, again)
    position = first = _behind(tx, job)
    job_items.add_named(
        tx,
        job,
        [
            name
            for each in series
            for name in (*each.instances, *(("", unnamed.uid) for unnamed in each.unnamed))
        ],
        first=first,
    )
    noted = []
    already = 0
    for each in series:
        count = len(each.instances) + len(each.unnamed)
        tx.execute(
            "INSERT INTO job_series (job, first, instances, is_whole, study_instance_uid,"
            " series_instance_uid, patient_id, issuer_of_patient_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job,
                position,
                count,
                each.is_whole,
                each.study_instance_uid,
                each.series_instance_uid,
                each.patient.patient_id,
                each.patient.issuer_of_patient_id,
            ),
        )
        for number, (_, uid) in enumerate(each.instances, position):
            if uid in each.present:
                noted.append(ItemOutcome(number, ItemState.DONE, comment=HERE_ALREADY))
                already += 1
        for number, unnamed in enumerate(each.unnamed, position + len(each.instances)):
            noted.append(ItemOutcome(number, ItemState.FAILED, comment=unnamed.why))
            tx.execute(
                "UPDATE job_item SET instance = ? WHERE job = ? AND position = ?",
                (_UNNAMED, job, number),
            )
        position += count
    job_items.note(tx, job, noted)
    tx.execute("UPDATE job SET duplicate = duplicate + ? WHERE id = ?", (already, job))
    jobs.update(tx, job, checkpoint=msgspec.json.encode(tuple(still)))


def _behind(tx: Transaction, job: int) -> int:
    """The position behind all that was ever given."""
    sql = "SELECT coalesce(max(first + instances), 1) FROM job_series WHERE job = ?"
    return int(tx.scalar(sql, (job,)))


def _forget_unnamed(tx: Transaction, job: int, studies: Collection[str]) -> None:
    """Before they are listed again."""
    found = tx.all(
        "SELECT i.position, s.study_instance_uid FROM job_item i JOIN job_series s"
        " ON s.job = i.job AND i.position BETWEEN s.first AND s.first + s.instances - 1"
        " WHERE i.job = ? AND i.instance = ?",
        (job, _UNNAMED),
    )
    gone = [position for position, study in found if study in studies]
    if gone:
        job_items.remove(tx, job, gone)


def to_do(reader: Reader, job: int) -> list[SeriesToDo]:
    """The series that are not complete: what was tried least first, then in order."""
    waiting: dict[int, list[WaitingItem]] = {}
    series = reader.all(
        "SELECT first, instances, is_whole, study_instance_uid, series_instance_uid, patient_id,"
        " issuer_of_patient_id FROM job_series WHERE job = ? ORDER BY first",
        (job,),
    )
    of_position = {first + n: first for first, count, *_ in series for n in range(count)}
    for item in job_items.waiting(reader, job):
        if item.instance == _UNNAMED:
            continue
        waiting.setdefault(of_position[item.position], []).append(item)
    named = {first: rest for first, *rest in series}
    return [
        SeriesToDo(
            study_instance_uid=named[first][2],
            series_instance_uid=named[first][3],
            items=tuple(items),
            is_whole=bool(named[first][1]) and len(items) == named[first][0],
            patient=SaidPatient(named[first][4], named[first][5]),
        )
        for first, items in waiting.items()
    ]


def note(tx: Transaction, job: int, outcomes: Sequence[ItemOutcome], *, already: int = 0) -> None:
    """Write what became of some items; ``already`` of them had been there."""
    job_items.note(tx, job, outcomes)
    come = sum(o.state in (ItemState.DONE, ItemState.WARNING) for o in outcomes) - already
    tx.execute(
        "UPDATE job SET stored = stored + ?, duplicate = duplicate + ? WHERE id = ?",
        (come, already, job),
    )
