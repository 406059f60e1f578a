"""A listening archive with everything real but the bytes' keeper."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.waiting import eventually
from tuipacs.dimse.acceptor.listener import Listener
from tuipacs.dimse.contract import ListenerSettings, ServiceProvider
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.clock import system_clock
from tuipacs.domain.ingest import AnnouncedObject, IngestResult
from tuipacs.domain.node import AssociationRecord, AssociationState
from tuipacs.domain.permissions import GIVEN_SERVICES, MATRIX, NODE_RIGHTS, NodeService, Role
from tuipacs.errors import ForbiddenError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.scp.c_echo import EchoProvider
from tuipacs.scp.c_find import FindProvider
from tuipacs.scp.c_store import Store, StoreProvider
from tuipacs.services.alerts import Alerts
from tuipacs.services.incoming_board import IncomingBoard
from tuipacs.services.nodes import Nodes
from tuipacs.services.query import Query
from tuipacs.services.reception import Reception
from tuipacs.services.verification import Verification
from tuipacs.storage.local import LocalStore

T = TypeVar("T")
ADMIN = Actor(kind=ActorKind.USER, name="admin", role=Role.ADMIN, permissions=MATRIX[Role.ADMIN])


@dataclass
class Kept:
    """An object that came whole, and what its command said."""

    dataset: bytes
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    called_ae_title: str


class Held(Reception):
    """An object on its way in that stays in memory, however large."""

    def __init__(self, announced: AnnouncedObject) -> None:
        super().__init__(announced, _NO_STORE)
        self.data = bytearray()

    def write(self, fragment: bytes | memoryview) -> None:
        self.data += fragment


_NO_STORE: Any = None


class Keeper:
    """Stands for ingest: remembers what came, and fails or waits as told."""

    def __init__(self) -> None:
        self.received: list[Kept] = []
        self.result: IngestResult | Exception = IngestResult.STORED
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def receive(self, actor: Actor, announced: AnnouncedObject, /) -> Reception:
        if NODE_RIGHTS[NodeService.STORE] not in actor.permissions:
            raise ForbiddenError("this caller may not store")
        return Held(announced)

    def store(self, actor: Actor, reception: Reception, /) -> IngestResult:
        self.entered.set()
        assert self.may_go_on.wait(20)
        if isinstance(self.result, Exception):
            raise self.result
        assert isinstance(reception, Held)
        announced = reception.announced
        kept = Kept(
            dataset=bytes(reception.data),
            transfer_syntax_uid=announced.transfer_syntax_uid,
            sop_class_uid=announced.sop_class_uid,
            sop_instance_uid=announced.sop_instance_uid,
            calling_ae_title=announced.calling_ae_title,
            called_ae_title=announced.called_ae_title,
        )
        self.received.append(kept)
        return self.result


class Archive:
    """Listener, node table, board and audit log, wired as the daemon does it."""

    def __init__(
        self,
        folder: Path,
        *,
        unknown: UnknownCallers = UnknownCallers.STORE,
        refuse: tuple[str, ...] = (),
        ingest: Callable[[Index, Path], Store] | None = None,
        more: Sequence[ServiceProvider] = (),
        build: Callable[[Archive], Sequence[ServiceProvider]] = lambda _: (),
        doors: Callable[[Index], dict[str, Any]] = lambda _: {},
        max_results: int = 0,
        **settings: object,
    ) -> None:
        self.index = Index(folder / "index.db")
        migrate(self.index)
        self.nodes = Nodes(self.index, system_clock, unknown_callers=unknown)
        self.board = IncomingBoard(Alerts(self.index, system_clock), system_clock)
        self.keeper = Keeper()
        self.listener = Listener(
            ListenerSettings(port=0, **settings),  # type: ignore[arg-type]
            admit=self.nodes.admit,
            providers=[
                EchoProvider(self.nodes, Verification(self.index, system_clock)),
                StoreProvider(
                    self.nodes, ingest(self.index, folder) if ingest else self.keeper, refuse
                ),
                *more,
                *build(self),
                FindProvider(
                    self.nodes,
                    Query(self.index, system_clock, LocalStore(folder / "objects", reserve=0)),
                    "TUIPACS",
                    max_results,
                ),
            ],
            observer=self.board,
            on_thread_end=self.index.close,
            expects=self.nodes.expects,
            **doors(self.index),
        )
        self.nodes.on_change = self.listener.recheck
        self.listener.start()

    @property
    def port(self) -> int:
        return self.listener.port

    def know(self, ae_title: str, *services: NodeService, address: str = "") -> int:
        """Add a node; all services if none is named."""
        request = NodeAddRequest(
            ae_title=ae_title, address=address, services=services or GIVEN_SERVICES
        )
        return self.nodes.add(ADMIN, request).key

    def records(self) -> tuple[AssociationRecord, ...]:
        return self.board.snapshot()[1]

    def record(self, state: AssociationState) -> AssociationRecord:
        """The newest one in that state, once there is one."""
        return eventually(lambda: next((row for row in self.records() if row.state is state), None))

    def audited(self, words: str) -> list[str]:
        """Details of the audit records that hold ``words``."""
        with self.index.read() as reader:
            return [r.detail for r in audit.page(reader, (words,), 0, 1000)]

    def close(self) -> None:
        self.keeper.may_go_on.set()
        self.listener.stop()
        self.index.close()
