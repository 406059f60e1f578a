"""How routing stands with one study, in words for the person who asks."""

from __future__ import annotations

from tuipacs.domain.route import RouteDecision
from tuipacs.index import route_facts, route_pending, routes, rows
from tuipacs.index.database import Reader
from tuipacs.schema.route_messages import RouteExplanation
from tuipacs.services.routing_judge import decision_of, matched, ready_rules
from tuipacs.services.routing_verdict import Judge

_DECISIONS = 500  # of one study

NEVER_JUDGED = (
    "never judged: it came before the first rule, while no rule was on, or was imported when no"
    " rule was for imports"
)


def explain(reader: Reader, study: int, now: float, quiet: int) -> RouteExplanation:
    """What was decided of a study, whether it still waits, and what the rules say now."""
    decisions = route_pending.decisions(reader, study, _DECISIONS)
    item = route_pending.pending(reader, study)
    waits = False
    if not routes.any_enabled(reader):
        state = "no rule is switched on"
    elif item is not None:
        waits = True
        state = _waiting(reader, item, now, quiet)
    elif not route_pending.is_noted(reader, study):
        waits = True
        state = "still arriving: something came just now"
    elif decisions:
        state = "judged"
    else:
        state = NEVER_JUDGED
    (record,) = rows.studies(reader, [study])
    return RouteExplanation(
        study=record,
        state=state,
        waits=waits,
        decisions=decisions,
        now=_dry_run(reader, study, now),
    )


def _waiting(reader: Reader, item: route_pending.Pending, now: float, quiet: int) -> str:
    if item.forced:
        return "about to be judged: somebody asked for it"
    ready, later = ready_rules(routes.all_routes(reader), item, now, quiet)
    if ready or later is None:
        if item.due_at > now:
            return "it could not be judged, and will be tried again: see the log"
        return "about to be judged"
    wait = later - item.last_at
    so_far = max(now - item.last_at, 0)
    return f"still arriving: {so_far:.0f} s of {wait:.0f} s quiet"


def _dry_run(reader: Reader, study: int, now: float) -> tuple[RouteDecision, ...]:
    facts = route_facts.facts(reader, study)
    if facts is None:
        return ()
    judge = Judge.of(reader, now)
    found: list[RouteDecision] = []
    stopped_by = ""
    for record in routes.all_routes(reader):
        verdicts = judge.say(record, facts, stopped_by)
        found += (decision_of(record, verdict, now) for verdict in verdicts)
        if not stopped_by and record.rule.stop and matched(verdicts):
            stopped_by = record.rule.name
    return tuple(found)
