"""``tuipacs node``: known remote AEs."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from tuipacs.cli import node_add, node_import, node_probe
from tuipacs.cli.node_choice import NodeArgument, the_node
from tuipacs.cli.output import moment, print_json, print_lines, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import NodeHealth
from tuipacs.domain.node_words import endpoint, facts, line, short_proof
from tuipacs.domain.safe_text import cells, clean
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op

app = typer.Typer(help="Known remote AEs: who may call, and whom we call.", no_args_is_help=True)
app.command("add")(node_add.add)
app.command("edit")(node_add.edit)

app.command("echo")(node_probe.echo)
app.command("test")(node_probe.test)
app.command("import")(node_import.import_nodes)

_WIDTH = 80  # cells


@app.command("list")
def list_nodes(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """All known nodes: from where each may call and for what, and where it is called."""
    with connected(ctx) as connection:
        nodes = connection.call(op.NODES, m.Empty()).nodes
    if as_json:
        print_json(nodes)
        return
    rows = [row for node in nodes for row in _rows(node)]
    widths = [max((cells(row[i]) for row in rows), default=0) for i in (0, 1, 2, 4)]
    room = max(_WIDTH - sum(max(w, 4) for w in widths) - 8, 16)
    print_table(
        ("KEY", "AE TITLE", "", "ADDRESS", "SERVICES"),
        ((*row[:3], clean(row[3], limit=room), row[4]) for row in rows),
    )


def _rows(node: NodeRecord) -> Iterator[tuple[str, str, str, str, str]]:
    proof = short_proof(node)
    address = f"{node.address or 'any'}{', ' if proof else ''}{proof}"
    mine = (str(node.key), node.ae_title)
    if node.services or not node.call.host:
        yield (*mine, "from", address, ",".join(node.services) or "-")
        mine = ("", "")
    if node.call.host:
        tls = ", TLS" if node.call.use_tls else ""
        yield (*mine, "at", endpoint(node.call) + tls, ",".join(node.call.services))


@app.command("show")
def show(ctx: typer.Context, node: NodeArgument, as_json: JsonOption = False) -> None:
    """Everything about one node."""
    with connected(ctx) as connection:
        found = the_node(connection, node)
        health = [h for h in connection.call(op.NODES, m.Empty()).health if h.key == found.key]
    if as_json:
        print_json(found)
        return
    lines = [("key", str(found.key)), *facts(found), ("known since", moment(found.created_at))]
    lines += [pair for each in health for pair in _health(each)]
    print_lines(f"{name:<16}{value}" for name, value in lines if value)


def _health(health: NodeHealth) -> Iterator[tuple[str, str]]:
    if health.checked_at:
        yield "last test", f"{moment(health.checked_at)}  {health.words}"
    if health.open_jobs:
        yield "jobs", f"{health.open_jobs} open"


@app.command("remove")
def remove(ctx: typer.Context, node: NodeArgument) -> None:
    """Forget a node; its associations end."""
    with connected(ctx) as connection:
        found = the_node(connection, node)
        connection.call(op.NODE_REMOVE, n.NodeRemoveRequest(key=found.key))
    print_lines([f"forgot {line(found)}"])
