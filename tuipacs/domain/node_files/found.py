"""What a reader found in a file: nodes that can be added, and entries that cannot."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec
from msgspec import Struct

from tuipacs.domain.ae_title import check_ae_title, looks_like_pattern
from tuipacs.domain.network import check_node_address
from tuipacs.domain.node import NodeCall
from tuipacs.domain.node_rules import check_call
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.safe_text import clean
from tuipacs.errors import UsageError

MAX_ENTRIES = 1000
_BY_TITLE = (NodeService.ECHO, NodeService.STORE)
"""What may be given to whoever calls by that title from anywhere."""


class FileNode(Struct, frozen=True, kw_only=True):
    """A node as its file has it, checked; fields as of `NodeRecord`.

    ``entry``: what the file calls it; ``notes``: what was not taken over, and why.
    """

    entry: str
    ae_title: str
    address: str
    services: tuple[NodeService, ...]
    call: NodeCall
    description: str = ""
    notes: tuple[str, ...] = ()


class LeftOut(Struct, frozen=True, kw_only=True):
    """An entry that is not taken; texts are clean."""

    entry: str
    reason: str


class FileNodes(Struct, frozen=True, kw_only=True):
    """All that a file has, in its order."""

    nodes: tuple[FileNode, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class Collector:
    """Takes entries one by one; what is wrong with one is no fault of the others."""

    def __init__(self) -> None:
        self._nodes: list[FileNode] = []
        self._left_out: list[LeftOut] = []
        self._count = 0

    def take(self, entry: str, make: Callable[[], FileNode]) -> None:
        """Keep what ``make`` makes, or why it raised `UsageError`. Raises that for too many."""
        self._count += 1
        if self._count > MAX_ENTRIES:
            raise UsageError(f"the file has more than {MAX_ENTRIES} entries")
        try:
            self._nodes.append(make())
        except UsageError as error:
            self.leave(entry, error.message)

    def leave(self, entry: str, reason: str) -> None:
        """An entry that is not taken."""
        self._left_out.append(LeftOut(entry=clean(entry, limit=60), reason=clean(reason)))

    def result(self) -> FileNodes:
        """All of it."""
        return FileNodes(nodes=tuple(self._nodes), left_out=tuple(self._left_out))


def file_node(
    entry: str,
    ae_title: str,
    host: str,
    call: NodeCall,
    *,
    services: Iterable[NodeService],
    description: str = "",
    notes: Iterable[str] = (),
) -> FileNode:
    """A node that is called at ``host`` and calls from there, checked. Raises `UsageError`.

    A name of a host proves nothing (a name server would decide who is trusted), so such a node may
    call from any address; it gets no right then to read what is here.
    """
    told = list(notes)
    call = check_call(msgspec.structs.replace(call, host=host))
    address = _ip(call.host)
    given = tuple(services)
    if not address:
        kept = tuple(service for service in given if service in _BY_TITLE)
        if kept != given:
            lost = ", ".join(service for service in given if service not in kept)
            told.append(f"{lost} not given: its address is not known (--address, --service)")
        given = kept
    return FileNode(
        entry=clean(entry, limit=60),
        ae_title=check_title(ae_title),
        address=check_node_address(address),
        services=given,
        call=call,
        description=clean(description, limit=100),
        notes=tuple(clean(note, limit=160) for note in told),
    )


def check_title(text: str) -> str:
    """An AE title that somebody may have. Raises `UsageError`, also for a pattern of titles."""
    if looks_like_pattern(text):
        raise UsageError("a pattern is no AE title: add those that call, by name")
    return check_ae_title(text)


def port_of(value: object) -> int:
    """A port as files write it: a number, or its digits. Raises `UsageError`."""
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise UsageError(f"{clean(text, limit=40) or 'nothing'} is no port")
    return int(text)


def _ip(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


def plan(found: FileNodes, known: Collection[str], own_ports: Sequence[int]) -> FileNodes:
    """What of it is to be added to nodes of the ``known`` AE titles: the rest is left out.

    ``own_ports``: of this archive, which is not a node of itself.
    """
    mine: set[str] = set()
    nodes, left_out = [], list(found.left_out)
    for node in found.nodes:
        reason = ""
        if node.ae_title in known:
            reason = f"{node.ae_title} is known already"
        elif node.ae_title in mine:
            reason = f"{node.ae_title} is there twice; the first one counts"
        elif _is_loopback(node.call.host) and node.call.port in own_ports:
            reason = "it is this archive itself"
        if reason:
            left_out.append(LeftOut(entry=node.entry, reason=reason))
        else:
            mine.add(node.ae_title)
            nodes.append(node)
    return FileNodes(nodes=tuple(nodes), left_out=tuple(left_out))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
