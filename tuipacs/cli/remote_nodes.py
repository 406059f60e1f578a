"""Nodes as commands name them, when they are asked or objects are fetched from them."""

from __future__ import annotations

from collections.abc import Sequence

from tuipacs.client.connection import Connection
from tuipacs.domain.node_choice import choose
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.remote_messages import RemoteNode


def named_nodes(connection: Connection, names: Sequence[str]) -> list[RemoteNode]:
    """The nodes of these AE titles, or keys. Raises as `choose`."""
    known = connection.call(op.REMOTE_NODES, m.Empty()).nodes
    missing = "no node that can be called"
    return [choose(known, name, missing=missing) for name in names]
