"""The instances of a job, one row each: what is still to be done, and what became of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from tuipacs.domain.dimse_status import SUCCESS, WARNINGS
from tuipacs.domain.job import ItemState, JobItem, JobKind, JobPriority
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.store_status import item_words
from tuipacs.index import jobs
from tuipacs.index.database import Reader, Transaction

STATES = (ItemState.WAITING, ItemState.DONE, ItemState.WARNING, ItemState.FAILED)
_NUMBER = {state: number for number, state in enumerate(STATES)}
_MAX_COMMENT = 300  # characters
_DELIVERED = (SUCCESS, *WARNINGS)  # and 0xBxxx


class SendPayload(Struct, frozen=True, kw_only=True):
    """What a send job is to do beside its instances. ``commit``: ask for storage commitment."""

    commit: bool = False


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item. ``size``: bytes that went out for it.

    A waiting one is to be tried again; ``status`` and ``comment`` say why it had to be.
    """

    position: int
    state: ItemState
    status: int | None = None
    comment: str = ""
    size: int = 0


def add_send_job(
    tx: Transaction,
    *,
    node: NodeRecord,
    instances: Sequence[int],
    title: str,
    submitted_by: str,
    at: float,
    priority: int = JobPriority.NORMAL,
    commit: bool = False,
) -> int:
    """Queue the sending of instances, in this order, to a node; return the job's key.

    After the commit tell the runner: `JobRunner.wake`.
    """
    key = jobs.add(
        tx,
        JobKind.SEND,
        title,
        msgspec.json.encode(SendPayload(commit=commit)).decode(),
        submitted_by,
        at,
        node=node,
        priority=priority,
    )
    add_instances(tx, key, instances)
    return key


def add_instances(tx: Transaction, job: int, instances: Sequence[int]) -> None:
    """Give a job stored instances as its items, in this order; those that are gone are left out."""
    tx.execute(
        "INSERT INTO job_item (job, position, instance, sop_class_uid, sop_instance_uid)"
        " SELECT ?, e.key + 1, i.id, i.sop_class_uid, i.sop_instance_uid"
        " FROM json_each(?) e CROSS JOIN instance i ON i.id = e.value ORDER BY e.key",
        (job, json.dumps(list(instances))),
    )
    _count_total(tx, job)


def add_named(
    tx: Transaction, job: int, names: Sequence[tuple[str, str]], *, first: int = 1
) -> None:
    """Give a job instances that are not here as its items: (SOP Class, SOP Instance UID)."""
    tx.execute(
        "INSERT INTO job_item (job, position, instance, sop_class_uid, sop_instance_uid)"
        " SELECT ?, e.key + ?, 0, e.value ->> 0, e.value ->> 1 FROM json_each(?) e",
        (job, first, json.dumps(list(names))),
    )
    _count_total(tx, job)


def remove(tx: Transaction, job: int, positions: Sequence[int]) -> None:
    """Take items from a job, with what was counted of them."""
    tx.execute(
        "DELETE FROM job_item WHERE job = ? AND position IN (SELECT value FROM json_each(?))",
        (job, json.dumps(list(positions))),
    )
    _count(tx, job)
    _count_total(tx, job)


def _count_total(tx: Transaction, job: int) -> None:
    tx.execute(
        "UPDATE job SET total = (SELECT count(*) FROM job_item WHERE job = :job) WHERE id = :job",
        {"job": job},
    )


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item that is to be done."""

    position: int
    instance: int
    tries: int
    sop_class_uid: str
    sop_instance_uid: str


_WAITING = "SELECT position, instance, tries, sop_class_uid, sop_instance_uid FROM job_item"


def waiting(reader: Reader, job: int) -> list[WaitingItem]:
    """What is left to be done: what was tried least goes first, then in order.

    So an object that its peer chokes on does not stand in the way of all others.
    """
    sql = f"{_WAITING} WHERE job = ? AND state = 0 ORDER BY tries, position"
    return [WaitingItem(*row) for row in reader.execute(sql, (job,))]


def delivered(reader: Reader, job: int) -> list[WaitingItem]:
    """What was sent, by position."""
    sql = f"{_WAITING} WHERE job = ? AND state IN (1, 2) ORDER BY position"
    return [WaitingItem(*row) for row in reader.execute(sql, (job,))]


def note(tx: Transaction, job: int, outcomes: Sequence[ItemOutcome]) -> None:
    """Write what became of some items, and count it. Each is noted once while it waits."""
    for outcome in outcomes:
        tx.execute(
            "UPDATE job_item SET state = ?, status = ?, comment = ?, tries = tries + 1"
            " WHERE job = ? AND position = ?",
            (
                _NUMBER[outcome.state],
                outcome.status,
                outcome.comment[:_MAX_COMMENT],
                job,
                outcome.position,
            ),
        )
    ended = [outcome.state for outcome in outcomes if outcome.state is not ItemState.WAITING]
    tx.execute(
        "UPDATE job SET done = done + ?, warned = warned + ?, failed = failed + ?,"
        " bytes_done = bytes_done + ? WHERE id = ?",
        (
            len(ended),
            ended.count(ItemState.WARNING),
            ended.count(ItemState.FAILED),
            sum(outcome.size for outcome in outcomes),
            job,
        ),
    )


def give_up(tx: Transaction, job: int, comment: str) -> None:
    """What waits has failed: for the reason noted with it, or for this one."""
    tx.execute(
        "UPDATE job_item SET state = 3, comment = CASE WHEN status IS NULL AND comment = ''"
        " THEN ? ELSE comment END WHERE job = ? AND state = 0",
        (comment[:_MAX_COMMENT], job),
    )
    _count(tx, job)


def try_again(tx: Transaction, job: int) -> None:
    """What has failed waits again, and is tried no later than the rest."""
    restore_delivered(tx, job)
    tx.execute("UPDATE job_item SET state = 0, tries = 0 WHERE job = ? AND state IN (0, 3)", (job,))
    _count(tx, job)


def restore_delivered(tx: Transaction, job: int) -> None:
    """What a send job had delivered before it failed (it was not committed to) is delivered again.

    Its status says so, which is the peer's answer to the object itself.
    """
    marks = ", ".join("?" * len(_DELIVERED))
    tx.execute(
        "UPDATE job_item SET state = CASE WHEN status = 0 THEN 1 ELSE 2 END, comment = ''"
        f" WHERE job = ? AND state = 3 AND (status IN ({marks}) OR status BETWEEN ? AND ?)"
        " AND (SELECT kind FROM job WHERE id = job_item.job) = ?",
        (job, *_DELIVERED, 0xB000, 0xBFFF, JobKind.SEND.value),
    )
    _count(tx, job)


def not_committed(
    tx: Transaction, job: int, failed: Sequence[tuple[int, str]], resent: Sequence[tuple[int, str]]
) -> None:
    """Delivered items, (position, why), that the peer does not vouch for, or has lost."""
    for state, items in ((ItemState.FAILED, failed), (ItemState.WAITING, resent)):
        tx.execute(
            "UPDATE job_item SET state = ?, comment = e.value ->> 1 FROM json_each(?) e"
            " WHERE job = ? AND position = e.value ->> 0",
            (_NUMBER[state], json.dumps([(at, why[:_MAX_COMMENT]) for at, why in items]), job),
        )
    _count(tx, job)


def _count(tx: Transaction, job: int) -> None:
    """Count the ended items of a job anew; a job without items keeps its counts."""
    tx.execute(
        "UPDATE job SET (done, warned, failed) = (SELECT count(*) FILTER (WHERE state > 0),"
        " count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3)"
        " FROM job_item WHERE job = job.id)"
        " WHERE id = ? AND EXISTS (SELECT 1 FROM job_item WHERE job = job.id)",
        (job,),
    )


def counts(reader: Reader, job: int) -> dict[ItemState, int]:
    """How many items of a job are in each state."""
    found = dict.fromkeys(STATES, 0)
    sql = "SELECT state, count(*) FROM job_item WHERE job = ? GROUP BY state"
    for state, count in reader.execute(sql, (job,)):
        found[STATES[state]] = count
    return found


def page(
    reader: Reader, job: int, states: Sequence[ItemState], offset: int, limit: int
) -> tuple[tuple[JobItem, ...], int, int]:
    """(items of these states by position, or of any; how many there are of those, and in all)."""
    numbers = json.dumps([_NUMBER[state] for state in states or STATES])
    chosen = "job = :job AND state IN (SELECT value FROM json_each(:states))"
    named = {"job": job, "states": numbers, "offset": offset, "limit": limit}
    items = tuple(
        _item(row)
        for row in reader.execute(
            "SELECT position, sop_class_uid, sop_instance_uid, state, instance, status, comment"
            f" FROM job_item WHERE {chosen} ORDER BY position LIMIT :limit OFFSET :offset",
            named,
        )
    )
    count = f"SELECT count(*) FILTER (WHERE {chosen}), count(*) FROM job_item WHERE job = :job"
    matched, total = next(reader.execute(count, named))
    return items, matched, total


def _item(row: tuple[int, str, str, int, int, int | None, str]) -> JobItem:
    position, sop_class, sop_instance, state, instance, status, comment = row
    return JobItem(
        position=position,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        state=STATES[state],
        instance=instance,
        status=status,
        words=item_words(status, comment),
    )


@dataclass(frozen=True, slots=True)
class StudyCount:
    """How many instances of one study a job has sent, and how many it could not."""

    study: int
    study_instance_uid: str
    patient_id: str
    sent: int
    failed: int
    total: int


def by_study(reader: Reader, job: int) -> Iterator[StudyCount]:
    """The items of a job by the study that they are of; without those that are gone."""
    return (
        StudyCount(*row)
        for row in reader.execute(
            "SELECT st.id, st.study_instance_uid, p.patient_id,"
            " count(*) FILTER (WHERE j.state IN (1, 2)), count(*) FILTER (WHERE j.state = 3),"
            " count(*) FROM job_item j JOIN instance i ON i.id = j.instance"
            " JOIN series s ON s.id = i.series JOIN study st ON st.id = s.study"
            " JOIN patient p ON p.id = st.patient WHERE j.job = ? GROUP BY st.id ORDER BY st.id",
            (job,),
        )
    )
