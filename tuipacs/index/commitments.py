"""Storage commitment in the index: transactions, and what we ask of other nodes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.commitment import (
    COMMITTED,
    PASSED_OVER,
    AskedState,
    Failed,
    Reference,
    StudyCommitment,
    TakenState,
)
from tuipacs.index.database import Reader, Row, Transaction

COLUMNS = (
    "id, node, node_title, transaction_uid, state, job, created_at, attempts, message, list_sha256"
)
OURS, THEIRS = 1, 0

# Of item i of transaction c of ours, which was committed: whether that counts still. Whatever the
# same node has refused since it was asked may have been looked at later, or the other way round.
_STANDS = (
    "i.outcome = 0 AND c.asked_by_us = 1 AND c.node > 0 AND NOT EXISTS (SELECT 1"
    " FROM commitment_item r JOIN commitment q ON q.id = r.commitment"
    " WHERE r.sop_instance_uid = i.sop_instance_uid AND r.instance > 0 AND r.outcome <> 0"
    " AND q.asked_by_us = 1 AND q.node = c.node AND q.refused_until >= c.id)"
)


@dataclass(frozen=True, slots=True)
class Commitment:
    """One transaction. ``list_sha256``: of what a node asks about."""

    key: int
    node: int
    node_title: str
    transaction_uid: str
    state: str
    job: int
    created_at: float
    attempts: int
    message: str
    list_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a transaction."""

    position: int
    instance: int
    sop_class_uid: str
    sop_instance_uid: str
    outcome: int | None


def items(reader: Reader, key: int) -> list[Item]:
    """The objects of a transaction, in order."""
    return [
        Item(*row)
        for row in reader.execute(
            "SELECT position, instance, sop_class_uid, sop_instance_uid, outcome"
            " FROM commitment_item WHERE commitment = ? ORDER BY position",
            (key,),
        )
    ]


def get(reader: Reader, key: int) -> Commitment | None:
    """One transaction."""
    row = reader.one(f"SELECT {COLUMNS} FROM commitment WHERE id = ?", (key,))
    return None if row is None else Commitment(*row)


def find(reader: Reader, asked_by_us: int, node: int, transaction_uid: str) -> Commitment | None:
    """The transaction of this UID with a node; ``asked_by_us``: OURS or THEIRS."""
    row = reader.one(
        f"SELECT {COLUMNS} FROM commitment WHERE node = ? AND asked_by_us = ?"
        " AND transaction_uid = ?",
        (node, asked_by_us, transaction_uid),
    )
    return None if row is None else Commitment(*row)


def set_outcomes(tx: Transaction, key: int, outcomes: Sequence[tuple[int, int]]) -> None:
    """Write the outcomes of all objects of a transaction, by position; nearly always they agree."""
    usual = Counter(outcome for _, outcome in outcomes).most_common(1)[0][0]
    tx.execute("UPDATE commitment_item SET outcome = ? WHERE commitment = ?", (usual, key))
    sql = "UPDATE commitment_item SET outcome = ? WHERE commitment = ? AND position = ?"
    for position, outcome in outcomes:
        if outcome != usual:
            tx.execute(sql, (outcome, key, position))


def ask(
    tx: Transaction,
    node: int,
    node_title: str,
    transaction_uid: str,
    instances: Sequence[tuple[int, str, str]],
    job: int,
    at: float,
) -> int:
    """Note what is about to be asked: (instance, SOP Class, SOP Instance UID); return its key."""
    key = add(tx, OURS, node, node_title, transaction_uid, AskedState.ASKING, at, None, job)
    tx.execute(
        "INSERT INTO commitment_item (commitment, position, instance, sop_class_uid,"
        " sop_instance_uid) SELECT ?, key + 1, value ->> 0, value ->> 1, value ->> 2"
        " FROM json_each(?)",
        (key, json.dumps(list(instances))),
    )
    return key


def asked(reader: Reader, node: int, transaction_uid: str) -> Commitment | None:
    """What we asked a node under this UID."""
    return find(reader, OURS, node, transaction_uid)


def asked_of_others(reader: Reader, node: int, transaction_uid: str) -> bool:
    """Whether we asked another node under this UID."""
    sql = "SELECT 1 FROM commitment WHERE transaction_uid = ? AND asked_by_us = 1 AND node <> ?"
    return reader.one(sql, (transaction_uid, node)) is not None


def of_job(reader: Reader, job: int) -> list[Commitment]:
    """The transactions of a job with its node as that is now, oldest first."""
    sql = (
        f"SELECT {COLUMNS} FROM commitment"
        " WHERE job = ? AND asked_by_us = 1 AND node > 0 ORDER BY id"
    )
    return [Commitment(*row) for row in reader.execute(sql, (job,))]


def set_state(
    tx: Transaction, key: int, state: AskedState, *, unless: AskedState | None = None
) -> None:
    """Move a transaction of ours on; ``unless`` it is in that state meanwhile."""
    tx.execute(
        "UPDATE commitment SET state = ? WHERE id = ? AND state <> ?",
        (state.value, key, unless.value if unless else ""),
    )


def take_report(
    tx: Transaction, key: int, committed: Sequence[Reference], failed: Sequence[Failed], at: float
) -> tuple[int, int, int]:
    """Write a node's report; return how many of ours it committed to, not, and others it names.

    Only what it names with the very SOP class that we asked for is committed, and what it names
    as failed too is not. What it passes over is not, either. A later report takes back, and gives
    nothing more for what an earlier one has refused. What it refuses is not committed by any
    other transaction, either, of those that were asked until now.
    """
    said = {Reference(one.sop_class_uid, one.sop_instance_uid): COMMITTED for one in committed}
    refused = {one.sop_instance_uid: one.reason or 0x0110 for one in failed}
    outcomes: list[tuple[int, int]] = []
    counts = [0, 0]
    named = set()
    refuses = False
    for item in items(tx, key):
        reference = Reference(item.sop_class_uid, item.sop_instance_uid)
        is_committed = reference in said and item.sop_instance_uid not in refused
        reason = refused.get(item.sop_instance_uid, PASSED_OVER)
        named.add(item.sop_instance_uid)
        outcome = COMMITTED if is_committed else reason
        refuses = refuses or not is_committed
        if item.outcome is not None and (
            item.outcome > 0 or (outcome == PASSED_OVER and item.outcome == COMMITTED)
        ):
            outcome = item.outcome
        outcomes.append((item.position, outcome))
        counts[outcome != COMMITTED] += 1
    strange = ({one.sop_instance_uid for one in committed} | set(refused)) - named
    set_outcomes(tx, key, outcomes)
    tx.execute(
        "UPDATE commitment SET state = CASE state WHEN 'closed' THEN state ELSE ? END,"
        " ended_at = ? WHERE id = ?",
        (AskedState.REPORTED.value, at, key),
    )
    if refuses:
        tx.execute(
            "UPDATE commitment SET refused_until = (SELECT max(id) FROM commitment) WHERE id = ?",
            (key,),
        )
    return counts[0], counts[1], len(strange)


def committed_instances(reader: Reader, job: int) -> set[int]:
    """The instances that a job has got a commitment for, which counts still."""
    sql = (
        "SELECT i.instance FROM commitment c JOIN commitment_item i ON i.commitment = c.id"
        f" WHERE c.job = ? AND {_STANDS}"
    )
    return {row[0] for row in reader.execute(sql, (job,))}


def of_study(reader: Reader, study: int) -> tuple[StudyCommitment, ...]:
    """Which nodes have committed to how much of a study, by title, as it counts now.

    Node by node: a removed one, and one that was another machine when it was asked, is none of
    them. The UID is compared as well: the key of an object that was purged may be given out again.
    """
    rows: list[Row] = reader.all(
        "SELECT c.node, c.node_title, count(DISTINCT n.id), max(c.ended_at) FROM series s"
        " JOIN instance n ON n.series = s.id"
        " JOIN commitment_item i ON i.sop_instance_uid = n.sop_instance_uid AND i.instance > 0"
        "  AND i.instance = n.id AND i.sop_class_uid = n.sop_class_uid"
        " JOIN commitment c ON c.id = i.commitment"
        f" WHERE s.study = ? AND {_STANDS}"
        " GROUP BY c.node ORDER BY c.node_title, c.node",
        (study,),
    )
    total = reader.scalar(
        "SELECT count(*) FROM instance n JOIN series s ON s.id = n.series WHERE s.study = ?",
        (study,),
    )
    return tuple(
        StudyCommitment(
            node=row[0],
            node_title=row[1],
            committed=row[2],
            instances=total,
            at=row[3] or 0.0,
        )
        for row in rows
    )


def add(
    tx: Transaction,
    asked_by_us: int,
    node: int,
    node_title: str,
    transaction_uid: str,
    state: TakenState | AskedState,
    at: float,
    due_at: float | None,
    job: int = 0,
) -> int:
    """A new transaction without objects; its key."""
    return tx.insert(
        "INSERT INTO commitment (asked_by_us, node, node_title, transaction_uid, state, job,"
        " created_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (asked_by_us, node, node_title, transaction_uid, state.value, job, at, due_at),
    )
