"""The part of the fake archive that knows nodes."""

from __future__ import annotations

import asyncio

import msgspec

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import NodeHealth, Rung, RungResult, Verdict
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import ConflictError, NotFoundError
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n

NOW = 1795800000.0

LADDER = (
    RungResult(
        rung=Rung.TCP, verdict=Verdict.PASSED, words="something listens there", seconds=0.001
    ),
    RungResult(rung=Rung.TLS, verdict=Verdict.SKIPPED, words="it is called without TLS"),
    RungResult(
        rung=Rung.ASSOCIATION,
        verdict=Verdict.FAILED,
        words="rejected the association permanently: calling AE title not recognised"
        " (result 1, source 1, reason 3)",
        remedy="make this archive known over there: AE title ARCH1, and this machine's address",
        code="rejected",
        seconds=0.012,
    ),
    RungResult(rung=Rung.ECHO, verdict=Verdict.NOT_TRIED, words="not tried"),
    RungResult(rung=Rung.FIND, verdict=Verdict.NOT_TRIED, words="not tried"),
)


class FakeNodes:
    """Mixed into `FakeArchive`."""

    nodes: list[NodeRecord]
    health_of_nodes: dict[int, NodeHealth]
    ladder: tuple[RungResult, ...]
    climbed: int  # rungs that are told while the test runs
    top: asyncio.Event | None  # while set and not open, a test does not end

    def start_nodes(self) -> None:
        """One scanner that sends."""
        self.nodes = [
            NodeRecord(
                key=1,
                ae_title="CT_ROOM1",
                address="10.0.4.17",
                services=(NodeService.ECHO, NodeService.STORE),
                description="CT in room 1",
                created_at=NOW - 86400,
            )
        ]
        self.health_of_nodes = {}
        self.ladder, self.climbed, self.top = LADDER, 0, None

    def do_nodes_list(self, _: m.Empty) -> n.NodeList:
        return n.NodeList(nodes=tuple(self.nodes), health=tuple(self.health_of_nodes.values()))

    def do_nodes_add(self, request: n.NodeAddRequest) -> NodeRecord:
        who = (request.ae_title, request.address)
        if any((node.ae_title, node.address) == who for node in self.nodes):
            raise ConflictError(f"{request.ae_title} is known from {request.address} already")
        node = _record(request, max((node.key for node in self.nodes), default=0) + 1)
        self.nodes.append(node)
        return node

    def do_nodes_add_all(self, request: n.NodeAddAllRequest) -> n.NodeAdded:
        return n.NodeAdded(nodes=tuple(self.do_nodes_add(one) for one in request.nodes))

    def do_nodes_edit(self, request: n.NodeEditRequest) -> NodeRecord:
        for index, node in enumerate(self.nodes):
            if node.key == request.seen.key:
                if node != request.seen:
                    raise ConflictError(f"{node.ae_title} was changed by somebody else meanwhile")
                self.nodes[index] = _record(request.node, node.key)
                return self.nodes[index]
        raise NotFoundError("there is no such node any more")

    def do_nodes_remove(self, request: n.NodeRemoveRequest) -> m.Empty:
        self.nodes = [node for node in self.nodes if node.key != request.key]
        return m.Empty()

    def do_nodes_echo(self, request: n.NodeTestRequest) -> n.NodeTestReport:
        rung = RungResult(
            rung=Rung.ECHO, verdict=Verdict.PASSED, words="C-ECHO was answered", seconds=0.003
        )
        return n.NodeTestReport(rungs=(rung,))

    async def do_nodes_test(self, request: n.NodeTestRequest) -> n.NodeTestReport:
        if self.top is not None:
            await self.top.wait()
        return n.NodeTestReport(rungs=self.ladder)

    def do_nodes_test_progress(self, request: n.NodeTestProgressRequest) -> n.NodeTestReport:
        return n.NodeTestReport(rungs=self.ladder[: self.climbed])


def _record(request: n.NodeAddRequest, key: int) -> NodeRecord:
    return msgspec.convert(
        {"key": key, "created_at": NOW} | msgspec.to_builtins(request), NodeRecord
    )
