"""The whole permission matrix over the real socket and by the real commands.

`CELLS` says which right each operation needs; an operation without a cell, or a request without a
sample, fails the test. Whether a role has the right is read from the one matrix of the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from msgspec import Struct

from tests.builders import make_dataset, part10_bytes
from tests.e2e.daemon_fixture import ADMIN, PASSWORD, RunningArchive, new_archive
from tests.e2e.proof import Result, finished, in_background, run
from tuipacs.domain.job import JobPriority
from tuipacs.domain.level import Level
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.permissions import MATRIX, NodeService, Permission, Role
from tuipacs.domain.remote import RemoteQuery
from tuipacs.domain.route import RouteRule
from tuipacs.domain.user import ClientKind
from tuipacs.schema import commit_messages as c
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import operations
from tuipacs.schema import remote_messages as r
from tuipacs.schema import route_messages as rt
from tuipacs.schema.operations import Operation

P = Permission
CELLS: dict[str, Permission] = {
    "sessions.lock": P.OWN_SESSION,
    "sessions.touch": P.OWN_SESSION,
    "sessions.whoami": P.OWN_SESSION,
    "sessions.change_password": P.OWN_SESSION,
    "users.list": P.MANAGE_USERS,
    "users.add": P.MANAGE_USERS,
    "users.set_role": P.MANAGE_USERS,
    "users.set_password": P.MANAGE_USERS,
    "users.set_disabled": P.MANAGE_USERS,
    "users.end_session": P.MANAGE_USERS,
    "browse.patients": P.BROWSE,
    "browse.studies": P.BROWSE,
    "browse.position": P.BROWSE,
    "browse.studies_of": P.BROWSE,
    "browse.series_of": P.BROWSE,
    "browse.instances_of": P.BROWSE,
    "browse.find": P.BROWSE,
    "browse.show": P.BROWSE,
    "browse.changes": P.BROWSE,
    "objects.representative": P.VIEW_OBJECTS,
    "objects.frame": P.VIEW_OBJECTS,
    "objects.elements": P.VIEW_OBJECTS,
    "objects.document": P.VIEW_OBJECTS,
    "objects.export_plan": P.EXPORT,
    "incoming.list": P.VIEW_INCOMING,
    "nodes.list": P.VIEW_NODES,
    "nodes.add": P.MANAGE_NODES,
    "nodes.add_all": P.MANAGE_NODES,
    "nodes.edit": P.MANAGE_NODES,
    "nodes.remove": P.MANAGE_NODES,
    "nodes.echo": P.QUERY_NODES,
    "nodes.test": P.QUERY_NODES,
    "nodes.test_progress": P.QUERY_NODES,
    "remote.nodes": P.QUERY_NODES,
    "remote.start": P.QUERY_NODES,
    "remote.compare": P.QUERY_NODES,
    "remote.poll": P.QUERY_NODES,
    "remote.cancel": P.QUERY_NODES,
    "remote.here": P.QUERY_NODES,
    "retrievals.submit": P.RETRIEVE,
    "imports.submit": P.IMPORT,
    "jobs.list": P.VIEW_JOBS,
    "jobs.show": P.VIEW_JOBS,
    "jobs.refusals": P.VIEW_JOBS,
    "jobs.items": P.VIEW_JOBS,
    "jobs.cancel": P.CONTROL_JOBS,
    "jobs.pause": P.CONTROL_JOBS,
    "jobs.resume": P.CONTROL_JOBS,
    "jobs.retry": P.CONTROL_JOBS,
    "jobs.set_priority": P.CONTROL_JOBS,
    "jobs.pause_lane": P.CONTROL_JOBS,
    "jobs.resume_lane": P.CONTROL_JOBS,
    "send.submit": P.SEND,
    "commitments.submit": P.COMMIT,
    "commitments.of_study": P.BROWSE,
    "routes.list": P.VIEW_ROUTES,
    "routes.add": P.MANAGE_ROUTES,
    "routes.edit": P.MANAGE_ROUTES,
    "routes.enable": P.MANAGE_ROUTES,
    "routes.move": P.MANAGE_ROUTES,
    "routes.remove": P.MANAGE_ROUTES,
    "routes.preview": P.VIEW_ROUTES,
    "routes.explain": P.BROWSE,
    "routes.force": P.SEND,
    "audit.list": P.READ_AUDIT,
    "audit.verify": P.READ_AUDIT,
    "system.status": P.VIEW_SYSTEM,
    "system.stop": P.STOP_ARCHIVE,
}
PUBLIC = {"system.health", "sessions.login", "sessions.logout", "sessions.unlock"}
DOWNLOADS = {"/v1/objects/1": "objects.open_object", "/v1/documents/1": "objects.open_document"}

_NODE = NodeRecord(
    key=999_999, ae_title="X", address="", services=(), description="", created_at=0.0
)
# Each is right in form and, but for reading, names what is not there: a call that is allowed may
# end in 404, one that is not allowed must not get so far.
SAMPLES: dict[type[Struct], Struct] = {
    m.Empty: m.Empty(),
    m.ChangePasswordRequest: m.ChangePasswordRequest(old_password=PASSWORD, new_password="short"),
    m.UserAddRequest: m.UserAddRequest(name="new", role=Role.ADMIN, password="short"),
    m.UserRoleRequest: m.UserRoleRequest(name="nobody", role=Role.ADMIN),
    m.UserPasswordRequest: m.UserPasswordRequest(name="nobody", password=PASSWORD),
    m.UserDisableRequest: m.UserDisableRequest(name="nobody", disabled=True),
    m.SessionEndRequest: m.SessionEndRequest(key=999_999),
    m.PageRequest: m.PageRequest(),
    m.PositionRequest: m.PositionRequest(level=Level.STUDY, key=1),
    m.ChildrenRequest: m.ChildrenRequest(key=1),
    m.FindRequest: m.FindRequest(),
    m.UidRequest: m.UidRequest(uid="T-1"),
    m.ChangesRequest: m.ChangesRequest(after_seq=0),
    m.RepresentativeRequest: m.RepresentativeRequest(level=Level.STUDY, key=1),
    m.FrameRequest: m.FrameRequest(key=1),
    m.InstanceRequest: m.InstanceRequest(key=1),
    m.ExportRequest: m.ExportRequest(uids=("1.2.3",)),
    n.NodeAddRequest: n.NodeAddRequest(ae_title="", address="", services=()),
    n.NodeAddAllRequest: n.NodeAddAllRequest(nodes=()),
    n.NodeEditRequest: n.NodeEditRequest(
        seen=_NODE, node=n.NodeAddRequest(ae_title="X", address="", services=(NodeService.ECHO,))
    ),
    n.NodeTestRequest: n.NodeTestRequest(key=999_999),
    n.NodeTestProgressRequest: n.NodeTestProgressRequest(ticket="none"),
    n.NodeRemoveRequest: n.NodeRemoveRequest(key=999_999),
    r.RemoteStart: r.RemoteStart(nodes=(999_999,), query=RemoteQuery(patient_id="T-1")),
    r.CompareStart: r.CompareStart(node=999_999, study_instance_uid="1.2.3"),
    r.RemotePoll: r.RemotePoll(token="made-up"),
    r.RemoteTask: r.RemoteTask(token="made-up"),
    r.RetrieveRequest: r.RetrieveRequest(
        node=999_999, targets=(r.RetrieveTarget(study_instance_uid="1.2.3"),)
    ),
    r.HoldingsRequest: r.HoldingsRequest(level=Level.STUDY, uids=("1.2.3",)),
    m.ImportRequest: m.ImportRequest(paths=("/nonexistent/tuipacs",)),
    m.JobRequest: m.JobRequest(key=999_999),
    rt.RouteAddRequest: rt.RouteAddRequest(rule=RouteRule(name="", nodes=())),
    rt.RouteEditRequest: rt.RouteEditRequest(
        key=999_999, revision=1, rule=RouteRule(name="", nodes=())
    ),
    rt.RouteEnableRequest: rt.RouteEnableRequest(key=999_999, enabled=True),
    rt.RouteMoveRequest: rt.RouteMoveRequest(key=999_999, position=1),
    rt.RouteRequest: rt.RouteRequest(key=999_999),
    rt.RoutePreviewRequest: rt.RoutePreviewRequest(rule=RouteRule(name="", nodes=())),
    rt.RouteStudyRequest: rt.RouteStudyRequest(key=999_999),
    j.JobsRequest: j.JobsRequest(),
    c.CommitRequest: c.CommitRequest(uids=("1.2.3",), node=999_999),
    c.StudyCommitmentsRequest: c.StudyCommitmentsRequest(study=1),
    j.JobItemsRequest: j.JobItemsRequest(key=999_999),
    j.JobPriorityRequest: j.JobPriorityRequest(key=999_999, priority=JobPriority.LOW),
    j.LaneRequest: j.LaneRequest(node=999_999),
    j.SendRequest: j.SendRequest(uids=("1.2.3",), node=999_999),
    m.AuditRequest: m.AuditRequest(),
}
GUARDED = [op for op in operations.ALL if op.name not in PUBLIC]


class Door:
    """The control socket as a stranger would use it: plain HTTP and JSON, no client library."""

    def __init__(self, archive: RunningArchive) -> None:
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(archive.paths.socket)),
            base_url="http://archive",
            timeout=60,
        )

    def call(self, name: str, request: Struct, token: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._http.post(
            f"/v1/{name}",
            content=msgspec.json.encode(request),
            headers={**headers, "content-type": "application/json"},
        )

    def get(self, path: str, token: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._http.get(path, headers=headers)

    def log_in(self, user: str) -> str:
        """A token."""
        request = m.LoginRequest(user=user, password=PASSWORD, client=ClientKind.COMMAND)
        answer = self.call("sessions.login", request)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningArchive]:
    """One object is in it, and an account for each role, named like it."""
    import shutil
    import tempfile

    base = Path(tempfile.mkdtemp(prefix="tp"))
    made = new_archive(base / "a")
    try:
        made.start()
        for role in Role:
            made.add_user(role.value, role)
        file = tmp_path_factory.mktemp("object") / "one.dcm"
        file.write_bytes(part10_bytes(make_dataset()))
        run(made, "import", str(file))
        yield made
    finally:
        made.close()
        shutil.rmtree(base)


@pytest.fixture(scope="module")
def door(archive: RunningArchive) -> Iterator[Door]:
    opened = Door(archive)
    yield opened
    opened.close()


def test_every_operation_has_a_cell_and_a_sample() -> None:
    """Fails for a new operation until somebody has decided who may do it."""
    assert {op.name for op in operations.ALL} == CELLS.keys() | PUBLIC
    assert {op.name for op in operations.ALL if op.public} == PUBLIC
    assert {op.request for op in GUARDED} == SAMPLES.keys()
    assert {op.name for op in operations.ALL if op.name.startswith("objects.")} <= CELLS.keys()


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_over_the_socket_what_the_matrix_says_and_nothing_else(
    archive: RunningArchive, door: Door, role: Role
) -> None:
    """403 with a record in the audit log for each forbidden call; never 403 for an allowed one."""
    token = door.log_in(role.value)
    forbidden = []
    for op in GUARDED:
        if op.name == "system.stop" and CELLS[op.name] in MATRIX[role]:
            continue  # an allowed stop is proven with the daemon
        answer = door.call(op.name, SAMPLES[op.request], token)
        if CELLS[op.name] in MATRIX[role]:
            assert answer.status_code in (200, 400, 404, 422), (op.name, answer.text)
        else:
            assert answer.status_code == 403, (op.name, answer.text)
            assert answer.json()["code"] == "forbidden"
            forbidden.append(op.name)
        if op.name == "sessions.lock":
            token = door.log_in(role.value)
    for path, name in DOWNLOADS.items():
        answer = door.get(path, token)
        if P.EXPORT in MATRIX[role]:
            assert answer.status_code in (200, 422), (path, answer.text)
        else:
            assert answer.status_code == 403, path
            forbidden.append(name)
    refused = archive.connect().call(
        operations.AUDIT, m.AuditRequest(words=f"refused {role.value}", limit=500)
    )
    recorded = [r.operation for r in refused.records if r.actor == role.value]
    assert sorted(recorded) == sorted(forbidden)


@pytest.mark.parametrize("op", GUARDED, ids=lambda op: op.name)
def test_nothing_is_done_without_a_session(door: Door, op: Operation[Struct, Struct]) -> None:
    """No token, a made-up one, and that of a session which has ended."""
    ended = _ended_token(door)
    for token in ("", "made-up", ended):
        answer = door.call(op.name, SAMPLES[op.request], token)
        assert answer.status_code == 401
        assert answer.json()["code"] == "authentication"


def _ended_token(door: Door) -> str:
    if not hasattr(door, "ended"):
        door.ended = door.log_in("viewer")  # type: ignore[attr-defined]
        assert door.call("sessions.logout", m.Empty(), door.ended).status_code == 200  # type: ignore[attr-defined]
    return str(door.ended)  # type: ignore[attr-defined]


def test_downloads_and_events_need_a_session(door: Door) -> None:
    for path in (*DOWNLOADS, "/v1/events"):
        assert door.get(path).status_code == 401
        assert door.get(path, "made-up").status_code == 401


def test_a_locked_session_can_only_be_unlocked(door: Door) -> None:
    """423 for every operation and download, whatever the role, until the password is given."""
    token = door.log_in("admin")
    assert door.call("sessions.lock", m.Empty(), token).status_code == 200
    for op in GUARDED:
        answer = door.call(op.name, SAMPLES[op.request], token)
        assert (answer.status_code, answer.json()["code"]) == (423, "locked"), op.name
    for path in DOWNLOADS:
        assert door.get(path, token).status_code == 423
    wrong = door.call("sessions.unlock", m.PasswordRequest(password="not it"), token)
    assert wrong.status_code == 401
    assert door.call("sessions.whoami", m.Empty(), token).status_code == 423
    right = door.call("sessions.unlock", m.PasswordRequest(password=PASSWORD), token)
    assert right.status_code == 200
    assert door.call("sessions.whoami", m.Empty(), token).status_code == 200


def test_a_browser_is_sent_away(door: Door, archive: RunningArchive) -> None:
    """A request with an Origin comes from a web page."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(archive.paths.socket))) as browser:
        answer = browser.post(
            "http://archive/v1/system.health", content=b"{}", headers={"origin": "http://evil"}
        )
    assert answer.status_code == 403


FORBIDDEN_COMMANDS: dict[tuple[str, ...], Permission] = {
    ("import", "/nonexistent/tuipacs"): P.IMPORT,
    ("export", "1.2.3", "--to", "/nonexistent/tuipacs"): P.EXPORT,
    ("user", "list"): P.MANAGE_USERS,
    ("user", "list", "--json"): P.MANAGE_USERS,
    ("user", "disable", ADMIN): P.MANAGE_USERS,
    ("user", "role", "viewer", "admin"): P.MANAGE_USERS,
    ("audit", "list"): P.READ_AUDIT,
    ("audit", "verify"): P.READ_AUDIT,
    ("node", "list"): P.VIEW_NODES,
    ("node", "add", "EVIL"): P.MANAGE_NODES,
    ("node", "echo", "EVIL"): P.QUERY_NODES,
    ("node", "test", "EVIL"): P.QUERY_NODES,
    ("query", "NODE", "--name", "doe"): P.QUERY_NODES,
    ("retrieve", "1.2.3", "--from", "NODE"): P.QUERY_NODES,
    ("route", "list"): P.VIEW_ROUTES,
    ("route", "force", "1.2.3"): P.SEND,
    ("jobs", "list"): P.VIEW_JOBS,
    ("jobs", "cancel", "1"): P.CONTROL_JOBS,
    ("stop",): P.STOP_ARCHIVE,
}


def test_a_viewer_cannot_do_by_commands_what_is_not_a_viewers(archive: RunningArchive) -> None:
    """Said here in full, not read from the matrix: exit code 1, nothing on stdout, the right named.

    The right is that of the command's first deed: an import must not fail only at its end.
    """
    commands = list(FORBIDDEN_COMMANDS)
    results: list[tuple[tuple[str, ...], Result]] = []
    for start in range(0, len(commands), 3):
        some = commands[start : start + 3]
        running = [in_background(archive, *words, user="viewer") for words in some]
        results += [(words, finished(c)) for words, c in zip(some, running, strict=True)]
    for words, result in results:
        assert (result.code, result.out) == (1, ""), (words, result)
        told = f"viewer may not do that ({FORBIDDEN_COMMANDS[words].value})"
        assert told in result.err, (words, result)
        assert "Traceback" not in result.err
        assert len(result.err.splitlines()) <= 2, result.err
    assert archive.answers
    assert not Path("/nonexistent/tuipacs").exists()


def test_a_viewer_sees_of_the_status_only_what_anyone_may(archive: RunningArchive) -> None:
    result = finished(in_background(archive, "status", "--json", user="viewer"))
    assert result.code == 0
    assert result.json.keys() == {"running", "archive", "restart_needed", "health"}
    assert "may not do that" in result.err


def test_a_viewer_finds_and_shows_by_commands(archive: RunningArchive) -> None:
    (row,) = finished(in_background(archive, "find", "--json", user="viewer")).json
    shown = finished(in_background(archive, "show", row["StudyInstanceUID"], user="viewer"))
    assert shown.code == 0
    assert "TEST^PATIENT" in shown.out
