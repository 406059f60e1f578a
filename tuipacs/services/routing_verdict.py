"""What one rule says of one study: to whom what would go, and why, or why not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.route import RouteOutcome, RouteRecord, RouteTarget
from tuipacs.domain.route_match import SeriesFacts, StudyFacts, match
from tuipacs.index import nodes, route_facts
from tuipacs.index.database import Reader

O = RouteOutcome  # noqa: E741


@dataclass(frozen=True)
class Verdict:
    """For one destination, or for none. ``instances`` are to be sent to ``node``.

    ``newest``: the newest instance of each series that this verdict speaks of.
    """

    outcome: RouteOutcome
    reason: str
    destination: str = ""
    node: NodeRecord | None = None
    instances: Sequence[int] = ()
    newest: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Judge:
    """Holds rules against studies, as the index is in one transaction."""

    reader: Reader
    known: dict[int, NodeRecord]
    today: dt.date

    @classmethod
    def of(cls, reader: Reader, now: float) -> Judge:
        """With the nodes as they are, and the local day."""
        known = {node.key: node for node in nodes.all_nodes(reader)}
        return cls(reader, known, dt.datetime.fromtimestamp(now).astimezone().date())

    def say(self, record: RouteRecord, study: StudyFacts, stopped_by: str) -> tuple[Verdict, ...]:
        """One verdict for each destination of a rule that matches; else one."""
        if not record.rule.enabled:
            return (Verdict(O.DISABLED, "the rule is switched off"),)
        if stopped_by:
            return (Verdict(O.STOPPED, f"“{stopped_by}” matched, and ends the list"),)
        found = match(record.rule, study, self.today)
        if found.faults:
            return (Verdict(O.NOT_MATCHED, found.faults[0]),)
        if not record.targets:
            return (Verdict(O.NOWHERE, "it matches; the rule has no destination"),)
        return tuple(self._to(target, found.series) for target in record.targets)

    def _to(self, target: RouteTarget, series: Sequence[SeriesFacts]) -> Verdict:
        title = target.ae_title
        node = self.known.get(target.node)
        if node is None:
            return Verdict(O.NODE_REMOVED, f"{title} was removed from the nodes", title)
        if target.fault:
            return Verdict(O.NODE_NOT_CALLED, f"{title} {target.fault}", title)
        wanted, newest, kept_back = route_facts.to_send(
            self.reader, [each.key for each in series], node.key, self._names(node)
        )
        if not newest:
            return Verdict(O.NOTHING_NEW, f"all of it was routed to {title} before", title)
        if not wanted:
            words = f"all that is new came from {title}"
            return Verdict(O.CAME_FROM_THERE, words, title, newest=newest)
        words = f"{len(wanted):,} object{'s' if len(wanted) != 1 else ''} to {title}"
        if kept_back:
            words += f"; {kept_back:,} that came from there stay"
        return Verdict(O.SENT, words, title, node, wanted, newest)

    def _names(self, node: NodeRecord) -> frozenset[str]:
        """The AE titles under which a node calls: its own, and those of one at the same place."""
        place = (node.call.host.lower(), node.call.port)
        return frozenset(
            each.ae_title
            for each in self.known.values()
            if each.key == node.key or (each.call.host.lower(), each.call.port) == place
        )
