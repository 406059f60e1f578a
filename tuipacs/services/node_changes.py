"""Steps of changing the node table that adding, importing and editing share."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, UsageError
from tuipacs.index import nodes
from tuipacs.index.database import Transaction
from tuipacs.schema.node_messages import NodeAddRequest


def add_one(tx: Transaction, wanted: NodeRecord) -> NodeRecord:
    """Insert a node; with its key. Raises `ConflictError`."""
    check_free(tx, wanted)
    return msgspec.structs.replace(wanted, key=nodes.add_node(tx, wanted))


def check_free(tx: Transaction, wanted: NodeRecord) -> None:
    """Raise `ConflictError` if a node has this title and address already."""
    if nodes.node_exists(tx, wanted.ae_title, wanted.address):
        raise ConflictError(
            f"{wanted.ae_title} is known from {wanted.address or 'any address'} already",
            remedy=f"change that one: tuipacs node edit {shlex.quote(wanted.ae_title)}",
        )


@contextmanager
def naming(request: NodeAddRequest) -> Iterator[None]:
    """Say of which of many nodes an error is."""
    try:
        yield
    except (UsageError, ConflictError) as error:
        words = f"{who(request)}: {error.message}; nothing was added"
        raise type(error)(words, remedy=error.remedy) from None


def as_seen(node: NodeRecord) -> NodeRecord:
    """A record as clients see it, without what is changed elsewhere: the pause of its lane."""
    return msgspec.structs.replace(node, paused=False, description=clean(node.description))


def who(request: NodeAddRequest) -> str:
    """Of what nobody has checked yet."""
    address = clean(request.address, limit=60) or "any address"
    return f"node {clean(request.ae_title, limit=40)} {address}"
