"""``tuipacs node add`` and ``tuipacs node edit``."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Annotated

import msgspec
import typer

from tuipacs.cli import node_options as o
from tuipacs.cli.node_choice import NodeArgument, the_node
from tuipacs.cli.output import note, print_json, print_lines
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.ae_title import looks_like_pattern
from tuipacs.domain.node import USUALLY_ASKED, NodeCall, NodeRecord
from tuipacs.domain.node_words import call_words, change_words, line
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations as op


@o.with_options
def add(
    ctx: typer.Context,
    ae_title: Annotated[str, typer.Argument(metavar="AE_TITLE", show_default=False)],
    given: o.Given,
    as_json: JsonOption = False,
) -> None:
    """Make an AE known: what it may ask for here, and how it is called.

    Without --service it may echo and store. A host that is an IP address is the address it calls
    from as well, unless --address says another.
    """
    if given.address is None:
        given = replace(given, address=_ip(given.host))
    start = n.NodeAddRequest(
        ae_title=ae_title,
        address="",
        services=(NodeService.ECHO, NodeService.STORE),
        call=NodeCall(services=USUALLY_ASKED if given.host else ()),
    )
    request = o.changed(start, given)
    with connected(ctx) as connection:
        node = connection.call(op.NODE_ADD, request)
        _warn(connection, node)
    if as_json:
        print_json(node)
    else:
        print_lines([f"node {node.key}: {line(node)}"])


@o.with_options
def edit(
    ctx: typer.Context,
    node: NodeArgument,
    given: o.Given,
    title: Annotated[
        str | None, typer.Option(metavar="AE_TITLE", help="Its AE title", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change a node. What is not given stays; a list that is given takes the old one's place.

    It counts at once: an association that would be refused now is ended, and jobs go by it with
    their next association.
    """
    if given.is_empty and title is None:
        raise UsageError("nothing to change", remedy="tuipacs node edit --help lists what can be")
    with connected(ctx) as connection:
        before = the_node(connection, node)
        start = request_of(before)
        if title is not None:
            start = msgspec.structs.replace(start, ae_title=title)
        if given.host and not before.call.host:
            start = msgspec.structs.replace(start, call=NodeCall(services=USUALLY_ASKED))
        request = n.NodeEditRequest(seen=before, node=o.changed(start, given))
        after = connection.call(op.NODE_EDIT, request)
        is_renamed = before.ae_title != after.ae_title
        if is_renamed or before.certificate_sha256 != after.certificate_sha256:
            _warn(connection, after)
    if as_json:
        print_json(after)
    else:
        print_lines(
            [f"node {after.key} {after.ae_title}: {change_words(before, after) or 'as is'}"]
        )


def request_of(node: NodeRecord) -> n.NodeAddRequest:
    """The request that would make the same node."""
    fields = n.NodeAddRequest.__struct_fields__
    return n.NodeAddRequest(**{name: getattr(node, name) for name in fields})


def _ip(host: str | None) -> str | None:
    try:
        return None if host is None else str(ipaddress.ip_address(host.strip("[] ")))
    except ValueError:
        return None


def _warn(connection: Connection, node: NodeRecord) -> None:
    own = node.certificate_sha256
    nodes = connection.call(op.NODES, m.Empty()).nodes if own else ()
    others = [
        each.ae_title
        for each in nodes
        if each.certificate_sha256 == own and each.ae_title != node.ae_title
    ]
    if others:
        note(f"warning: {', '.join(others)} is bound to the same certificate")
        note("         right for one device with several AE titles; wrong for two devices")
    if looks_like_pattern(node.ae_title):
        note(f"warning: {node.ae_title} is taken letter by letter, not as a pattern: only who")
        note("         calls himself exactly so is this node")
    if call_words(node) and not node.address and node.services:
        note(f"note: whoever calls himself {node.ae_title} may, from any address, ask for")
        note(f"      {', '.join(node.services)}; --address says where it calls from")
