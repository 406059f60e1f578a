"""``dcmqrscp.cfg`` of DCMTK: HostTable, AETable and VendorTable.

A HostTable entry is ``name = (AETitle, host, port), ...`` or ``name = name, ...``; a peer that is
written out in the AETable is ``(host, AETitle, port)``, in this other order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tuipacs.domain.node import USUALLY_ASKED, NodeCall
from tuipacs.domain.node_files.found import (
    Collector,
    FileNode,
    FileNodes,
    file_node,
    port_of,
)
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import UsageError

_TABLE = re.compile(r"\s*(HostTable|AETable|VendorTable)\s+(BEGIN|END)\s*", re.IGNORECASE)
_WORD = re.compile(r'"([^"]*)"|([^\s,()="]+)|([,()=])')
_READ = (NodeService.ECHO, NodeService.QUERY, NodeService.MOVE, NodeService.GET)
_WRITE = (NodeService.ECHO, NodeService.STORE)
_RIGHTS = {"R": set(_READ), "W": set(_WRITE), "RW": {*_READ, *_WRITE}}
_MARKS = frozenset(",()=")
_LONGEST = 10_000  # characters of a line

Peer = tuple[str, str, str]  # AE title, host, port
Word = tuple[str, bool]  # and whether it is a mark


def looks_like(text: str) -> bool:
    """Whether it has a table."""
    return any(_TABLE.fullmatch(line) for line in text.splitlines() if len(line) < _LONGEST)


def read(text: str) -> FileNodes:
    """All entries of the HostTable, and peers of the AETable.

    A host that is a peer of a storage area with R may query and retrieve here, with W store; one
    that is no peer is only called. Raises `UsageError` for a file without a HostTable.
    """
    tables = _tables(text)
    collector = Collector()
    names: dict[str, list[Peer]] = {}
    groups: dict[str, list[str]] = {}
    for number, line in tables["hosttable"]:
        try:
            name, peers, members = _host_entry(line)
        except UsageError as error:
            collector.leave(f"line {number}", error.message)
            continue
        if name in names or name in groups:
            collector.leave(f"line {number}", f"{name} is there twice")
        elif members:
            groups[name] = members
        else:
            names[name] = peers
    rights = _Rights(names, groups)
    for number, line in tables["aetable"]:
        try:
            rights.read(line)
        except UsageError as error:
            collector.leave(f"line {number}", error.message)
    vendors = _vendors(tables["vendortable"], names, groups)
    for name, peer in rights.peers():
        collector.take(
            name,
            lambda name=name, peer=peer: _node(name, peer, rights, vendors),  # type: ignore[misc]
        )
    return collector.result()


def _tables(text: str) -> dict[str, list[tuple[int, str]]]:
    tables: dict[str, list[tuple[int, str]]] = {"hosttable": [], "aetable": [], "vendortable": []}
    current = ""
    seen = False
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > _LONGEST:
            raise UsageError(f"line {number} is longer than {_LONGEST} characters")
        plain = line.partition("#")[0]
        if begin := _TABLE.fullmatch(plain):
            current = begin[1].lower() if begin[2].upper() == "BEGIN" else ""
            seen |= current == "hosttable"
        elif current and plain.strip():
            tables[current].append((number, plain))
    if not seen:
        raise UsageError("it has no HostTable")
    return tables


def _words(line: str) -> list[Word]:
    return [(m[3], True) if m[3] else (m[1] or m[2] or "", False) for m in _WORD.finditer(line)]


def _host_entry(line: str) -> tuple[str, list[Peer], list[str]]:
    """Name, then peers of its own or the names that it stands for."""
    words = _words(line)
    if len(words) < 3 or words[0][1] or words[1] != ("=", True):
        raise UsageError("not like: name = (AETitle, host, port)")
    peers, members = _list(words[2:])
    if peers and members:
        raise UsageError("peers and names in one entry")
    return words[0][0], peers, members


def _list(words: list[Word]) -> tuple[list[Peer], list[str]]:
    """``(a, b, c), (d, e, f)`` and ``name, name``: triples as they stand, and names."""
    triples: list[Peer] = []
    names: list[str] = []
    at = 0
    while at < len(words):
        word, is_mark = words[at]
        if not is_mark:
            names.append(word)
            at += 1
        elif word == ",":
            at += 1
        elif word == "(":
            part = words[at : at + 7]
            marks = [word for word, is_mark in part if is_mark]
            values = [word for word, is_mark in part if not is_mark]
            if marks != ["(", ",", ",", ")"] or len(values) != 3 or part[-1] != (")", True):
                raise UsageError("not three values in brackets")
            triples.append((values[0], values[1], values[2]))
            at += 7
        else:
            raise UsageError(f"a {word} out of place")
    return triples, names


class _Rights:
    """Who may what in the storage areas of the AETable."""

    def __init__(self, names: dict[str, list[Peer]], groups: dict[str, list[str]]) -> None:
        self._names, self._groups = names, groups
        self._more: list[Peer] = []
        self._may: dict[Peer, set[NodeService]] = {}
        self._any: set[NodeService] = set()

    def read(self, line: str) -> None:
        """``AETitle storage access (studies, bytes) peers``."""
        words = _words(line)
        access = next((i for i, (word, _) in enumerate(words) if word.upper() in _RIGHTS), 0)
        quota = words[access + 1 : access + 6]
        if access < 2 or [w for w, is_mark in quota if is_mark] != ["(", ",", ")"]:
            raise UsageError("not like: AETitle folder RW (9, 1024mb) peers")
        services = _RIGHTS[words[access][0].upper()]
        triples, names = _list(words[access + 6 :])
        if not triples and not names:
            raise UsageError("no peers")
        for host, title, port in triples:
            peer = (title, host, port)
            self._more.append(peer)
            self._may.setdefault(peer, set()).update(services)
        for name in names:
            if name.upper() == "ANY":
                self._any |= services
                continue
            for peer in _members(name, self._names, self._groups):
                self._may.setdefault(peer, set()).update(services)

    def of(self, peer: Peer) -> set[NodeService]:
        """What it may do."""
        return self._any | self._may.get(peer, set())

    def peers(self) -> Iterator[tuple[str, Peer]]:
        """All that are named anywhere, each once, with what it is called."""
        told: set[Peer] = set()
        named = [(name, peer) for name, peers in self._names.items() for peer in peers]
        for name, peer in [*named, *((peer[0], peer) for peer in self._more)]:
            if peer not in told:
                told.add(peer)
                yield name, peer


def _members(
    name: str, names: dict[str, list[Peer]], groups: dict[str, list[str]]
) -> Iterable[Peer]:
    """The peers behind a name; groups may hold groups, and even themselves."""
    found: dict[Peer, None] = {}
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        if one not in names and one not in groups:
            raise UsageError(f"{one} is not in the HostTable")
        found.update(dict.fromkeys(names.get(one, [])))
        left += groups.get(one, [])
    return found


def _vendors(
    lines: list[tuple[int, str]], names: dict[str, list[Peer]], groups: dict[str, list[str]]
) -> dict[Peer, str]:
    """The vendor that a peer is of. It serves as a description: what is odd in it is left."""
    vendors: dict[Peer, str] = {}
    for _, line in lines:
        words = _words(line)
        if len(words) == 3 and words[1] == ("=", True):
            try:
                peers = _members(words[2][0], names, groups)
            except UsageError:
                continue
            vendors.update(dict.fromkeys(peers, words[0][0]))
    return vendors


def _node(name: str, peer: Peer, rights: _Rights, vendors: dict[Peer, str]) -> FileNode:
    title, host, port = peer
    allowed = rights.of(peer)
    return file_node(
        name,
        title,
        host,
        NodeCall(port=port_of(port), services=USUALLY_ASKED),
        services=[service for service in NodeService if service in allowed],
        description=vendors.get(peer, ""),
    )
