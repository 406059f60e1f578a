"""Rows of the known nodes."""

from __future__ import annotations

from typing import Any

import msgspec

from tuipacs.domain.node import NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService
from tuipacs.index.database import Reader, Transaction

_SELECT = (
    "SELECT id, ae_title, address, services, description, created_at, certificate_sha256,"
    " require_tls, require_identity, call, character_set, max_results, paused FROM node"
)


def all_nodes(reader: Reader) -> tuple[NodeRecord, ...]:
    """All nodes by AE title."""
    return tuple(_record(row) for row in reader.all(f"{_SELECT} ORDER BY ae_title, address, id"))


def node(reader: Reader, key: int) -> NodeRecord | None:
    """One node."""
    row = reader.one(f"{_SELECT} WHERE id = ?", (key,))
    return None if row is None else _record(row)


def node_exists(reader: Reader, ae_title: str, address: str) -> bool:
    """Whether this very pair is there already."""
    sql = "SELECT 1 FROM node WHERE ae_title = ? AND address = ?"
    return reader.one(sql, (ae_title, address)) is not None


_COLUMNS = (
    "ae_title",
    "address",
    "services",
    "description",
    "created_at",
    "certificate_sha256",
    "require_tls",
    "require_identity",
    "call",
    "character_set",
    "max_results",
    "paused",
)


def add_node(tx: Transaction, node: NodeRecord) -> int:
    """Insert a node and return its key; the record's own is not used."""
    marks = ", ".join("?" * len(_COLUMNS))
    return tx.insert(f"INSERT INTO node ({', '.join(_COLUMNS)}) VALUES ({marks})", _values(node))


def change_node(tx: Transaction, node: NodeRecord) -> None:
    """Write all of a node that is there already."""
    columns = ", ".join(f"{column} = ?" for column in _COLUMNS)
    tx.change(f"UPDATE node SET {columns} WHERE id = ?", (*_values(node), node.key))


def _values(node: NodeRecord) -> tuple[Any, ...]:
    return (
        node.ae_title,
        node.address,
        ",".join(node.services),
        node.description,
        node.created_at,
        node.certificate_sha256,
        node.require_tls,
        node.require_identity,
        msgspec.json.encode(node.call).decode(),
        node.character_set,
        node.max_results,
        node.paused,
    )


def open_jobs(reader: Reader) -> dict[int, int]:
    """How many jobs are not ended, by the key of the node that they call."""
    sql = (
        "SELECT node, count(*) FROM job WHERE node > 0"
        " AND state NOT IN ('done', 'failed', 'cancelled', 'dead') GROUP BY node"
    )
    return {int(row[0]): int(row[1]) for row in reader.all(sql)}


def remove_node(tx: Transaction, key: int) -> None:
    """Delete a node."""
    tx.change("DELETE FROM node WHERE id = ?", (key,))


def _record(row: tuple[Any, ...]) -> NodeRecord:
    return NodeRecord(
        key=row[0],
        ae_title=row[1],
        address=row[2],
        services=tuple(NodeService(name) for name in row[3].split(",") if name),
        description=row[4],
        created_at=row[5],
        certificate_sha256=row[6],
        require_tls=bool(row[7]),
        require_identity=bool(row[8]),
        call=msgspec.json.decode(row[9], type=NodeCall),
        character_set=row[10],
        max_results=row[11],
        paused=bool(row[12]),
    )
