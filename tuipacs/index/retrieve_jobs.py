"""The items of a retrieve job, by series: what the source has, and what of it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.job import ItemState
from tuipacs.index import job_items, jobs
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.job_items import ItemOutcome, WaitingItem

HERE_ALREADY = "there already"
_LISTED = b"listed"


@dataclass(frozen=True)
class ListedSeries:
    """A series at the source: its instances as (SOP Class UID or "", SOP Instance UID).

    ``is_whole``: they are all that it has of it. ``present``: those that the destination has.
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[tuple[str, str], ...]
    is_whole: bool
    present: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SeriesToDo:
    """What of one series is still to come; ``is_whole``: all of it, so the series can be named."""

    study_instance_uid: str
    series_instance_uid: str
    items: tuple[WaitingItem, ...]
    is_whole: bool


def is_listed(reader: Reader, job: int) -> bool:
    """Whether the source has been asked what it has."""
    return jobs.checkpoint(reader, job) == _LISTED


def put_list(tx: Transaction, job: int, series: Sequence[ListedSeries]) -> None:
    """Write what is to be retrieved. What the destination has is done at once."""
    job_items.add_named(tx, job, [name for each in series for name in each.instances])
    position = 1
    present = []
    for each in series:
        tx.execute(
            "INSERT INTO job_series (job, first, instances, is_whole, study_instance_uid,"
            " series_instance_uid) VALUES (?, ?, ?, ?, ?, ?)",
            (
                job,
                position,
                len(each.instances),
                each.is_whole,
                each.study_instance_uid,
                each.series_instance_uid,
            ),
        )
        for number, (_, uid) in enumerate(each.instances):
            if uid in each.present:
                present.append(ItemOutcome(position + number, ItemState.DONE, comment=HERE_ALREADY))
        position += len(each.instances)
    job_items.note(tx, job, present)
    jobs.update(tx, job, duplicate=len(present), checkpoint=_LISTED)


def to_do(reader: Reader, job: int) -> list[SeriesToDo]:
    """The series that are not complete: what was tried least first, then in order."""
    waiting: dict[int, list[WaitingItem]] = {}
    series = reader.all(
        "SELECT first, instances, is_whole, study_instance_uid, series_instance_uid"
        " FROM job_series WHERE job = ? ORDER BY first",
        (job,),
    )
    of_position = {first + n: first for first, count, *_ in series for n in range(count)}
    for item in job_items.waiting(reader, job):
        waiting.setdefault(of_position[item.position], []).append(item)
    named = {first: rest for first, *rest in series}
    return [
        SeriesToDo(
            study_instance_uid=named[first][2],
            series_instance_uid=named[first][3],
            items=tuple(items),
            is_whole=bool(named[first][1]) and len(items) == named[first][0],
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
