"""Every way into the services is guarded, and the whole matrix of roles holds when walked."""

from __future__ import annotations

import importlib
import inspect
import io
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.builders import make_dataset, part10_bytes
from tests.unit.services.parts import PEER, actor, fast_hasher, received
from tuipacs import services
from tuipacs.bootstrap import Archive, Services
from tuipacs.config import Config
from tuipacs.domain.actor import Actor
from tuipacs.domain.attributes import (
    IndexedAttributes,
    InstanceAttributes,
    PatientAttributes,
    SeriesAttributes,
    StudyAttributes,
)
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.find import STUDY_ROOT
from tuipacs.domain.ingest import ExpectedObjects
from tuipacs.domain.job import JobKind, JobPriority, JobRecord, JobState
from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.permissions import MATRIX, NODE_RIGHTS, NodeService, Permission, Role
from tuipacs.domain.remote import RemoteQuery
from tuipacs.domain.route import RouteRule
from tuipacs.errors import ForbiddenError, TuipacsError
from tuipacs.index import audit
from tuipacs.paths import ArchivePaths
from tuipacs.schema import commit_messages as c
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import remote_messages as r
from tuipacs.schema import route_messages as rt
from tuipacs.schema.operations import ALL
from tuipacs.scp.c_move import MoveProvider
from tuipacs.services.commitment_requests import CommitmentRequest, CommitmentRequests
from tuipacs.services.commitments import CommitmentReport
from tuipacs.services.guard import Service
from tuipacs.services.ingest import Ingest
from tuipacs.services.moving import MoveOrigin
from tuipacs.services.query import FindRequest, Query
from tuipacs.services.reception import Reception
from tuipacs.services.retrievals import RetrievePayload
from tuipacs.services.retrieve import RetrieveRequest
from tuipacs.services.routing_judge import Judging
from tuipacs.services.verification import Verification
from tuipacs.services.wakeups import Wakeups

BEFORE_LOGIN = {
    "alerts.rejected",  # the listener reports, nobody asks
    "alerts.offended",
    "alerts.flush",
    "verification.flush",
    "ingest.recover",  # at start, before anyone is answered
    "identities.verify",  # tells whose user stands behind a peer; lends no right
    "nodes.admit",  # tells who a peer is
    "nodes.peer",
    "nodes.expects",  # whether a known node may call from an address
    "retrieve.held_syntaxes",  # what negotiation chooses by; names no object
    "sessions.login",  # makes an actor
    "sessions.resolve",
    "sessions.state",
    "sessions.on_behalf_of",
    "sessions.logout",  # a locked session can be ended; its token is asked for
    "sessions.unlock",  # a locked session has no actor; token and password are asked for
    "sessions.unblock",  # called by services behind their own guard
    "sessions.refresh",
    "system.started",  # the daemon tells of its own life
    "system.stopped",
    "system.health",  # says that an archive is here
    "users.create_first_admin",  # refused once there is an account
}
BASE = {"transaction", "together"}  # of `Service`: writes nothing by itself


def service_classes() -> list[type[Service]]:
    for module in pkgutil.iter_modules(services.__path__, "tuipacs.services."):
        importlib.import_module(module.name)
    return sorted(
        (c for c in Service.__subclasses__() if c.__module__.startswith("tuipacs.services.")),
        key=lambda c: c.__name__,
    )


def public_methods(cls: type[Service]) -> Iterator[tuple[str, Any]]:
    """All that can be called from outside, whatever it is made of."""
    for name, member in inspect.getmembers_static(cls):
        if not name.startswith("_") and name not in BASE:
            yield f"{cls.__name__.lower()}.{name}", member


def doors() -> dict[str, Any]:
    return {name: member for cls in service_classes() for name, member in public_methods(cls)}


def test_each_public_method_is_guarded_or_said_to_need_no_actor() -> None:
    unguarded = {
        name
        for name, member in doors().items()
        if not isinstance(getattr(member, "permission", None), Permission)
        and not getattr(member, "before_login", "")
    }
    assert unguarded == set()


def test_a_new_public_method_without_a_guard_would_be_found() -> None:
    class Careless(Service):
        def read_everything(self) -> str:
            return "all"

        @property
        def content(self) -> str:
            return "all"

    found = dict(public_methods(Careless))
    assert set(found) == {"careless.read_everything", "careless.content"}
    assert not any(hasattr(member, "permission") for member in found.values())


def test_what_needs_no_actor_is_a_short_known_list() -> None:
    open_doors = {name for name, member in doors().items() if hasattr(member, "before_login")}
    assert open_doors == BEFORE_LOGIN
    assert all(doors()[name].before_login.strip() for name in open_doors)
    assert not any(hasattr(doors()[name], "permission") for name in open_doors)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_each_operation_has_a_door_with_a_cell_for_each_role(operation: Any) -> None:
    service, _, name = operation.name.partition(".")
    assert service in Services.__annotations__
    door = doors()[operation.name]
    if operation.public:
        assert operation.name in BEFORE_LOGIN
    else:
        assert door.permission in Permission
        assert {role: door.permission in MATRIX[role] for role in Role}.keys() == set(Role)
    wanted = list(inspect.signature(door).parameters.values())
    request = wanted[1] if operation.public else wanted[2]
    assert request.annotation.rpartition(".")[2] == operation.request.__name__, name


def test_dicom_rights_are_never_had_by_logging_in() -> None:
    for role in Role:
        assert not MATRIX[role] & set(NODE_RIGHTS.values())


def _blob() -> StoredBlob:
    return StoredBlob(
        key="000001/" + "0" * 32,
        header_size=1,
        header_sha256=b"h",
        dataset_size=1,
        dataset_sha256=b"d",
    )


def _attributes() -> IndexedAttributes:
    return IndexedAttributes(
        patient=PatientAttributes(patient_id="P"),
        study=StudyAttributes(study_instance_uid="1.2.3"),
        series=SeriesAttributes(series_instance_uid="1.2.3.4"),
        instance=InstanceAttributes(
            sop_instance_uid="1.2.3.4.5", sop_class_uid="1.2", transfer_syntax_uid="1.2"
        ),
    )


def _nothing_received() -> Reception:
    """Without a dataset it is refused, by one who was let in."""
    return Reception(received(b"", sop_class_uid="1", sop_instance_uid="2").announced, _NO_STORE)


_NO_STORE: Any = None
_EXPECTED = ExpectedObjects(
    study_instance_uid="1", series_instance_uid="1", sop_instance_uids=frozenset()
)
_NODE = NodeRecord(key=99, ae_title="X", address="", services=(), description="", created_at=0.0)
_JOB = JobRecord(
    key=1,
    kind=JobKind.SEND,
    state=JobState.RUNNING,
    title="",
    submitted_by="",
    created_at=0.0,
    started_at=None,
    finished_at=None,
    total=0,
    done=0,
    stored=0,
    duplicate=0,
    refused=0,
    bytes_done=0,
)
_RETRIEVE = RetrieveRequest(
    model=STUDY_ROOT, identifier=b"", transfer_syntax_uid="1.2.840.10008.1.2"
)
ARGUMENTS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "audit.list": lambda: (m.AuditRequest(),),
    "audit.verify": lambda: (m.Empty(),),
    "browse.changes": lambda: (m.ChangesRequest(after_seq=0),),
    "browse.find": lambda: (m.FindRequest(),),
    "browse.instances_of": lambda: (m.ChildrenRequest(key=1),),
    "browse.patients": lambda: (m.PageRequest(),),
    "browse.position": lambda: (m.PositionRequest(level=Level.STUDY, key=1),),
    "browse.series_of": lambda: (m.ChildrenRequest(key=1),),
    "browse.show": lambda: (m.UidRequest(uid="1.2.3"),),
    "browse.studies": lambda: (m.PageRequest(),),
    "browse.studies_of": lambda: (m.ChildrenRequest(key=1),),
    "imports.submit": lambda: (m.ImportRequest(paths=("/nothing",)),),
    "incoming.list": lambda: (m.Empty(),),
    "ingest.adopt": lambda: (_blob(), _attributes(), "CT1"),
    "ingest.fetch": lambda: (received(make_dataset()).announced,),
    "ingest.keep_fetched": lambda: (_nothing_received(), _EXPECTED),
    "ingest.import_file": lambda: (io.BytesIO(part10_bytes(make_dataset())),),
    "ingest.receive": lambda: (received(make_dataset()).announced,),
    "ingest.store": lambda: (_nothing_received(),),
    "commitmentrequests.take": lambda: (
        CommitmentRequest(node=1, dataset=b"", transfer_syntax_uid="1.2.840.10008.1.2"),
    ),
    "commitments.begin": lambda: (_JOB,),
    "commitments.of_study": lambda: (c.StudyCommitmentsRequest(study=1),),
    "commitments.report": lambda: (
        CommitmentReport(
            node=1, event_type=1, dataset=b"", transfer_syntax_uid="1.2.840.10008.1.2"
        ),
    ),
    "commitments.submit": lambda: (c.CommitRequest(uids=("1.2.3",), node=1),),
    "jobs.cancel": lambda: (m.JobRequest(key=1),),
    "jobs.items": lambda: (j.JobItemsRequest(key=1),),
    "jobs.list": lambda: (j.JobsRequest(),),
    "jobs.pause": lambda: (m.JobRequest(key=1),),
    "jobs.pause_lane": lambda: (j.LaneRequest(node=1),),
    "jobs.resume": lambda: (m.JobRequest(key=1),),
    "jobs.resume_lane": lambda: (j.LaneRequest(node=1),),
    "jobs.retry": lambda: (m.JobRequest(key=1),),
    "jobs.set_priority": lambda: (j.JobPriorityRequest(key=1, priority=JobPriority.HIGH),),
    "jobs.refusals": lambda: (m.JobRequest(key=1),),
    "jobs.show": lambda: (m.JobRequest(key=1),),
    "nodes.add": lambda: (
        n.NodeAddRequest(ae_title="CT9", address="", services=(NodeService.ECHO,)),
    ),
    "nodes.add_all": lambda: (
        n.NodeAddAllRequest(
            nodes=(n.NodeAddRequest(ae_title="CT8", address="", services=(NodeService.ECHO,)),)
        ),
    ),
    "nodes.echo": lambda: (n.NodeTestRequest(key=99),),
    "nodes.edit": lambda: (
        n.NodeEditRequest(
            seen=NodeRecord(
                key=99, ae_title="X", address="", services=(), description="", created_at=0.0
            ),
            node=n.NodeAddRequest(ae_title="X", address="", services=(NodeService.ECHO,)),
        ),
    ),
    "nodes.test": lambda: (n.NodeTestRequest(key=99),),
    "nodes.test_progress": lambda: (n.NodeTestProgressRequest(ticket="t"),),
    "nodes.list": lambda: (m.Empty(),),
    "nodes.remove": lambda: (n.NodeRemoveRequest(key=1),),
    "objects.document": lambda: (m.InstanceRequest(key=1),),
    "objects.elements": lambda: (m.InstanceRequest(key=1),),
    "objects.export_plan": lambda: (m.ExportRequest(uids=("1.2.3",)),),
    "objects.frame": lambda: (m.FrameRequest(key=99),),
    "objects.open_document": lambda: (1,),
    "objects.open_object": lambda: (1,),
    "objects.representative": lambda: (m.RepresentativeRequest(level=Level.STUDY, key=1),),
    "query.find": lambda: (
        FindRequest(
            model=STUDY_ROOT,
            identifier=b"",
            transfer_syntax_uid="1.2.840.10008.1.2",
            retrieve_ae_title="TUIPACS",
        ),
    ),
    "judging.due": lambda: (),
    "judging.follow": lambda: (),
    "judging.judge": lambda: (1,),
    "judging.postpone": lambda: (1,),
    "judging.prune": lambda: (),
    "remote.cancel": lambda: (r.RemoteTask(token="made-up"),),
    "remote.compare": lambda: (r.CompareStart(node=99, study_instance_uid="1.2.3"),),
    "remote.here": lambda: (r.HoldingsRequest(level=Level.STUDY, uids=("1.2.3",)),),
    "remote.nodes": lambda: (m.Empty(),),
    "remote.poll": lambda: (r.RemotePoll(token="made-up"),),
    "remote.start": lambda: (r.RemoteStart(nodes=(99,), query=RemoteQuery(patient_id="P")),),
    "retrievals.ends": lambda: (99, RetrievePayload(targets=())),
    "retrievals.peer": lambda: (_NODE, CallService.GET),
    "retrievals.submit": lambda: (
        r.RetrieveRequest(node=99, targets=(r.RetrieveTarget(study_instance_uid="1.2.3"),)),
    ),
    "retrieve.get": lambda: (_RETRIEVE,),
    "retrieve.move": lambda: (_RETRIEVE, "NOBODY", MoveOrigin(ae_title="A", message_id=1)),
    "routes.add": lambda: (rt.RouteAddRequest(rule=RouteRule(name="", nodes=())),),
    "routes.edit": lambda: (
        rt.RouteEditRequest(key=1, revision=1, rule=RouteRule(name="", nodes=())),
    ),
    "routes.enable": lambda: (rt.RouteEnableRequest(key=1, enabled=True),),
    "routes.explain": lambda: (rt.RouteStudyRequest(key=1),),
    "routes.force": lambda: (rt.RouteStudyRequest(key=1),),
    "routes.list": lambda: (m.Empty(),),
    "routes.move": lambda: (rt.RouteMoveRequest(key=1, position=1),),
    "routes.preview": lambda: (rt.RoutePreviewRequest(rule=RouteRule(name="", nodes=())),),
    "routes.remove": lambda: (rt.RouteRequest(key=1),),
    "send.begin": lambda: (_JOB,),
    "send.submit": lambda: (j.SendRequest(uids=("1.2.3",), node=1),),
    "sessions.change_password": lambda: (
        m.ChangePasswordRequest(old_password="x", new_password="y"),
    ),
    "sessions.lock": lambda: (m.Empty(),),
    "sessions.touch": lambda: (m.Empty(),),
    "sessions.whoami": lambda: (m.Empty(),),
    "system.status": lambda: (m.Empty(),),
    "system.stop": lambda: (m.Empty(),),
    "users.add": lambda: (
        m.UserAddRequest(name="new", role=Role.VIEWER, password="long enough, unusual"),
    ),
    "users.end_session": lambda: (m.SessionEndRequest(key=1),),
    "users.list": lambda: (m.Empty(),),
    "users.set_disabled": lambda: (m.UserDisableRequest(name="nobody", disabled=True),),
    "users.set_password": lambda: (
        m.UserPasswordRequest(name="nobody", password="long enough, unusual"),
    ),
    "users.set_role": lambda: (m.UserRoleRequest(name="nobody", role=Role.VIEWER),),
    "verification.echo": lambda: (),
}


def guarded_doors() -> dict[str, Permission]:
    return {
        name: member.permission for name, member in doors().items() if hasattr(member, "permission")
    }


def test_this_test_calls_every_guarded_method() -> None:
    assert set(ARGUMENTS) == set(guarded_doors())


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    paths = ArchivePaths(tmp_path)
    archive = Archive(paths, Config(), hasher=fast_hasher())
    yield archive
    archive.close()


def _instance(archive: Archive, service: str) -> Any:
    index, clock = archive._index, lambda: 0.0
    inner: dict[str, Callable[[], Service]] = {
        "ingest": lambda: archive._ingest,
        "commitmentrequests": lambda: CommitmentRequests(index, clock),
        "retrieve": lambda: next(
            one._retrieve for one in archive.providers if isinstance(one, MoveProvider)
        ),
        "query": lambda: Query(index, clock, archive.services.objects._store),
        "verification": lambda: Verification(index, clock),
        "judging": lambda: Judging(index, clock, Wakeups(), quiet_seconds=60),
    }
    return inner[service]() if service in inner else getattr(archive.services, service)


def _walk(archive: Archive, caller: Actor) -> None:
    """Call all guarded methods: refused and recorded exactly where the rights say so."""
    for name, permission in guarded_doors().items():
        service, _, method = name.partition(".")
        call = getattr(_instance(archive, service), method)
        refused = False
        try:
            result = call(caller, *ARGUMENTS[name]())
            if inspect.isgenerator(getattr(result, "chunks", None)):
                result.chunks.close()
        except ForbiddenError:
            refused = True
        except TuipacsError:
            pass  # let in, and told that there is no such thing
        assert refused == (permission not in caller.permissions), name
        with archive._index.read() as reader:
            (record,) = audit.page(reader, (), 0, 1) or [None]
        was_recorded = (
            record is not None
            and record.operation == name
            and record.outcome is AuditOutcome.REFUSED
        )
        assert was_recorded == refused, name


@pytest.mark.parametrize("role", Role)
def test_a_role_gets_exactly_what_the_matrix_says(archive: Archive, role: Role) -> None:
    _walk(archive, actor(role))


def test_a_peer_gets_nothing_but_echo_and_store(archive: Archive) -> None:
    _walk(archive, PEER)
    allowed = {name for name, right in guarded_doors().items() if right in PEER.permissions}
    assert allowed == {"ingest.receive", "ingest.store", "ingest.adopt", "verification.echo"}


def test_a_caller_without_rights_gets_nothing(archive: Archive) -> None:
    _walk(archive, msgspec.structs.replace(PEER, permissions=frozenset()))


def test_the_ingest_of_an_archive_is_the_one_that_is_tested(archive: Archive) -> None:
    assert type(archive._ingest) is Ingest
