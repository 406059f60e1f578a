"""Every operation of the control API: its name, request and answer.

``POST /v1/NAME`` takes the request and gives the answer as JSON, or as MessagePack if accepted.
Beside these: ``GET /v1/objects/KEY`` (stored bytes), ``GET /v1/documents/KEY`` (an encapsulated
document) and ``GET /v1/events`` (a line of JSON for each wake-up, a `Wake` message).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from tuipacs.domain.content import Document, ElementList
from tuipacs.domain.frame import Frame
from tuipacs.domain.job import JobRecord, LaneRecord
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.route import RouteRecord
from tuipacs.domain.system import Health, SystemStatus
from tuipacs.domain.user import Identity, Session, UserRecord
from tuipacs.schema import commit_messages as c
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import node_messages as n
from tuipacs.schema import remote_messages as r
from tuipacs.schema import route_messages as rt

Request = TypeVar("Request", bound=Struct)
Answer = TypeVar("Answer", bound=Struct)


@dataclass(frozen=True)
class Operation(Generic[Request, Answer]):
    """One call. ``public`` ones work without a session."""

    name: str
    request: type[Request]
    answer: type[Answer]
    public: bool = False


HEALTH = Operation("system.health", m.Empty, Health, public=True)
LOGIN = Operation("sessions.login", m.LoginRequest, Session, public=True)
# Public, and in need of a token all the same: it is checked without asking whether it is locked.
UNLOCK = Operation("sessions.unlock", m.PasswordRequest, Identity, public=True)
LOGOUT = Operation("sessions.logout", m.Empty, m.Empty, public=True)
LOCK = Operation("sessions.lock", m.Empty, m.Empty)
TOUCH = Operation("sessions.touch", m.Empty, Identity)
WHOAMI = Operation("sessions.whoami", m.Empty, Identity)
CHANGE_PASSWORD = Operation("sessions.change_password", m.ChangePasswordRequest, m.Empty)

USERS = Operation("users.list", m.Empty, m.UserList)
USER_ADD = Operation("users.add", m.UserAddRequest, UserRecord)
USER_ROLE = Operation("users.set_role", m.UserRoleRequest, UserRecord)
USER_PASSWORD = Operation("users.set_password", m.UserPasswordRequest, UserRecord)
USER_DISABLE = Operation("users.set_disabled", m.UserDisableRequest, UserRecord)
SESSION_END = Operation("users.end_session", m.SessionEndRequest, m.Empty)

PATIENTS = Operation("browse.patients", m.PageRequest, m.PatientPage)
STUDIES = Operation("browse.studies", m.PageRequest, m.StudyPage)
POSITION = Operation("browse.position", m.PositionRequest, m.Position)
STUDIES_OF = Operation("browse.studies_of", m.ChildrenRequest, m.StudyRows)
SERIES_OF = Operation("browse.series_of", m.ChildrenRequest, m.SeriesRows)
INSTANCES_OF = Operation("browse.instances_of", m.ChildrenRequest, m.InstanceRows)
FIND = Operation("browse.find", m.FindRequest, m.FindResult)
SHOW = Operation("browse.show", m.UidRequest, m.Shown)
CHANGES = Operation("browse.changes", m.ChangesRequest, m.Changes)

REPRESENTATIVE = Operation("objects.representative", m.RepresentativeRequest, m.Representative)
FRAME = Operation("objects.frame", m.FrameRequest, Frame)
ELEMENTS = Operation("objects.elements", m.InstanceRequest, ElementList)
DOCUMENT = Operation("objects.document", m.InstanceRequest, Document)
EXPORT_PLAN = Operation("objects.export_plan", m.ExportRequest, m.ExportPlan)

INCOMING = Operation("incoming.list", m.Empty, m.Incoming)
NODES = Operation("nodes.list", m.Empty, n.NodeList)
NODE_ADD = Operation("nodes.add", n.NodeAddRequest, NodeRecord)
NODE_ADD_ALL = Operation("nodes.add_all", n.NodeAddAllRequest, n.NodeAdded)
NODE_EDIT = Operation("nodes.edit", n.NodeEditRequest, NodeRecord)
NODE_REMOVE = Operation("nodes.remove", n.NodeRemoveRequest, m.Empty)
NODE_ECHO = Operation("nodes.echo", n.NodeTestRequest, n.NodeTestReport)
NODE_TEST = Operation("nodes.test", n.NodeTestRequest, n.NodeTestReport)
NODE_TEST_PROGRESS = Operation("nodes.test_progress", n.NodeTestProgressRequest, n.NodeTestReport)

REMOTE_NODES = Operation("remote.nodes", m.Empty, r.RemoteNodes)
REMOTE_START = Operation("remote.start", r.RemoteStart, r.RemoteTask)
REMOTE_COMPARE = Operation("remote.compare", r.CompareStart, r.RemoteTask)
REMOTE_POLL = Operation("remote.poll", r.RemotePoll, r.RemoteAnswers)
REMOTE_CANCEL = Operation("remote.cancel", r.RemoteTask, m.Empty)
REMOTE_HERE = Operation("remote.here", r.HoldingsRequest, r.Holdings)
RETRIEVE = Operation("retrievals.submit", r.RetrieveRequest, JobRecord)

IMPORT = Operation("imports.submit", m.ImportRequest, JobRecord)
COMMIT = Operation("commitments.submit", c.CommitRequest, JobRecord)
STUDY_COMMITMENTS = Operation("commitments.of_study", c.StudyCommitmentsRequest, c.StudyCommitments)
SEND = Operation("send.submit", j.SendRequest, JobRecord)
JOBS = Operation("jobs.list", j.JobsRequest, j.JobList)
JOB = Operation("jobs.show", m.JobRequest, JobRecord)
JOB_REFUSALS = Operation("jobs.refusals", m.JobRequest, m.Refusals)
JOB_ITEMS = Operation("jobs.items", j.JobItemsRequest, j.JobItems)
JOB_CANCEL = Operation("jobs.cancel", m.JobRequest, JobRecord)
JOB_PAUSE = Operation("jobs.pause", m.JobRequest, JobRecord)
JOB_RESUME = Operation("jobs.resume", m.JobRequest, JobRecord)
JOB_RETRY = Operation("jobs.retry", m.JobRequest, JobRecord)
JOB_PRIORITY = Operation("jobs.set_priority", j.JobPriorityRequest, JobRecord)
LANE_PAUSE = Operation("jobs.pause_lane", j.LaneRequest, LaneRecord)
LANE_RESUME = Operation("jobs.resume_lane", j.LaneRequest, LaneRecord)

ROUTES = Operation("routes.list", m.Empty, rt.RouteList)
ROUTE_ADD = Operation("routes.add", rt.RouteAddRequest, RouteRecord)
ROUTE_EDIT = Operation("routes.edit", rt.RouteEditRequest, RouteRecord)
ROUTE_ENABLE = Operation("routes.enable", rt.RouteEnableRequest, RouteRecord)
ROUTE_MOVE = Operation("routes.move", rt.RouteMoveRequest, RouteRecord)
ROUTE_REMOVE = Operation("routes.remove", rt.RouteRequest, m.Empty)
ROUTE_PREVIEW = Operation("routes.preview", rt.RoutePreviewRequest, rt.RoutePreview)
ROUTE_EXPLAIN = Operation("routes.explain", rt.RouteStudyRequest, rt.RouteExplanations)
ROUTE_FORCE = Operation("routes.force", rt.RouteStudyRequest, rt.RouteExplanations)

AUDIT = Operation("audit.list", m.AuditRequest, m.AuditPage)
AUDIT_VERIFY = Operation("audit.verify", m.Empty, m.AuditVerification)

STATUS = Operation("system.status", m.Empty, SystemStatus)
STOP = Operation("system.stop", m.Empty, m.Empty)

ALL: tuple[Operation[Struct, Struct], ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Operation)
)
