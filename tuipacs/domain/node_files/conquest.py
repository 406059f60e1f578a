"""``acrnema.map`` of the Conquest DICOM server: ``AE host port compression``, and wildcards."""

from __future__ import annotations

import ipaddress
import re

from tuipacs.domain.node import USUALLY_ASKED, NodeCall
from tuipacs.domain.node_files.found import (
    Collector,
    FileNode,
    FileNodes,
    check_title,
    file_node,
    port_of,
)
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.safe_text import clean
from tuipacs.errors import UsageError

_IMPLICIT, _LITTLE, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_SYNTAXES = {"un": (_IMPLICIT,), "ul": (_LITTLE,), "ub": (_BIG,), "ue": (_LITTLE, _BIG)}
_SERVICES = (NodeService.ECHO, NodeService.STORE, NodeService.QUERY, NodeService.MOVE)
_LINE = re.compile(r"\S+[ \t]+\S+[ \t]+[0-9]{1,5}(?:[ \t]+\S+)?")
_NETWORK = re.compile(r"((?:[0-9]{1,3}\.){1,3})\*")
_LONGEST = 1000  # characters of a line


def looks_like(text: str) -> bool:
    """Whether every line that is no comment has an AE title, a host and a port."""
    try:
        lines = [line for _, line in _lines(text)]
    except UsageError:
        return False
    return bool(lines) and all(_LINE.fullmatch(line) for line in lines)


def read(text: str) -> FileNodes:
    """All entries. Raises `UsageError` for a comment without an end."""
    collector = Collector()
    for at, (number, line) in enumerate(_lines(text)):
        parts = line.split()
        entry = f"{parts[0]} (line {number})"
        collector.take(
            entry,
            lambda entry=entry, parts=parts, at=at: _node(entry, parts, is_first=at == 0),  # type: ignore[misc]
        )
    return collector.result()


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines with something in them, without comments."""
    parts, at = [], 0
    while (start := text.find("/*", at)) >= 0:
        end = text.find("*/", start + 2)
        if end < 0:
            raise UsageError("a comment in it has no end")
        parts.append(text[at:start] + "\n" * text.count("\n", start, end))
        at = end + 2
    lines = []
    for number, line in enumerate("".join([*parts, text[at:]]).splitlines(), start=1):
        if len(line) > _LONGEST:
            raise UsageError(f"line {number} is longer than {_LONGEST} characters")
        plain = line.partition("#")[0].partition("//")[0].strip()
        if plain:
            lines.append((number, plain))
    return lines


def _node(entry: str, parts: list[str], *, is_first: bool) -> FileNode:
    if not 3 <= len(parts) <= 4:
        raise UsageError("not like: AE host port compression")
    title, host, port = parts[0], parts[1], port_of(parts[2])
    if is_first and (host == "localhost" or host.startswith("127.")):
        raise UsageError("the first entry is that Conquest itself, at its own loopback address")
    compression = parts[3].lower() if len(parts) == 4 else "un"
    notes = []
    if compression not in _SYNTAXES:
        words = f"compression {clean(parts[3], limit=20)} is not taken over"
        notes.append(f"{words}: objects leave as they are stored, if it takes them")
    call = NodeCall(
        port=port, services=USUALLY_ASKED, preferred_syntaxes=_SYNTAXES.get(compression, ())
    )
    if "*" not in host:
        return file_node(entry, title, host, call, services=_SERVICES, notes=notes)
    address = _network(host)
    return _caller(entry, title, address, notes)


def _network(host: str) -> str:
    """``10.1.*`` as a CIDR; ``*`` alone is any address."""
    if host == "*":
        return ""
    found = _NETWORK.fullmatch(re.sub(r"(\.\*)+$", ".*", host))
    if found is None:
        raise UsageError("this pattern of addresses cannot be written as a network")
    known = found[1].rstrip(".").split(".")
    text = ".".join([*known, *["0"] * (4 - len(known))]) + f"/{8 * len(known)}"
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise UsageError("this pattern of addresses cannot be written as a network") from None


def _caller(entry: str, title: str, address: str, notes: list[str]) -> FileNode:
    """One without a fixed address: it may call, and is never called."""
    given = _SERVICES if address else (NodeService.ECHO, NodeService.STORE)
    missing = "" if address else "; query and move not given: its address is not known"
    return FileNode(
        entry=clean(entry, limit=60),
        ae_title=check_title(title),
        address=address,
        services=given,
        call=NodeCall(),
        notes=(*notes, f"never called: its host is a pattern{missing}"),
    )
