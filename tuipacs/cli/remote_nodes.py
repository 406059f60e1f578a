"""Nodes as commands name them, when they are asked or objects are fetched from them."""

from __future__ import annotations

from collections.abc import Sequence

from tuipacs.client.connection import Connection
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.remote_messages import RemoteNode


def named_nodes(connection: Connection, names: Sequence[str]) -> list[RemoteNode]:
    """The nodes of these AE titles, or keys. Raises `NotFoundError`, `UsageError` for a doubt."""
    known = connection.call(op.REMOTE_NODES, m.Empty()).nodes
    return [_named(known, name) for name in names]


def _named(known: Sequence[RemoteNode], name: str) -> RemoteNode:
    found = [node for node in known if node.ae_title == name]
    if not found and name.isdecimal():
        found = [node for node in known if node.key == int(name)]
    if not found:
        raise NotFoundError(
            f"no node that can be called has the AE title {name}", remedy="tuipacs node list"
        )
    if len(found) > 1:
        keys = ", ".join(str(node.key) for node in found)
        raise UsageError(f"{name} names several nodes", remedy=f"give one of the keys {keys}")
    return found[0]
