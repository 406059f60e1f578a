"""The part of the fake archive that asks other archives: what they will say is set beforehand."""

from __future__ import annotations

import asyncio

import msgspec

from tests.ui.fake_jobs import running_job
from tuipacs.domain.job import JobRecord
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService
from tuipacs.domain.remote import HERE, NodeAnswer, NodeState, RemoteRow, SeriesComparison
from tuipacs.schema import messages as m
from tuipacs.schema import remote_messages as r

ALL = (CallService.QUERY, CallService.MOVE, CallService.GET)


def study(node: int, number: int, instances: int | None = 10, **changes: object) -> RemoteRow:
    """A study of DOE^NUMBER, as a node tells of it."""
    row = RemoteRow(
        node=node,
        level=Level.STUDY,
        patient_id=f"100{number}",
        patient_name=f"DOE^N{number}",
        patient_birth_date="19700131",
        study_instance_uid=f"1.2.{number}",
        study_date=f"202611{28 - number:02}",
        study_description="CHEST W/O",
        modalities_in_study=("CT",),
        instances=instances,
    )
    return msgspec.structs.replace(row, **changes)


def answer_of(
    node: int, ae_title: str, state: NodeState, rows: int = 0, words: str = ""
) -> NodeAnswer:
    """How a node stands."""
    return NodeAnswer(node=node, ae_title=ae_title, state=state, rows=rows, words=words)


class FakeRemote:
    """Mixed into `FakeArchive`. Each poll gives the next piece, the last one again and again."""

    jobs: list[JobRecord]
    jobs_version: int
    remote_nodes: list[r.RemoteNode]
    pieces: list[r.RemoteAnswers]
    comparison: list[r.RemoteAnswers]
    holdings: dict[str, int]
    next_piece: asyncio.Event | None  # while set and not open, a poll gives nothing new

    def start_remote(self) -> None:
        """Two archives, of which the second cannot be reached."""
        self.remote_nodes = [
            r.RemoteNode(key=7, ae_title="PACS1", description="radiology", services=ALL),
            r.RemoteNode(
                key=8, ae_title="PACS2", description="cardiology", services=(CallService.QUERY,)
            ),
        ]
        here = answer_of(HERE, "here", NodeState.COMPLETE, 1)
        rows = (
            study(7, 1, 10),
            study(7, 2, 6, here=4),
            study(7, 3, 5, here=5),
            study(HERE, 3, 5, here=5),
        )
        self.pieces = [
            r.RemoteAnswers(
                nodes=(
                    here,
                    answer_of(7, "PACS1", NodeState.ASKING, 3),
                    answer_of(8, "PACS2", NodeState.ASKING),
                ),
                rows=rows,
                next=4,
                finished=False,
            ),
            r.RemoteAnswers(
                nodes=(
                    here,
                    answer_of(7, "PACS1", NodeState.COMPLETE, 3),
                    answer_of(8, "PACS2", NodeState.UNREACHABLE, 0, "nothing listens there"),
                ),
                next=4,
                finished=True,
            ),
        ]
        self.comparison = [
            r.RemoteAnswers(
                nodes=(answer_of(7, "PACS1", NodeState.COMPLETE),),
                series=(
                    SeriesComparison(
                        series_instance_uid="1.2.2.1",
                        modality="CT",
                        series_number="1",
                        series_description="AXIAL",
                        there=4,
                        here=4,
                    ),
                    SeriesComparison(
                        series_instance_uid="1.2.2.2",
                        modality="CT",
                        series_number="2",
                        series_description="CORONAL",
                        there=2,
                        missing=2,
                    ),
                ),
                next=2,
                finished=True,
            )
        ]
        self.holdings = {}
        self.next_piece = None
        self._polled: dict[str, int] = {}
        self._tokens = 0

    def _token(self, kind: str) -> r.RemoteTask:
        self._tokens += 1
        return r.RemoteTask(token=f"{kind}-{self._tokens}")

    def do_remote_nodes(self, _: m.Empty) -> r.RemoteNodes:
        return r.RemoteNodes(nodes=tuple(self.remote_nodes))

    def do_remote_start(self, request: r.RemoteStart) -> r.RemoteTask:
        return self._token("search")

    def do_remote_compare(self, request: r.CompareStart) -> r.RemoteTask:
        return self._token("compare")

    def do_remote_poll(self, request: r.RemotePoll) -> r.RemoteAnswers:
        pieces = self.comparison if request.token.startswith("compare") else self.pieces
        at = self._polled.get(request.token, 0)
        if at and self.next_piece is not None and not self.next_piece.is_set():
            return msgspec.structs.replace(pieces[at - 1], rows=(), series=(), finished=False)
        piece = pieces[min(at, len(pieces) - 1)]
        self._polled[request.token] = at + 1
        return piece

    def do_remote_cancel(self, request: r.RemoteTask) -> m.Empty:
        if self.next_piece is not None:
            self.next_piece.set()
        self.pieces[-1] = msgspec.structs.replace(
            self.pieces[-1],
            nodes=tuple(
                msgspec.structs.replace(node, state=NodeState.CANCELLED, words="cancelled")
                if not node.state.ended
                else node
                for node in self.pieces[0].nodes
            ),
        )
        return m.Empty()

    def do_remote_here(self, request: r.HoldingsRequest) -> r.Holdings:
        return r.Holdings(counts=tuple(self.holdings.get(uid, 0) for uid in request.uids))

    def do_retrievals_submit(self, request: r.RetrieveRequest) -> JobRecord:
        job = running_job(len(self.jobs) + 1, title="retrieve 1.2.1 from PACS1 to here")
        self.jobs.insert(0, job)
        self.jobs_version += 1
        return job
