"""Routing itself: the change feed says what came, and what is complete is judged by the rules.

Called by one thread (`tuipacs.jobs.router`). Each step is one transaction: what was read of the
feed and the studies that wait for it; a study's decisions and the jobs that come of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.job import ROUTING_SUBMITTER
from tuipacs.domain.permissions import Permission
from tuipacs.domain.route import RouteDecision, RouteOutcome, RouteRecord, RouteSource
from tuipacs.domain.route_match import StudyFacts
from tuipacs.index import route_facts, route_pending, routes
from tuipacs.index.database import Index, Transaction
from tuipacs.index.job_items import add_send_job
from tuipacs.index.route_pending import Pending
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.routing_verdict import Judge, Verdict
from tuipacs.services.wakeups import Wakeups

CHANGES_AT_ONCE = 5_000
STUDIES_AT_ONCE = 50
KEEP_DECISIONS = 90 * 86_400.0  # seconds
_POSTPONED = 600.0  # seconds until a study is tried again that could not be judged
_CLOCK_TOLERANCE = 5.0  # seconds that an object may seem to come from the future
_WORK = "the record is written with the job that comes of it"


class Judging(Service):
    """What the router thread does."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        wakeups: Wakeups,
        *,
        quiet_seconds: int,
    ) -> None:
        super().__init__(index, clock)
        self._wakeups = wakeups
        self._quiet = quiet_seconds
        self.on_submit: Callable[[int], None] = lambda key: None

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING, only_refusals=_WORK)
    def follow(self, actor: Actor) -> bool:
        """Read the next stretch of the feed; True if there is more. Nothing without a rule."""
        with self._index.read() as reader:
            if not (routes.any_enabled(reader) and route_pending.is_behind(reader)):
                return False
        with self.transaction() as tx:
            rules = [record.rule for record in routes.all_routes(tx) if record.rule.enabled]
            found = route_pending.arrivals(
                tx,
                route_pending.cursor(tx),
                CHANGES_AT_ONCE,
                with_imports=any(
                    rule.conditions.source is not RouteSource.RECEIVED for rule in rules
                ),
            )
            quiet = min((rule.quiet_seconds or self._quiet for rule in rules), default=self._quiet)
            for study, at in found.studies:
                route_pending.note(tx, study, at, quiet)
            route_pending.set_cursor(tx, found.seq)
        return found.more

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING, only_refusals=_WORK)
    def due(self, actor: Actor) -> tuple[list[int], float | None]:
        """Studies to judge now, and in how many seconds the next one is (None: none waits)."""
        now = self._clock()
        with self._index.read() as reader:
            if not routes.any_enabled(reader):
                return [], None
            from_the_future = route_pending.newest(reader) > now + _CLOCK_TOLERANCE
        if from_the_future:
            with self.transaction() as tx:
                route_pending.clock_went_back(tx, now)
        with self._index.read() as reader:
            studies = route_pending.due(reader, now, STUDIES_AT_ONCE)
            next_due = route_pending.next_due(reader)
        return studies, None if next_due is None else max(next_due - now, 0.0)

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING)
    def judge(self, actor: Actor, study: int) -> tuple[int, ...]:
        """Ask the rules about a study that waits; return the jobs that were queued.

        Rules that want it quiet for longer are asked later, and so are those behind them that
        they could stop.
        """
        now = self._clock()
        with self.transaction() as tx:
            jobs: tuple[int, ...] = ()
            item = route_pending.pending(tx, study)
            facts = route_facts.facts(tx, study) if item is not None else None
            if item is None or facts is None:
                route_pending.forget(tx, study)
            else:
                jobs = self._judge(tx, item, facts, now)
                about(patient_id=facts.patient_id[:64], study_instance_uid=facts.study_instance_uid)
            if jobs:
                about(detail=f"routing queued job {', '.join(map(str, jobs))}")
            else:
                covered()
        for job in jobs:
            self.on_submit(job)
        if jobs:
            self._wakeups.jobs()
        return jobs

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING, only_refusals=_WORK)
    def postpone(self, actor: Actor, study: int) -> None:
        """A study cannot be judged: a bug must not keep the others."""
        with self.transaction() as tx:
            item = route_pending.pending(tx, study)
            if item is not None:
                later = self._clock() + _POSTPONED
                route_pending.keep(tx, item._replace(due_at=later, forced=False))

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING, only_refusals=_WORK)
    def prune(self, actor: Actor) -> int:
        """Forget old decisions; return how many."""
        with self.transaction() as tx:
            return route_pending.prune(tx, self._clock() - KEEP_DECISIONS)

    def _judge(
        self, tx: Transaction, item: Pending, facts: StudyFacts, now: float
    ) -> tuple[int, ...]:
        judge = Judge.of(tx, now)
        records = routes.all_routes(tx)
        jobs: list[int] = []
        judged, stopped_by = set(item.judged), item.stopped_by
        ready, later = ready_rules(records, item, now, self._quiet)
        for record in ready:
            verdicts = judge.say(record, facts, stopped_by)
            for verdict in verdicts:
                job = self._act(tx, record, facts, verdict, now, forced=item.forced)
                if job:
                    jobs.append(job)
            judged.add(record.key)
            if record.rule.stop and matched(verdicts):
                stopped_by = record.rule.name
        if later is not None:
            kept = item._replace(due_at=later, judged=frozenset(judged), stopped_by=stopped_by)
            route_pending.keep(tx, kept)
            return tuple(jobs)
        for record in records:
            if not record.rule.enabled:
                for verdict in judge.say(record, facts, ""):
                    self._act(tx, record, facts, verdict, now, forced=item.forced)
        route_pending.forget(tx, item.study)
        return tuple(jobs)

    def _act(
        self,
        tx: Transaction,
        record: RouteRecord,
        facts: StudyFacts,
        verdict: Verdict,
        now: float,
        *,
        forced: bool,
    ) -> int:
        """Write a verdict down, and queue the job that it asks for."""
        job = 0
        if verdict.node is not None:
            for series, instance in verdict.newest.items():
                route_pending.mark(tx, series, verdict.node.key, instance)
            job = add_send_job(
                tx,
                node=verdict.node,
                instances=verdict.instances,
                title=f"route “{record.rule.name}” to {verdict.destination}",
                submitted_by=ROUTING_SUBMITTER,
                at=now,
                priority=record.rule.priority,
                commit=record.rule.commit,
            )
        decision = decision_of(record, verdict, now, job=job, forced=forced)
        route_pending.decide(tx, facts.key, record.key, decision)
        return job


def ready_rules(
    records: Sequence[RouteRecord], item: Pending, now: float, quiet: int
) -> tuple[list[RouteRecord], float | None]:
    """The enabled rules that can speak now, and when the next one can (None: all can)."""
    ready: list[RouteRecord] = []
    later: list[float] = []
    held = 0
    for record in records:
        rule = record.rule
        if not rule.enabled or record.key in item.judged:
            continue
        held_for = max(rule.quiet_seconds or quiet, held)
        if item.forced or item.last_at + held_for <= now:
            ready.append(record)
            continue
        later.append(item.last_at + held_for)
        if rule.stop:
            held = held_for
    return ready, min(later, default=None)


def matched(verdicts: Sequence[Verdict]) -> bool:
    """Whether the rule fitted, whatever became of its destinations."""
    apart = (RouteOutcome.NOT_MATCHED, RouteOutcome.DISABLED, RouteOutcome.STOPPED)
    return any(verdict.outcome not in apart for verdict in verdicts)


def decision_of(
    record: RouteRecord, verdict: Verdict, now: float, *, job: int = 0, forced: bool = False
) -> RouteDecision:
    """A verdict as it is kept and shown."""
    return RouteDecision(
        at=now,
        rule=record.rule.name,
        outcome=verdict.outcome,
        reason=verdict.reason,
        destination=verdict.destination,
        job=job,
        instances=len(verdict.instances),
        forced=forced,
    )
