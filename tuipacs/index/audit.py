"""The audit log: an append-only hash chain in the same transaction as what it records.

Each record's hash is SHA-256 over the previous hash and the record's fields, each preceded by its
length, so no two different records give the same input.
"""

from __future__ import annotations

import hashlib
import string
from functools import lru_cache
from typing import Any

from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord
from tuipacs.index.database import Reader, Transaction

_COLUMNS = (
    "seq, at, event_code, operation, outcome, actor_kind, actor, role, unix_user, terminal,"
    " ssh_client, address, patient_id, study_instance_uid, sop_instance_uid, detail"
)
_MEANINGS = {event.code: event.meaning for event in AuditEvent}
_INSERT = (
    f"INSERT INTO audit ({_COLUMNS}, hash) VALUES ({', '.join('?' * 17)});"
    "UPDATE audit_head SET seq = ?, hash = ?"
)
_VERIFY_BATCH = 2000
_TRIGGERS = (
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
    " AND name IN ('audit_is_append_only_update', 'audit_is_append_only_delete')"
)
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # as SQLite's lower()


def _digest(previous: bytes, fields: tuple[Any, ...]) -> bytes:
    """Of a row without its hash: the number and time, who did what, and about whom."""
    parts = (previous, _counted(fields[:2]), _who(fields[2:12]), _counted(fields[12:]))
    return hashlib.sha256(b"".join(parts)).digest()


def _counted(fields: tuple[Any, ...]) -> bytes:
    """Each field behind its length."""
    parts = []
    for field in fields:
        data = field.encode() if isinstance(field, str) else repr(field).encode()
        parts.append(len(data).to_bytes(8, "big"))
        parts.append(data)
    return b"".join(parts)


_who = lru_cache(maxsize=256)(_counted)  # the same for all objects of an association


def append(tx: Transaction, record: AuditRecord) -> int:
    """Add one record; its ``seq`` and ``hash`` are given here. Return the seq."""
    end = tx.chain_end or _end_of_chain(tx)
    seq = end[0] + 1
    fields = (
        seq,
        float(record.at),  # as the column gives it back
        record.event_code,
        record.operation,
        record.outcome.value,
        record.actor_kind,
        record.actor,
        record.role,
        record.unix_user,
        record.terminal,
        record.ssh_client,
        record.address,
        record.patient_id,
        record.study_instance_uid,
        record.sop_instance_uid,
        record.detail,
    )
    digest = _digest(end[1], fields)
    tx.execute(_INSERT, (*fields, digest, seq, digest))
    tx.chain_end = (seq, digest)
    return seq


def _end_of_chain(tx: Transaction) -> tuple[int, bytes]:
    row = tx.one("SELECT seq, hash FROM audit_head")
    if row is None:
        raise AssertionError("the audit log has lost its head")
    return int(row[0]), row[1]


def head(reader: Reader) -> tuple[int, str]:
    """The last record's number and hash, in hex."""
    row = reader.one("SELECT seq, hash FROM audit_head")
    return (row[0], row[1].hex()) if row else (0, "")


def page(reader: Reader, words: tuple[str, ...], before_seq: int, limit: int) -> list[AuditRecord]:
    """Records newest first, below ``before_seq`` (0: from the end), with all ``words``."""
    haystack = (
        "operation || ' ' || outcome || ' ' || actor || ' ' || role || ' ' || unix_user || ' ' ||"
        " terminal || ' ' || address || ' ' || patient_id || ' ' || study_instance_uid || ' ' ||"
        " sop_instance_uid || ' ' || detail || ' ' || event_code"
    )
    condition = "".join(f" AND instr(lower({haystack}), ?)" for _ in words)
    rows = reader.execute(
        f"SELECT {_COLUMNS}, hash FROM audit WHERE seq < ?{condition} ORDER BY seq DESC LIMIT ?",
        (before_seq or 1 << 62, *(word.translate(_ASCII_LOWER) for word in words), limit),
    )
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> AuditRecord:
    return AuditRecord(
        seq=row[0],
        at=row[1],
        event_code=row[2],
        event=_MEANINGS.get(row[2], row[2]),
        operation=row[3],
        outcome=AuditOutcome(row[4]),
        actor_kind=row[5],
        actor=row[6],
        role=row[7],
        unix_user=row[8],
        terminal=row[9],
        ssh_client=row[10],
        address=row[11],
        patient_id=row[12],
        study_instance_uid=row[13],
        sop_instance_uid=row[14],
        detail=row[15],
        hash=row[16].hex(),
    )


def verify(reader: Reader) -> tuple[int, int | None, str]:
    """Walk the whole chain: (records checked, first bad seq or None, what is wrong)."""
    previous, expected = bytes(32), 1
    while True:
        rows = reader.all(
            f"SELECT {_COLUMNS}, hash FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?",
            (expected, _VERIFY_BATCH),
        )
        for row in rows:
            if row[0] != expected:
                return expected - 1, expected, f"record {expected} is missing"
            if _digest(previous, row[:-1]) != row[-1]:
                return expected - 1, expected, f"record {expected} was changed"
            previous, expected = row[-1], expected + 1
        if len(rows) < _VERIFY_BATCH:
            break
    early = reader.scalar("SELECT min(seq) FROM audit")
    if early is not None and early < 1:
        return expected - 1, int(early), "there are records before the first"
    end = reader.one("SELECT seq, hash FROM audit_head")
    if end is None or (end[0], end[1]) != (expected - 1, previous):
        return expected - 1, expected, "the end of the log was cut off or its head was changed"
    if reader.scalar(_TRIGGERS) != 2:
        return expected - 1, expected, "the triggers that keep the log append-only are gone"
    return expected - 1, None, ""
