"""The node that a command names."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.client.connection import Connection
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_choice import choose
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

NodeArgument = Annotated[str, typer.Argument(metavar="AE_TITLE|KEY", show_default=False)]


def the_node(connection: Connection, wanted: str) -> NodeRecord:
    """The node of that title, or of that key if no title is like it. Raises as `choose`."""
    return choose(connection.call(op.NODES, m.Empty()).nodes, wanted)
