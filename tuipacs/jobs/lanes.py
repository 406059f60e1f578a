"""Lanes: whose turn it is. One for each node, and one for the imports, none in another's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.time_window import opens_at
from tuipacs.index import jobs, nodes
from tuipacs.index.database import Reader


@dataclass(frozen=True)
class Turn:
    """A job that may begin, and the node it calls (None: nobody, or one that was removed)."""

    key: int
    lane: int
    node: NodeRecord | None


@dataclass(frozen=True)
class Turns:
    """Who may begin now, and when the next closed lane opens (None: there is none)."""

    ready: tuple[Turn, ...]
    opens_at: float | None


def turns(reader: Reader, now: float, running: Iterable[int], later: Collection[int]) -> Turns:
    """Whose turn it is, beside the lanes of those that run. ``later``: jobs that are not asked."""
    busy = Counter(running)
    ready: list[Turn] = []
    opening: list[float] = []
    for lane in jobs.lanes_queued(reader):
        node = nodes.node(reader, lane) if lane > 0 else None
        if node is not None and node.paused:
            continue
        if node is not None and (at := opens_at(node.call.window, now)) is not None:
            opening.append(at)
            continue
        free = slots(node) - busy[lane]
        if free > 0:
            first = jobs.queued(reader, lane, free + len(later))
            keys = [key for key in first if key not in later][:free]
            ready += (Turn(key, lane, node) for key in keys)
    return Turns(tuple(ready), min(opening, default=None))


def slots(node: NodeRecord | None) -> int:
    """How many jobs of a lane run at once."""
    return 1 if node is None else max(1, node.call.max_associations)
