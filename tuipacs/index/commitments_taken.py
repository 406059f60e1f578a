"""Storage commitment in the index: what other nodes ask of us."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.commitment import Reference, TakenState
from tuipacs.index.commitments import COLUMNS, THEIRS, Commitment, add, find, set_outcomes
from tuipacs.index.database import Reader, Transaction


def taken(reader: Reader, node: int, transaction_uid: str) -> Commitment | None:
    """What a node asked under this UID."""
    return find(reader, THEIRS, node, transaction_uid)


def is_of(transaction: Commitment, references: Sequence[Reference]) -> bool:
    """Whether these are what a node asked about, in this order."""
    return transaction.list_sha256 == hashlib.sha256(_json(references)).digest()


def _json(references: Sequence[Reference]) -> bytes:
    return json.dumps([tuple(one) for one in references]).encode()


def open_count(reader: Reader, node: int) -> tuple[int, int]:
    """(transactions, objects) of a node that have no end yet."""
    row = reader.one(
        "SELECT count(*), coalesce(sum((SELECT count(*) FROM commitment_item i"
        " WHERE i.commitment = c.id)), 0) FROM commitment c"
        " WHERE node = ? AND asked_by_us = 0 AND due_at IS NOT NULL",
        (node,),
    )
    return (0, 0) if row is None else (row[0], row[1])


def take(
    tx: Transaction,
    node: int,
    node_title: str,
    transaction_uid: str,
    references: Sequence[Reference],
    at: float,
    due_at: float,
) -> int:
    """Keep a node's request; return its key."""
    key = add(tx, THEIRS, node, node_title, transaction_uid, TakenState.UNVERIFIED, at, due_at)
    digest = hashlib.sha256(_json(references)).digest()
    tx.execute("UPDATE commitment SET list_sha256 = ? WHERE id = ?", (digest, key))
    _write_list(tx, key, references)
    return key


def _write_list(tx: Transaction, key: int, references: Sequence[Reference]) -> None:
    tx.execute("DELETE FROM commitment_item WHERE commitment = ?", (key,))
    tx.execute(
        "INSERT INTO commitment_item (commitment, position, sop_class_uid, sop_instance_uid)"
        " SELECT ?, key + 1, value ->> 0, value ->> 1 FROM json_each(?)",
        (key, _json(references).decode()),
    )


def start_over(tx: Transaction, key: int, references: Sequence[Reference], due_at: float) -> None:
    """A node asks the same once more: look at the bytes again, and tell it."""
    _write_list(tx, key, references)
    tx.execute(
        "UPDATE commitment SET state = ?, due_at = ?, attempts = 0, ended_at = NULL, message = ''"
        " WHERE id = ?",
        (TakenState.UNVERIFIED.value, due_at, key),
    )


def due(reader: Reader, now: float) -> list[Commitment]:
    """The transactions to be looked at, longest due first."""
    return [
        Commitment(*row)
        for row in reader.execute(
            f"SELECT {COLUMNS} FROM commitment WHERE due_at <= ? ORDER BY due_at LIMIT 1000",
            (now,),
        )
    ]


def next_due(reader: Reader) -> float | None:
    """When the next one is to be looked at."""
    at = reader.scalar("SELECT min(due_at) FROM commitment WHERE due_at IS NOT NULL")
    return None if at is None else float(at)


def verified(tx: Transaction, key: int, outcomes: Sequence[tuple[int, int]]) -> None:
    """Write what the bytes came to, by position; from now on the node is to be told."""
    set_outcomes(tx, key, outcomes)
    tx.execute(
        "UPDATE commitment SET state = ? WHERE id = ? AND due_at IS NOT NULL",
        (TakenState.UNREPORTED.value, key),
    )


def ended(tx: Transaction, key: int, state: TakenState, at: float, message: str) -> None:
    """The node was told, or cannot be: what it asked about is not kept, for it may be anything."""
    tx.execute("DELETE FROM commitment_item WHERE commitment = ?", (key,))
    tx.execute(
        "UPDATE commitment SET state = ?, due_at = NULL, ended_at = ?, message = ? WHERE id = ?",
        (state.value, at, message[:300], key),
    )


def put_off(tx: Transaction, key: int, due_at: float) -> None:
    """The node is being told: nobody else has to before then."""
    tx.execute(
        "UPDATE commitment SET due_at = ? WHERE id = ? AND due_at IS NOT NULL", (due_at, key)
    )


def postponed(tx: Transaction, key: int, due_at: float, message: str) -> None:
    """An attempt failed."""
    tx.execute(
        "UPDATE commitment SET due_at = ?, attempts = attempts + 1, message = ?"
        " WHERE id = ? AND due_at IS NOT NULL",
        (due_at, message[:300], key),
    )


def forget_ended(tx: Transaction, before: float, limit: int) -> int:
    """Delete what nodes asked of us and was ended before that time; how many."""
    return tx.change(
        "DELETE FROM commitment WHERE id IN (SELECT id FROM commitment WHERE asked_by_us = 0"
        " AND ended_at < ? LIMIT ?)",
        (before, limit),
    )


def forget_oldest(tx: Transaction, node: int, keep: int) -> None:
    """Delete what a node asked of us and was ended, but for the newest."""
    tx.execute(
        "DELETE FROM commitment WHERE id IN (SELECT id FROM commitment WHERE node = ?"
        " AND asked_by_us = 0 AND due_at IS NULL ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (node, keep),
    )


@dataclass(frozen=True, slots=True)
class Version:
    """One stored object of some SOP instance, and what its bytes have to be."""

    key: int
    sop_class_uid: str
    blob_key: str
    header_size: int
    header_sha256: bytes
    dataset_sha256: bytes


def versions(reader: Reader, sop_instance_uids: Sequence[str]) -> dict[str, list[Version]]:
    """All versions of these SOP instances; those that are not here are left out."""
    found: dict[str, list[Version]] = {}
    for uid, *rest in reader.execute(
        "SELECT sop_instance_uid, id, sop_class_uid, blob_key, header_size, header_sha256,"
        " dataset_sha256 FROM instance WHERE sop_instance_uid IN (SELECT value FROM json_each(?))"
        " ORDER BY id",
        (json.dumps(list(sop_instance_uids)),),
    ):
        found.setdefault(uid, []).append(Version(*rest))
    return found
