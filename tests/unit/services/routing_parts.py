"""An archive that routes, without its thread: rules, nodes, arrivals, and judging by hand."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from tests.builders import make_study
from tests.unit.services.parts import Parts, actor, received, take
from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.job import ROUTING_SUBMITTER
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService, Role
from tuipacs.domain.route import RouteConditions, RouteDecision, RouteRecord, RouteRule
from tuipacs.index import nodes
from tuipacs.schema.route_messages import (
    RouteAddRequest,
    RouteExplanation,
    RouteStudyRequest,
)
from tuipacs.services.routing import Routes
from tuipacs.services.routing_judge import Judging

QUIET = 60
ADMIN = actor(Role.ADMIN)


class Routing:
    """What the tests of routing do."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.routes = Routes(parts.index, parts.clock, quiet_seconds=QUIET)
        self.judging = self.new_judging()
        self.woken: list[int] = []

    def new_judging(self) -> Judging:
        """As a restarted daemon has it."""
        judging = Judging(
            self.parts.index, self.parts.clock, self.parts.wakeups, quiet_seconds=QUIET
        )
        judging.on_submit = lambda key: self.woken.append(key)
        return judging

    @property
    def system(self) -> Actor:
        """Who the router acts as."""
        return self.parts.sessions.on_behalf_of(ROUTING_SUBMITTER)

    def node(
        self,
        title: str,
        *,
        host: str = "192.0.2.9",
        port: int = 104,
        services: tuple[CallService, ...] = (CallService.SEND,),
    ) -> int:
        """Make a node known; its key."""
        record = NodeRecord(
            key=0,
            ae_title=title,
            address="",
            services=(NodeService.ECHO, NodeService.STORE),
            description="",
            created_at=self.parts.clock(),
            call=NodeCall(host=host, port=port, services=services),
        )
        with self.parts.index.write() as tx:
            return nodes.add_node(tx, record)

    def forget_node(self, key: int) -> None:
        with self.parts.index.write() as tx:
            nodes.remove_node(tx, key)

    def rule(
        self,
        name: str,
        *to: int,
        conditions: RouteConditions | None = None,
        position: int = 0,
        **other: Any,
    ) -> RouteRecord:
        """Make a rule."""
        rule = RouteRule(name=name, nodes=to, conditions=conditions or RouteConditions(), **other)
        return self.routes.add(ADMIN, RouteAddRequest(rule=rule, position=position))

    def arrive(self, *objects: Dataset, calling: str = "CT1") -> list[IngestResult]:
        """Receive objects from a node."""
        return [
            take(self.parts.ingest, received(dataset, calling_ae_title=calling))
            for dataset in objects
        ]

    def study(self, count: int = 2, *, calling: str = "CT1", **keywords: object) -> str:
        """Receive a new study; its UID."""
        objects = make_study(1, count, **keywords)
        self.arrive(*objects, calling=calling)
        return str(objects[0].StudyInstanceUID)

    def look(self, seconds: float = QUIET) -> list[int]:
        """Let time pass, follow the feed and judge all that is due; the jobs that came of it."""
        self.parts.clock.now += seconds
        while self.judging.follow(self.system):
            pass
        jobs: list[int] = []
        studies, _ = self.judging.due(self.system)
        for study in studies:
            jobs += self.judging.judge(self.system, study)
        return jobs

    def items(self, job: int) -> list[str]:
        """The SOP Instance UIDs of a job, in order."""
        rows = self.parts.rows(
            "SELECT sop_instance_uid FROM job_item WHERE job = ? ORDER BY position", job
        )
        return [row[0] for row in rows]

    def explain(self, uid: str) -> RouteExplanation:
        """Why a study was sent or not."""
        request = RouteStudyRequest(study_instance_uid=uid)
        (only,) = self.routes.explain(ADMIN, request).studies
        return only

    def said(self, uid: str) -> list[tuple[str, str, str]]:
        """(rule, outcome, reason) of all decisions."""
        return [words(decision) for decision in self.explain(uid).decisions]


def words(decision: RouteDecision) -> tuple[str, str, str]:
    """What a test compares."""
    return decision.rule, decision.outcome.value, decision.reason
