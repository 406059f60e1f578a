"""The node that a command names."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.client.connection import Connection
from tuipacs.domain.node import NodeRecord
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

NodeArgument = Annotated[str, typer.Argument(metavar="AE_TITLE|KEY", show_default=False)]


def the_node(connection: Connection, wanted: str) -> NodeRecord:
    """The node of that title, or of that key if no title is like it.

    Raises `NotFoundError`, and `UsageError` if it is not clear which one.
    """
    nodes = connection.call(op.NODES, m.Empty()).nodes
    found = [node for node in nodes if node.ae_title == wanted]
    if not found and wanted.isdecimal():
        found = [node for node in nodes if node.key == int(wanted)]
    if not found:
        alike = [node.ae_title for node in nodes if node.ae_title.lower() == wanted.lower()]
        hint = f" (but {alike[0]}: capitals count)" if alike else ""
        raise NotFoundError(f"no such node: {wanted}{hint}", remedy="tuipacs node list")
    if len(found) > 1:
        keys = ", ".join(str(node.key) for node in found)
        raise UsageError(f"{wanted} names several nodes", remedy=f"give one of the keys {keys}")
    return found[0]
