"""Routing rules: kept here, tried here, and asked here why a study was sent or not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission
from tuipacs.domain.route import MATCHED_DAYS, RouteRecord, RouteRule
from tuipacs.domain.route_check import MAX_RULES, check_rule
from tuipacs.domain.route_match import match
from tuipacs.domain.route_words import condition_words, rule_words
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConflictError, NotFoundError, UsageError
from tuipacs.index import nodes, route_facts, route_pending, routes, rows
from tuipacs.index.database import Index, Reader, Transaction
from tuipacs.index.lookup import study_names
from tuipacs.schema.messages import Empty
from tuipacs.schema.route_messages import (
    MAX_PREVIEW_DAYS,
    RouteAddRequest,
    RouteEditRequest,
    RouteEnableRequest,
    RouteExplanations,
    RouteList,
    RouteMoveRequest,
    RoutePreview,
    RoutePreviewRequest,
    RoutePreviewRow,
    RouteRequest,
    RouteStudyRequest,
)
from tuipacs.services.guard import Service, about, guarded
from tuipacs.services.routing_explain import explain

PREVIEW_LOOKED_AT = 5_000  # studies
_PREVIEW_MATCHES, _PREVIEW_MISSES = 30, 20
_DAY = 86_400.0
_EVENT = AuditEvent.SECURITY_ALERT  # 110131, Software Configuration: where patients' data goes


class Routes(Service):
    """The rules. A change counts for every study that is not judged yet."""

    def __init__(self, index: Index, clock: Clock, *, quiet_seconds: int) -> None:
        super().__init__(index, clock)
        self._quiet = quiet_seconds
        self.on_change: Callable[[], None] = lambda: None  # called after each commit

    @guarded(
        Permission.VIEW_ROUTES, _EVENT, only_refusals="reading the rules reveals no patient data"
    )
    def list(self, actor: Actor, request: Empty) -> RouteList:
        """All rules in order, with how many studies each has sent on of late."""
        with self._index.read() as reader:
            since = self._clock() - MATCHED_DAYS * _DAY
            return RouteList(
                routes=routes.with_counts(reader, routes.all_routes(reader), since),
                quiet_seconds=self._quiet,
                waiting=route_pending.waiting(reader),
            )

    @guarded(Permission.MANAGE_ROUTES, _EVENT)
    def add(self, actor: Actor, request: RouteAddRequest) -> RouteRecord:
        """Make a rule. Raises `UsageError` and, for a name that is taken, `ConflictError`."""
        about(detail=f"new rule {request.rule.name[:60]}")
        rule = check_rule(request.rule)
        with self.transaction() as tx:
            if len(routes.all_routes(tx)) >= MAX_RULES:
                raise UsageError(f"there are {MAX_RULES} rules already")
            self._check_against(tx, rule)
            self._begin(tx, enabled=rule.enabled)
            key = routes.add(tx, rule, request.position, self._clock(), actor.name)
            record = self._changed_record(tx, key)
            about(detail=f"new rule {_words(record)}")
        self.on_change()
        return record

    @guarded(Permission.MANAGE_ROUTES, _EVENT)
    def edit(self, actor: Actor, request: RouteEditRequest) -> RouteRecord:
        """Change a rule. Raises as `add` does, `NotFoundError`, and `ConflictError` when somebody
        else changed it meanwhile."""
        about(detail=f"rule {request.rule.name[:60]}")
        rule = check_rule(request.rule)
        with self.transaction() as tx:
            before = _get(tx, request.key)
            if before.revision != request.revision:
                raise ConflictError(
                    f"{before.changed_by} has changed this rule meanwhile",
                    remedy="look at it again",
                )
            if rule.nodes.count(0) > before.rule.nodes.count(0):
                raise UsageError("no destination has the key 0")
            self._check_against(tx, rule, request.key)
            self._begin(tx, enabled=rule.enabled)
            routes.change(tx, request.key, rule, self._clock(), actor.name)
            record = self._changed_record(tx, request.key)
            about(detail=f"rule {_words(before)} is now {_words(record)}")
        self.on_change()
        return record

    @guarded(Permission.MANAGE_ROUTES, _EVENT)
    def enable(self, actor: Actor, request: RouteEnableRequest) -> RouteRecord:
        """Switch a rule on or off. Raises `NotFoundError`."""
        with self.transaction() as tx:
            rule = _get(tx, request.key).rule
            about(detail=f"rule {rule.name} {'on' if request.enabled else 'off'}")
            self._begin(tx, enabled=request.enabled)
            routes.enable(tx, request.key, request.enabled, self._clock(), actor.name)
            record = self._changed_record(tx, request.key)
        self.on_change()
        return record

    @guarded(Permission.MANAGE_ROUTES, _EVENT)
    def move(self, actor: Actor, request: RouteMoveRequest) -> RouteRecord:
        """Give a rule another place. Raises `NotFoundError`."""
        with self.transaction() as tx:
            before = _get(tx, request.key)
            routes.move(tx, request.key, request.position)
            record = self._changed_record(tx, request.key)
            about(detail=f"rule {before.rule.name}: {before.position} to {record.position}")
        self.on_change()
        return record

    @guarded(Permission.MANAGE_ROUTES, _EVENT)
    def remove(self, actor: Actor, request: RouteRequest) -> Empty:
        """Forget a rule; what it decided can still be asked. Raises `NotFoundError`."""
        with self.transaction() as tx:
            about(detail=f"rule {_words(_get(tx, request.key))} removed")
            routes.remove(tx, request.key)
            route_pending.reconsider(tx)
        self.on_change()
        return Empty()

    @guarded(Permission.VIEW_ROUTES, AuditEvent.QUERY)
    def preview(self, actor: Actor, request: RoutePreviewRequest) -> RoutePreview:
        """What a rule would have matched of late. Its destinations do not matter."""
        if not 1 <= request.days <= MAX_PREVIEW_DAYS:
            raise UsageError(f"the days are 1 to {MAX_PREVIEW_DAYS}")
        rule = check_rule(request.rule)
        about(detail=f"what the rule {rule.name} would match in {request.days} days")
        now = self._clock()
        today = dt.datetime.fromtimestamp(now).astimezone().date()
        with self._index.read() as reader:
            studies, came = route_facts.recent_facts(
                reader, now - request.days * _DAY, PREVIEW_LOOKED_AT
            )
            matches: list[tuple[int, str]] = []
            misses: list[tuple[int, int, str]] = []
            for place, study in enumerate(studies):
                faults = match(rule, study, today).faults
                if faults:
                    misses.append((len(faults), place, faults[0]))
                else:
                    matches.append((study.key, ""))
            nearest = [
                (studies[place].key, reason)
                for _, place, reason in sorted(misses)[:_PREVIEW_MISSES]
            ]
            return RoutePreview(
                came=came,
                looked_at=len(studies),
                matched=len(matches),
                rows=_preview_rows(reader, [*matches[:_PREVIEW_MATCHES], *nearest]),
            )

    @guarded(Permission.BROWSE, AuditEvent.INSTANCES_ACCESSED)
    def explain(self, actor: Actor, request: RouteStudyRequest) -> RouteExplanations:
        """Why a study was sent or not. Raises `NotFoundError`."""
        now = self._clock()
        with self._index.read() as reader:
            keys = _studies(reader, request)
            return RouteExplanations(
                studies=tuple(explain(reader, key, now, self._quiet) for key in keys)
            )

    @guarded(Permission.SEND, AuditEvent.BEGIN_TRANSFERRING)
    def force(self, actor: Actor, request: RouteStudyRequest) -> RouteExplanations:
        """Take a study for complete: the rules are asked at once.

        What was routed before is not sent again. Raises `NotFoundError`, and `UsageError` for a UID
        that does not say whose study is meant.
        """
        now = self._clock()
        with self.transaction() as tx:
            keys = _studies(tx, request)
            if len(keys) > 1:
                uid = clean(request.study_instance_uid.strip(), limit=64)
                raise UsageError(
                    f"the Study Instance UID {uid} is of several patients here",
                    remedy="choose the study on the archive screen",
                )
            about(detail="routed at once")
            if not routes.any_enabled(tx):
                raise UsageError("no routing rule is switched on")
            for key in keys:
                route_pending.force(tx, key, now)
            answer = RouteExplanations(
                studies=tuple(explain(tx, key, now, self._quiet) for key in keys)
            )
        self.on_change()
        return answer

    def _check_against(self, tx: Transaction, rule: RouteRule, but: int = 0) -> None:
        if routes.name_taken(tx, rule.name, but):
            raise ConflictError(f"there is a rule “{rule.name}” already")
        known = {node.key for node in nodes.all_nodes(tx)}
        if any(key and key not in known for key in rule.nodes):
            raise NotFoundError("a destination of the rule is no known node")

    def _begin(self, tx: Transaction, *, enabled: bool) -> None:
        """With its first rule routing begins: with what is arriving now, not with the archive."""
        if enabled and not routes.any_enabled(tx):
            route_pending.begin(tx, self._clock() - self._quiet)
        route_pending.reconsider(tx)

    def _changed_record(self, tx: Transaction, key: int) -> RouteRecord:
        since = self._clock() - MATCHED_DAYS * _DAY
        return routes.with_counts(tx, (_get(tx, key),), since)[0]


def _get(reader: Reader, key: int) -> RouteRecord:
    record = routes.route(reader, key)
    if record is None:
        raise NotFoundError("there is no such rule")
    return record


def _studies(reader: Reader, request: RouteStudyRequest) -> Sequence[int]:
    """The studies that are meant; the audit record is about them."""
    uid = request.study_instance_uid.strip()
    keys = [request.key] if request.key else route_facts.study_keys(reader, uid)
    names = [name for name in (study_names(reader, key) for key in keys) if name is not None]
    if not names:
        raise NotFoundError("there is no such study")
    about(patient_id=names[0][0][:64], study_instance_uid=names[0][1])
    return keys


def _preview_rows(reader: Reader, found: Sequence[tuple[int, str]]) -> tuple[RoutePreviewRow, ...]:
    records = {record.key: record for record in rows.studies(reader, [key for key, _ in found])}
    return tuple(RoutePreviewRow(study=records[key], reason=reason) for key, reason in found)


def _words(record: RouteRecord) -> str:
    """For the audit log: what was changed, not only that."""
    rule = record.rule
    to = ", ".join(target.ae_title for target in record.targets) or "nowhere"
    state = "on" if rule.enabled else "off"
    parts = [f"{rule.name} ({state}): to {to}", *rule_words(rule)]
    return "; ".join([*parts, *condition_words(rule.conditions)])
