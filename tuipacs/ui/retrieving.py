"""From rows of a query to retrieve jobs: who is asked for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuipacs.domain.node import CallService
from tuipacs.domain.remote import HERE
from tuipacs.domain.remote_merge import MergedRow
from tuipacs.schema.remote_messages import RemoteNode, RetrieveRequest, RetrieveTarget

_WAYS = frozenset((CallService.MOVE, CallService.GET))


def may_give(node: RemoteNode, destination: int) -> bool:
    """Whether a node can be asked to hand over objects, to here or to another node."""
    services = set(node.services)
    if CallService.QUERY not in services or node.key == destination:
        return False
    return bool(_WAYS & services) if destination == HERE else CallService.MOVE in services


def source_of(
    row: MergedRow, nodes: Mapping[int, RemoteNode], destination: int = HERE
) -> int | None:
    """Whom to ask for a row: who has most of it, of those that can be asked. None for nobody."""
    able = [
        said
        for said in row.answers
        if said.node in nodes and may_give(nodes[said.node], destination)
    ]
    return max(able, key=lambda said: said.instances or 0).node if able else None


def requests_for(
    rows: Iterable[MergedRow],
    nodes: Mapping[int, RemoteNode],
    *,
    destination: int = HERE,
    source: int | None = None,
) -> tuple[list[RetrieveRequest], list[MergedRow]]:
    """A request for each source, and the rows that nobody can be asked for.

    ``source``: take all from this one; else from who has most of each.
    """
    targets: dict[int, list[RetrieveTarget]] = {}
    nobody = []
    for row in rows:
        chosen = source if source is not None else source_of(row, nodes, destination)
        if chosen is None or (source is not None and row.of(source) is None):
            nobody.append(row)
        else:
            target = RetrieveTarget(study_instance_uid=row.uid)
            targets.setdefault(chosen, []).append(target)
    requests = [
        RetrieveRequest(node=node, targets=tuple(found), destination=destination)
        for node, found in targets.items()
    ]
    return requests, nobody
