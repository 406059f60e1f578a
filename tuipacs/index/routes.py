"""Rows of the routing rules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.route import RouteRecord, RouteRule, RouteTarget
from tuipacs.index import nodes
from tuipacs.index.database import Reader, Row, Transaction

_SELECT = (
    "SELECT id, position, revision, name, enabled, rule, created_at, changed_at, changed_by"
    " FROM route"
)


def all_routes(reader: Reader) -> tuple[RouteRecord, ...]:
    """All rules in order, without their counts (`with_counts`)."""
    return _records(reader, reader.all(f"{_SELECT} ORDER BY position, id"))


def route(reader: Reader, key: int) -> RouteRecord | None:
    """One rule."""
    found = _records(reader, reader.all(f"{_SELECT} WHERE id = ?", (key,)))
    return found[0] if found else None


def any_enabled(reader: Reader) -> bool:
    """Whether there is anything to judge by."""
    return reader.one("SELECT 1 FROM route WHERE enabled") is not None


def name_taken(reader: Reader, name: str, but: int = 0) -> bool:
    """Whether another rule has that name, whatever its case."""
    return reader.one("SELECT 1 FROM route WHERE name = ? AND id <> ?", (name, but)) is not None


def with_counts(
    reader: Reader, records: Sequence[RouteRecord], since: float
) -> tuple[RouteRecord, ...]:
    """The rules with the number of studies that each has sent on since then."""
    rows = reader.all(
        "SELECT route, count(DISTINCT study), max(at) FROM route_decision"
        " WHERE outcome = 'sent' AND at >= ? GROUP BY route",
        (since,),
    )
    counts = {row[0]: row[1:] for row in rows}
    return tuple(
        msgspec.structs.replace(
            record, matched=counts[record.key][0], matched_at=counts[record.key][1]
        )
        if record.key in counts
        else record
        for record in records
    )


def add(tx: Transaction, rule: RouteRule, position: int, at: float, by: str) -> int:
    """Insert a rule at ``position`` (from 1; 0: the end) and return its key."""
    count = int(tx.scalar("SELECT count(*) FROM route"))
    place = position if 1 <= position <= count else count + 1
    tx.change("UPDATE route SET position = position + 1 WHERE position >= ?", (place,))
    key = tx.insert(
        "INSERT INTO route (position, name, enabled, rule, revision, created_at, changed_at,"
        " changed_by) VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
        (place, rule.name, rule.enabled, _encoded(rule), at, at, by),
    )
    _set_nodes(tx, key, rule.nodes)
    return key


def change(tx: Transaction, key: int, rule: RouteRule, at: float, by: str) -> None:
    """Write all of a rule that is there already. A node that was removed stays so until it is."""
    tx.change(
        "UPDATE route SET name = ?, enabled = ?, rule = ?, revision = revision + 1, changed_at = ?,"
        " changed_by = ? WHERE id = ?",
        (rule.name, rule.enabled, _encoded(rule), at, by, key),
    )
    _set_nodes(tx, key, rule.nodes)


def enable(tx: Transaction, key: int, enabled: bool, at: float, by: str) -> None:
    """Switch a rule on or off."""
    tx.change(
        "UPDATE route SET enabled = ?, revision = revision + 1, changed_at = ?, changed_by = ?"
        " WHERE id = ?",
        (enabled, at, by, key),
    )


def move(tx: Transaction, key: int, position: int) -> None:
    """Give a rule another place; the others close up."""
    order = [row[0] for row in tx.all("SELECT id FROM route ORDER BY position, id")]
    order.remove(key)
    order.insert(max(position, 1) - 1, key)
    for place, each in enumerate(order, start=1):
        tx.change("UPDATE route SET position = ? WHERE id = ?", (place, each))


def remove(tx: Transaction, key: int) -> None:
    """Delete a rule with its marks; what it decided stays."""
    tx.change("DELETE FROM route WHERE id = ?", (key,))
    order = [row[0] for row in tx.all("SELECT id FROM route ORDER BY position, id")]
    for place, each in enumerate(order, start=1):
        tx.change("UPDATE route SET position = ? WHERE id = ?", (place, each))


def target(node: NodeRecord) -> RouteTarget:
    """A node as a destination."""
    fault = ""
    if not node.call.host:
        fault = "has no host to be called at"
    elif CallService.SEND not in node.call.services:
        fault = "is not set up to be sent to"
    return RouteTarget(node=node.key, ae_title=node.ae_title, fault=fault)


def _set_nodes(tx: Transaction, key: int, wanted: Sequence[int]) -> None:
    """Raises `KeyError` for a node that is not there; 0 keeps one that was removed."""
    gone = [
        row[0]
        for row in tx.all(
            "SELECT node_title FROM route_node WHERE route = ? AND node = 0 ORDER BY position",
            (key,),
        )
    ]
    known = {node.key: node.ae_title for node in nodes.all_nodes(tx)}
    tx.change("DELETE FROM route_node WHERE route = ?", (key,))
    for position, node in enumerate(wanted):
        title = known[node] if node else gone.pop(0)
        tx.execute(
            "INSERT INTO route_node (route, position, node, node_title) VALUES (?, ?, ?, ?)",
            (key, position, node, title),
        )


def _encoded(rule: RouteRule) -> str:
    return msgspec.json.encode(rule).decode()


def _records(reader: Reader, rows: Sequence[Row]) -> tuple[RouteRecord, ...]:
    if not rows:
        return ()
    known = {node.key: target(node) for node in nodes.all_nodes(reader)}
    targets: dict[int, list[RouteTarget]] = {}
    for key, node, title in reader.execute(
        "SELECT route, node, node_title FROM route_node ORDER BY route, position"
    ):
        gone = RouteTarget(node=0, ae_title=title, fault="removed from the nodes")
        targets.setdefault(key, []).append(known.get(node, gone))
    return tuple(_record(row, tuple(targets.get(row[0], ()))) for row in rows)


def _record(row: Row, targets: tuple[RouteTarget, ...]) -> RouteRecord:
    rule = msgspec.json.decode(row[5], type=RouteRule)
    return RouteRecord(
        key=row[0],
        position=row[1],
        revision=row[2],
        rule=msgspec.structs.replace(
            rule,
            name=row[3],
            enabled=bool(row[4]),
            nodes=tuple(target.node for target in targets),
        ),
        targets=targets,
        created_at=row[6],
        changed_at=row[7],
        changed_by=row[8],
    )
