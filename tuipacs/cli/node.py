"""``tuipacs node``: known remote AEs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tuipacs.cli.output import moment, note, print_json, print_lines, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.domain.node import NodeRecord, proof_words
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op

app = typer.Typer(help="Known remote AEs: add, list, remove.", no_args_is_help=True)


@app.command("add")
def add(
    ctx: typer.Context,
    ae_title: Annotated[str, typer.Argument(metavar="AE_TITLE")],
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="IP address or CIDR; any if left out")
    ] = "",
    service: Annotated[
        list[NodeService] | None,
        typer.Option(case_sensitive=False, help="May be repeated [echo and store]"),
    ] = None,
    description: Annotated[str, typer.Option(metavar="TEXT")] = "",
    certificate: Annotated[
        str,
        typer.Option(
            metavar="FILE|HASH", help="Its own certificate, or the SHA-256 of it; implies TLS"
        ),
    ] = "",
    require_tls: Annotated[
        bool, typer.Option("--require-tls", help="Without TLS it is refused")
    ] = False,
    require_identity: Annotated[
        bool,
        typer.Option(
            "--require-identity", help="It has to name a user of this archive; implies TLS"
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let an AE use this archive."""
    own = _certificate_hash(certificate)
    request = n.NodeAddRequest(
        ae_title=ae_title,
        address=address,
        services=tuple(service or (NodeService.ECHO, NodeService.STORE)),
        description=description,
        certificate_sha256=own,
        require_tls=require_tls,
        require_identity=require_identity,
    )
    with connected(ctx) as connection:
        node = connection.call(op.NODE_ADD, request)
        nodes = connection.call(op.NODES, m.Empty()).nodes if own else ()
        others = [
            each.ae_title
            for each in nodes
            if each.certificate_sha256 == own and each.ae_title != node.ae_title
        ]
    if others:
        note(f"warning: {', '.join(others)} is bound to the same certificate")
        note("         right for one device with several AE titles; wrong for two devices")
    if as_json:
        print_json(node)
    else:
        print_lines([f"node {node.key}: {_words(node)}"])


def _certificate_hash(text: str) -> str:
    """Of a file if there is one of that name, else ``text`` has to be a hash itself."""
    if text and Path(text).is_file():
        return _of_file(Path(text))
    try:
        return check_fingerprint(text)
    except UsageError:
        raise UsageError(
            f"--certificate {text}: neither a file nor a SHA-256 of 64 hexadecimal digits",
            remedy="tuipacs tls show FILE prints it",
        ) from None


def _of_file(path: Path) -> str:
    from tuipacs.certificates.reading import facts_of, read_certificates

    facts = facts_of(read_certificates(path)[0])
    if facts.is_ca:
        raise UsageError(
            f"{path} is an authority's certificate, and a node shows its own",
            remedy="name the node's file. A device that really shows this one, because it signed"
            f" it itself: --certificate {facts.sha256}",
        )
    now = time.time()
    if not facts.not_before <= now < facts.not_after:
        note(f"warning: {path} is not valid now: {moment(facts.not_before)}")
        note(f"         to {moment(facts.not_after)}; the node is refused until it shows another")
    return facts.sha256


@app.command("list")
def list_nodes(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """All known nodes."""
    with connected(ctx) as connection:
        nodes = connection.call(op.NODES, m.Empty()).nodes
    if as_json:
        print_json(nodes)
        return
    print_table(
        ("KEY", "AE TITLE", "ADDRESS", "SERVICES", "PROOF", "DESCRIPTION"),
        (
            (
                node.key,
                node.ae_title,
                node.address or "any",
                ",".join(service.value for service in node.services),
                proof_words(node) or "-",
                node.description,
            )
            for node in nodes
        ),
    )


@app.command("remove")
def remove(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(metavar="AE_TITLE|KEY")],
) -> None:
    """Forget a node; its associations end."""
    with connected(ctx) as connection:
        found = _only(connection, node)
        connection.call(op.NODE_REMOVE, n.NodeRemoveRequest(key=found.key))
    print_lines([f"forgot {_words(found)}"])


def _only(connection: Connection, wanted: str) -> NodeRecord:
    """The node of that title, or of that key if no title is like it."""
    nodes = connection.call(op.NODES, m.Empty()).nodes
    found = [node for node in nodes if node.ae_title == wanted]
    if not found and wanted.isdecimal():
        found = [node for node in nodes if node.key == int(wanted)]
    if not found:
        raise NotFoundError(f"no such node: {wanted}", remedy="tuipacs node list")
    if len(found) > 1:
        keys = ", ".join(str(node.key) for node in found)
        raise UsageError(f"{wanted} names several nodes", remedy=f"give one of the keys {keys}")
    return found[0]


def _words(node: NodeRecord) -> str:
    services = " and ".join(service.value for service in node.services)
    proof = proof_words(node)
    words = f"{node.ae_title} from {node.address or 'any address'} may {services}"
    return f"{words}, by {proof}" if proof else words
