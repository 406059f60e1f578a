"""Requests and answers of the control API; rows come from ``tuipacs.domain``."""

from __future__ import annotations

from msgspec import Struct

from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.frame import WindowRequest
from tuipacs.domain.job import Refusal
from tuipacs.domain.level import Level
from tuipacs.domain.node import AssociationRecord
from tuipacs.domain.permissions import Role
from tuipacs.domain.query import SortKey
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.domain.system import Totals
from tuipacs.domain.user import ClientKind, SessionRecord, UserRecord

PAGE_LIMIT = 500


class Empty(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say."""


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all requests: unknown fields are refused."""


class LoginRequest(Message, frozen=True, kw_only=True):
    """Terminal and SSH client are what the client claims; the Unix user comes from the socket."""

    user: str
    password: str
    client: ClientKind
    terminal: str = ""
    ssh_client: str = ""


class PasswordRequest(Message, frozen=True, kw_only=True):
    """One password, for unlocking."""

    password: str


class ChangePasswordRequest(Message, frozen=True, kw_only=True):
    """A user changes their own password."""

    old_password: str
    new_password: str


class UserAddRequest(Message, frozen=True, kw_only=True):
    """A new account."""

    name: str
    role: Role
    password: str


class UserRoleRequest(Message, frozen=True, kw_only=True):
    """Give an account another role; its sessions end."""

    name: str
    role: Role


class UserPasswordRequest(Message, frozen=True, kw_only=True):
    """An administrator sets a password; the user's sessions end."""

    name: str
    password: str


class UserDisableRequest(Message, frozen=True, kw_only=True):
    """Disable or enable an account; disabling ends its sessions."""

    name: str
    disabled: bool


class SessionEndRequest(Message, frozen=True, kw_only=True):
    """End someone's session."""

    key: int


class UserList(Message, frozen=True, kw_only=True):
    """Accounts and live sessions."""

    users: tuple[UserRecord, ...]
    sessions: tuple[SessionRecord, ...]


class PageRequest(Message, frozen=True, kw_only=True):
    """One page of patients or studies. ``limit`` is at most 500."""

    filter: str = ""
    sort: SortKey = SortKey.RECEIVED
    descending: bool = True
    offset: int = 0
    limit: int = 100


class PatientPage(Message, frozen=True, kw_only=True):
    """``matched`` of ``total`` patients match, as of ``as_of_seq`` of the change feed."""

    rows: tuple[PatientRecord, ...]
    matched: int
    total: int
    as_of_seq: int


class StudyPage(Message, frozen=True, kw_only=True):
    """``matched`` of ``total`` studies match the filter."""

    rows: tuple[StudyRecord, ...]
    matched: int
    total: int
    as_of_seq: int


class PositionRequest(Message, frozen=True, kw_only=True):
    """Where does the row ``key`` stand in that order and filter now?"""

    level: Level  # patient or study
    key: int
    filter: str = ""
    sort: SortKey = SortKey.RECEIVED
    descending: bool = True


class Position(Message, frozen=True, kw_only=True):
    """``offset`` is None when the row does not match the filter or is gone."""

    offset: int | None


class ChildrenRequest(Message, frozen=True, kw_only=True):
    """The rows below one row. ``filter`` applies to the studies of a patient only."""

    key: int
    filter: str = ""
    offset: int = 0
    limit: int = 200


class StudyRows(Message, frozen=True, kw_only=True):
    """Studies of one patient, newest first."""

    rows: tuple[StudyRecord, ...]
    total: int
    as_of_seq: int


class SeriesRows(Message, frozen=True, kw_only=True):
    """Series of one study, by series number."""

    rows: tuple[SeriesRecord, ...]
    total: int
    as_of_seq: int


class InstanceRows(Message, frozen=True, kw_only=True):
    """Instances of one series, by instance number."""

    rows: tuple[InstanceRecord, ...]
    total: int
    as_of_seq: int


class FindRequest(Message, frozen=True, kw_only=True):
    """The command line's ``find``, at any level. ``limit`` 0 means all, up to 100,000."""

    filter: str = ""
    level: Level = Level.STUDY
    limit: int = 0


class FindResult(Message, frozen=True, kw_only=True):
    """Only the list of the asked level is filled."""

    level: Level
    patients: tuple[PatientRecord, ...] = ()
    studies: tuple[StudyRecord, ...] = ()
    series: tuple[SeriesRecord, ...] = ()
    instances: tuple[InstanceRecord, ...] = ()
    matched: int = 0
    as_of_seq: int = 0


class UidRequest(Message, frozen=True, kw_only=True):
    """A study, series or SOP instance UID, or a patient ID."""

    uid: str


class Shown(Message, frozen=True, kw_only=True):
    """What a UID names: rows of its own level and those above, and the children of that level."""

    level: Level
    patients: tuple[PatientRecord, ...]
    studies: tuple[StudyRecord, ...]
    series: tuple[SeriesRecord, ...] = ()
    instances: tuple[InstanceRecord, ...] = ()


class ChangesRequest(Message, frozen=True, kw_only=True):
    """What changed after ``after_seq``?"""

    after_seq: int
    limit: int = 500


class Changes(Message, frozen=True, kw_only=True):
    """Rows touched since, as they are now. With ``more``, ask again from ``as_of_seq``."""

    as_of_seq: int
    more: bool
    patients: tuple[PatientRecord, ...]
    studies: tuple[StudyRecord, ...]
    series_keys: tuple[int, ...]
    totals: Totals


class InstanceRequest(Message, frozen=True, kw_only=True):
    """One stored object by its key."""

    key: int


class FrameRequest(Message, frozen=True, kw_only=True):
    """One frame (1-based) of one object, with a window or the dataset's own."""

    key: int
    frame_number: int = 1
    window: WindowRequest | None = None


class RepresentativeRequest(Message, frozen=True, kw_only=True):
    """Which object stands for a row? The middle image of the largest image series."""

    level: Level
    key: int


class Representative(Message, frozen=True, kw_only=True):
    """``instance`` is None when the row has no objects."""

    instance: InstanceRecord | None
    frame_number: int = 1
    position: int = 0  # 1-based among ``count`` in its series
    count: int = 0


class ExportRequest(Message, frozen=True, kw_only=True):
    """Which objects belong to these UIDs (study, series or instance)?"""

    uids: tuple[str, ...]


class ExportEntry(Message, frozen=True, kw_only=True):
    """One object to fetch from ``GET /v1/objects/KEY``; the numbers make its file name."""

    key: int
    study_key: int
    series_key: int
    sop_instance_uid: str
    size_bytes: int


class ExportPlan(Message, frozen=True, kw_only=True):
    """All objects of an export, ordered by study, series, instance number."""

    entries: tuple[ExportEntry, ...]


class Incoming(Message, frozen=True, kw_only=True):
    """Associations: open ones first, then the newest ended and refused ones."""

    associations: tuple[AssociationRecord, ...]
    version: int


class ImportRequest(Message, frozen=True, kw_only=True):
    """Absolute paths on the daemon's machine: files, folders, ZIPs, DICOMDIR media."""

    paths: tuple[str, ...]


class JobRequest(Message, frozen=True, kw_only=True):
    """One job."""

    key: int


class Refusals(Message, frozen=True, kw_only=True):
    """What an import refused."""

    refusals: tuple[Refusal, ...]


class AuditRequest(Message, frozen=True, kw_only=True):
    """Audit records with all ``words``, newest first, below ``before_seq`` (0: from the end)."""

    words: str = ""
    before_seq: int = 0
    limit: int = 100


class AuditPage(Message, frozen=True, kw_only=True):
    """``total`` counts the whole log."""

    records: tuple[AuditRecord, ...]
    total: int


class AuditVerification(Message, frozen=True, kw_only=True):
    """The outcome of walking the chain. ``first_bad`` is the first record that does not fit."""

    ok: bool
    checked: int
    first_bad: int | None
    message: str


class Wake(Message, frozen=True, kw_only=True):
    """A line of the event stream: something is newer than what you have."""

    seq: int  # of the change feed
    incoming: int  # version of the incoming list
    jobs: int  # version of the job list
    session: str  # "active", "locked", "ended"


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What the API sends, as JSON, with each status of 400 and more; ``code`` is the error's."""

    code: str
    message: str
    remedy: str = ""
    retry_after: float = 0.0  # seconds
