"""The part of the fake archive that knows routing rules."""

from __future__ import annotations

import msgspec

from tuipacs.domain.job import JobState
from tuipacs.domain.records import PatientRecord
from tuipacs.domain.route import (
    RouteConditions,
    RouteDecision,
    RouteOutcome,
    RouteRecord,
    RouteRule,
    RouteTarget,
)
from tuipacs.errors import ConflictError, NotFoundError
from tuipacs.schema import messages as m
from tuipacs.schema import route_messages as rt

NOW = 1795800000.0


class FakeRoutes:
    """Mixed into `FakeArchive`. A preview holds modalities against studies, and nothing else."""

    patients: list[PatientRecord]

    def start_routes(self) -> None:
        """Two rules; the destination of the second was removed."""
        self.routes = [
            _record(
                1,
                RouteRule(
                    name="CT to the workstation",
                    nodes=(7,),
                    conditions=RouteConditions(modalities=("CT",), study_descriptions=("*CHEST*",)),
                    commit=True,
                ),
                RouteTarget(node=7, ae_title="WS1"),
                matched=12,
            ),
            _record(
                2,
                RouteRule(name="everything", nodes=(0,), enabled=False),
                RouteTarget(node=0, ae_title="OLDPACS", fault="removed from the nodes"),
            ),
        ]
        self.waiting = 1
        self.forced: list[int] = []

    def _route(self, key: int) -> RouteRecord:
        found = next((record for record in self.routes if record.key == key), None)
        if found is None:
            raise NotFoundError("there is no such rule")
        return found

    def _put(self, records: list[RouteRecord]) -> None:
        self.routes = [
            msgspec.structs.replace(record, position=place)
            for place, record in enumerate(records, start=1)
        ]

    def do_routes_list(self, _: m.Empty) -> rt.RouteList:
        return rt.RouteList(routes=tuple(self.routes), quiet_seconds=60, waiting=self.waiting)

    def do_routes_add(self, request: rt.RouteAddRequest) -> RouteRecord:
        if any(record.rule.name == request.rule.name for record in self.routes):
            raise ConflictError(f"there is a rule “{request.rule.name}” already")
        record = _record(len(self.routes) + 1, request.rule, RouteTarget(node=7, ae_title="WS1"))
        self._put([*self.routes, record])
        return record

    def do_routes_edit(self, request: rt.RouteEditRequest) -> RouteRecord:
        record = msgspec.structs.replace(
            self._route(request.key), rule=request.rule, revision=request.revision + 1
        )
        self._put([record if each.key == request.key else each for each in self.routes])
        return record

    def do_routes_enable(self, request: rt.RouteEnableRequest) -> RouteRecord:
        record = self._route(request.key)
        rule = msgspec.structs.replace(record.rule, enabled=request.enabled)
        return self.do_routes_edit(
            rt.RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
        )

    def do_routes_move(self, request: rt.RouteMoveRequest) -> RouteRecord:
        record = self._route(request.key)
        rest = [each for each in self.routes if each.key != record.key]
        rest.insert(request.position - 1, record)
        self._put(rest)
        return record

    def do_routes_remove(self, request: rt.RouteRequest) -> m.Empty:
        record = self._route(request.key)
        self._put([each for each in self.routes if each is not record])
        return m.Empty()

    def do_routes_preview(self, request: rt.RoutePreviewRequest) -> rt.RoutePreview:
        from tests.ui.fake_archive import study

        wanted = request.rule.conditions.modalities
        rows = []
        for patient in self.patients[:40]:
            row = study(2 * patient.key, patient)
            fits = not wanted or row.modalities_in_study[0] in wanted
            there = ", ".join(row.modalities_in_study)
            reason = f"no modality is like {' or '.join(wanted)} (there is {there})"
            rows.append(rt.RoutePreviewRow(study=row, reason="" if fits else reason))
        rows.sort(key=lambda row: row.reason != "")
        return rt.RoutePreview(
            came=40,
            looked_at=40,
            matched=sum(not row.reason for row in rows),
            rows=tuple(rows),
        )

    def do_routes_explain(self, request: rt.RouteStudyRequest) -> rt.RouteExplanations:
        from tests.ui.fake_archive import study

        owner = next(p for p in self.patients if p.key == request.key // 2)
        return rt.RouteExplanations(
            studies=(
                rt.RouteExplanation(
                    study=study(request.key, owner),
                    state="judged",
                    waits=False,
                    decisions=(
                        _decision("CT to the workstation", RouteOutcome.SENT, "312 objects to WS1"),
                        _decision("everything", RouteOutcome.DISABLED, "the rule is switched off"),
                    ),
                    now=(),
                ),
            )
        )

    def do_routes_force(self, request: rt.RouteStudyRequest) -> rt.RouteExplanations:
        self.forced.append(request.key)
        (found,) = self.do_routes_explain(request).studies
        state = "about to be judged: somebody asked for it"
        return rt.RouteExplanations(studies=(msgspec.structs.replace(found, state=state),))


def _decision(rule: str, outcome: RouteOutcome, reason: str) -> RouteDecision:
    sent = outcome is RouteOutcome.SENT
    return RouteDecision(
        at=NOW - 3600,
        rule=rule,
        outcome=outcome,
        reason=reason,
        job=17 if sent else 0,
        instances=312 if sent else 0,
        job_state=JobState.WAITING if sent else None,
    )


def _record(key: int, rule: RouteRule, target: RouteTarget, *, matched: int = 0) -> RouteRecord:
    return RouteRecord(
        key=key,
        position=key,
        revision=1,
        rule=rule,
        targets=(target,) if rule.nodes else (),
        created_at=NOW - 86400,
        changed_at=NOW - 86400,
        changed_by="admin",
        matched=matched,
        matched_at=NOW - 3600 if matched else None,
    )
