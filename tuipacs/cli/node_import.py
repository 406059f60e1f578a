"""``tuipacs node import``: the nodes that another program knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tuipacs.cli.output import note, print_json, print_lines
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.client.node_files import read_files, request_of
from tuipacs.domain.node_files.formats import Format
from tuipacs.domain.node_files.found import FileNode, FileNodes, plan
from tuipacs.domain.node_words import endpoint
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op

FAILED = 1


def import_nodes(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False)],
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Of what program they are; guessed if left out"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be added, and add nothing")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add the nodes of Orthanc's JSON, a dcmqrscp.cfg or Conquest's acrnema.map.

    These are the nodes that such a program knows, not the program itself, which
    `tuipacs node add` adds. All of them or none. Nodes that are known already stay as they are.
    Exit code 1 if there was nothing to add.
    """
    found = read_files(files, format_)
    with connected(ctx) as connection:
        wanted = _plan(connection, found)
        added: tuple[Any, ...] = wanted.nodes
        if wanted.nodes and not dry_run:
            request = n.NodeAddAllRequest(
                nodes=tuple(request_of(node) for node in wanted.nodes),
                source=", ".join(path.name for path in files),
            )
            added = connection.call(op.NODE_ADD_ALL, request).nodes
    if as_json:
        print_json({"dry_run": dry_run, "added": added, "left_out": wanted.left_out})
    else:
        for node in wanted.nodes:
            print_lines([file_node_line(node)])
            print_lines(f"    note: {words}" for words in node.notes)
        for left in wanted.left_out:
            note(f"left out: {left.entry}: {left.reason}")
        verb = "would be added" if dry_run else "added"
        print_lines([f"{len(added)} {verb}, {len(wanted.left_out)} left out"])
    if not added:
        raise typer.Exit(FAILED)


def _plan(connection: Connection, found: FileNodes) -> FileNodes:
    health = connection.call(op.HEALTH, m.Empty())
    ports = [health.port, *([health.tls.port] if health.tls else [])]
    known = connection.call(op.NODES, m.Empty()).nodes
    return plan(found, {node.ae_title for node in known}, ports)


def file_node_line(node: FileNode) -> str:
    """``PACS2  from 10.0.0.5: echo, store  at 10.0.0.5:104: echo, send``."""
    may = ",".join(node.services) or "nothing"
    words = f"{node.ae_title:<16}  from {node.address or 'any'}: {may}"
    if node.call.host:
        tls = " TLS" if node.call.use_tls else ""
        words += f"  at {endpoint(node.call)}{tls}: {','.join(node.call.services)}"
    return words
