"""An archive in memory with the interface of `AsyncConnection`: synthetic studies, real answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from tests.ui.fake_jobs import FakeJobs, running_job
from tests.ui.fake_nodes import FakeNodes
from tests.ui.fake_remote import FakeRemote
from tests.ui.fake_routes import FakeRoutes
from tuipacs.client.wire import cleaned
from tuipacs.domain.audit import AuditOutcome, AuditRecord
from tuipacs.domain.content import Document, DocumentKind, ElementLine, ElementList
from tuipacs.domain.frame import Frame, WindowSource
from tuipacs.domain.job import JobRecord
from tuipacs.domain.level import Level
from tuipacs.domain.node import (
    AssociationRecord,
    AssociationState,
    ContextOutcome,
)
from tuipacs.domain.permissions import MATRIX, Role
from tuipacs.domain.query import Field, SortKey, Term, fold, parse_filter
from tuipacs.domain.records import (
    Flag,
    InstanceRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from tuipacs.domain.system import Health, ModalityUse, SystemStatus, TlsHealth, Totals
from tuipacs.domain.user import ClientKind, Identity, Session, SessionRecord, UserRecord
from tuipacs.errors import (
    AuthenticationError,
    DaemonUnreachableError,
    DecodeError,
    ForbiddenError,
    NotFoundError,
    SessionLockedError,
    ThrottledError,
    TuipacsError,
)
from tuipacs.schema import commit_messages as c
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

NOW = 1795800000.0  # 2026-11-27, a fixed moment
TODAY = dt.date(2026, 11, 27)
PASSWORD = "correct horse battery"

FAMILIES = ("DOE", "ROE", "MÜLLER", "GARCÍA", "NOVÁK", "SMITH", "KOWALSKI", "ROSSI", "DUPONT")
GIVEN = ("JOHN", "JANE", "ANNE", "PETER", "LUCÍA", "MAREK", "SOFIA", "PAUL", "ŽOFIE")
STUDIES = (
    ("CT", "CHEST W/O CONTRAST"),
    ("MR", "KNEE LEFT"),
    ("CR", "CHEST PA/LAT"),
    ("US", "ABDOMEN"),
    ("MG", "SCREENING BILATERAL"),
    ("CT", "HEAD"),
    ("XA", "CORONARY ANGIOGRAPHY"),
)
HOSTILE_NAMES = (
    "[red]RED[/red]^MARKUP",
    "[/x]^BROKEN",
    "[@click=app.quit]CLICK[/]^ME",
    "ESC\x1b[31m^APE\x1b]0;pwned\x07",
    "C1\x9b31m^BIDI\u202etxet",
)


def patient(key: int, **changes: Any) -> PatientRecord:
    """Patient number ``key``, always the same one."""
    name = f"{FAMILIES[key % 9]}^{GIVEN[(key // 9) % 9]}"
    if key % 23 == 3:
        name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    modality, _ = STUDIES[key % 7]
    row = PatientRecord(
        key=key,
        patient_id=f"{1002900 + key}",
        issuer_of_patient_id="",
        patient_name=name,
        patient_birth_date=f"19{30 + key % 60}0{1 + key % 9}1{key % 9}",
        patient_sex="MF"[key % 2],
        number_of_patient_related_studies=2,
        number_of_patient_related_series=4,
        number_of_patient_related_instances=2 * (3 + key % 7),
        latest_study_date=_date(key),
        modalities=(modality,),
        size_bytes=161_000_000 + key * 1000,
        received_at=NOW - key * 60,
        flags=(Flag.CONFLICT,) if key % 31 == 5 else (),
    )
    return msgspec.structs.replace(row, **changes)


def _date(key: int) -> str:
    return f"{TODAY - dt.timedelta(days=key // 20):%Y%m%d}"


def study(key: int, owner: PatientRecord) -> StudyRecord:
    """Study ``key`` of a patient."""
    modality, description = STUDIES[owner.key % 7]
    return StudyRecord(
        key=key,
        patient_key=owner.key,
        patient_id=owner.patient_id,
        issuer_of_patient_id=owner.issuer_of_patient_id,
        patient_name=owner.patient_name,
        patient_birth_date=owner.patient_birth_date,
        patient_sex=owner.patient_sex,
        study_instance_uid=f"1.2.826.0.1.3680043.10.1.{key}",
        study_date=owner.latest_study_date if key % 2 == 0 else "20240202",
        study_time="091400",
        accession_number=f"A{55000 + key}",
        study_id=str(key),
        study_description=description,
        referring_physician_name="SMITH^ADAM",
        modalities_in_study=(modality,),
        number_of_study_related_series=2,
        number_of_study_related_instances=3 + owner.key % 7,
        size_bytes=80_000_000,
        first_received_at=owner.received_at - 60,
        received_at=owner.received_at - (key % 2),
        calling_ae_title="CT_ROOM1",
        flags=owner.flags,
    )


def series(key: int, of: StudyRecord) -> SeriesRecord:
    """Series ``key`` of a study."""
    return SeriesRecord(
        key=key,
        study_key=of.key,
        series_instance_uid=f"{of.study_instance_uid}.{key}",
        modality="SR" if key % 2 else of.modalities_in_study[0],
        series_number=str(1 + key % 2),
        series_description="Dose report" if key % 2 else "AXIAL 1.0 B31f",
        series_date=of.study_date,
        series_time="091500",
        body_part_examined="CHEST",
        protocol_name="Thorax",
        station_name="CT1",
        institution_name="Test Hospital",
        number_of_series_related_instances=1
        if key % 2
        else of.number_of_study_related_instances - 1,
        size_bytes=40_000_000,
        received_at=of.received_at,
    )


def instance(key: int, of: SeriesRecord, number: int) -> InstanceRecord:
    """Instance ``key`` of a series."""
    report = of.modality == "SR"
    return InstanceRecord(
        key=key,
        series_key=of.key,
        sop_instance_uid=f"{of.series_instance_uid}.{key}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_class_name="Basic Text SR Storage" if report else "CT Image Storage",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        transfer_syntax_name="Explicit VR Little Endian",
        instance_number=str(number),
        content_date=of.series_date,
        content_time="091501",
        image_type="ORIGINAL\\PRIMARY\\AXIAL",
        number_of_frames=0,
        rows=0 if report else 64,
        columns=0 if report else 64,
        photometric_interpretation="" if report else "MONOCHROME2",
        kind=DocumentKind.STRUCTURED_REPORT if report else DocumentKind.IMAGE,
        version=1,
        size_bytes=524_288,
        sha256="ab" * 32,
        received_at=of.received_at,
        calling_ae_title="CT_ROOM1",
    )


def phantom(number: int, size: int = 64) -> bytes:
    """A picture that differs for each number: an ellipse with a spot that wanders."""
    out = bytearray()
    for y in range(size):
        for x in range(size):
            u, v = (x - size / 2) / (size / 2), (y - size / 2) / (size / 2)
            value = 150 if u * u / 0.8 + v * v / 0.5 < 1 else 12
            spot = math.hypot(u - 0.5 * math.cos(number), v - 0.4 * math.sin(number))
            out.append(240 if spot < 0.16 else value)
    return bytes(out)


class FakeArchive(FakeJobs, FakeNodes, FakeRemote, FakeRoutes):
    """The daemon as the UI sees it. One for several connections."""

    def __init__(self, patients: int = 300, *, role: Role = Role.TECHNOLOGIST) -> None:
        self.patients = [patient(key) for key in range(patients)]
        self.role = role
        self.user = "rt_anna" if role is Role.TECHNOLOGIST else f"{role.value}_user"
        self.asked: Counter[str] = Counter()  # also what nobody waited for until it was answered
        self.calls: list[tuple[str, msgspec.Struct]] = []
        self.reachable = True
        self.session_state = "active"
        self.token_valid = True
        self.seq = patients
        self.incoming_version = self.jobs_version = 1
        self.touched: dict[int, int] = {}  # patient key → seq
        self.login_hint = ""
        self.tls: TlsHealth | None = None
        self.failures: dict[str, TuipacsError] = {}
        self.gate: asyncio.Event | None = None  # while set and not open, nothing is answered
        self.start_jobs()
        self.start_routes()
        self.start_nodes()
        self.start_remote()
        self.associations: list[AssociationRecord] = []
        self.users = [
            UserRecord(
                name=name,
                role=user_role,
                disabled=name == "old_user",
                created_at=NOW - 864000,
                last_login_at=NOW - 3600,
                failed_logins=0,
                blocked_until=None,
            )
            for name, user_role in (
                ("admin", Role.ADMIN),
                ("rt_anna", Role.TECHNOLOGIST),
                ("dr_roe", Role.RADIOLOGIST),
                ("old_user", Role.VIEWER),
            )
        ]
        self.audit_total = 500
        self.stopped = False

    # --- what a test does to it

    def receive(self, key: int, **changes: Any) -> None:
        """An object of patient ``key`` arrives; a new patient when there is none."""
        self.seq += 1
        newest = max((row.received_at for row in self.patients), default=NOW) + 1
        for index, row in enumerate(self.patients):
            if row.key == key:
                self.patients[index] = msgspec.structs.replace(
                    row,
                    received_at=newest,
                    number_of_patient_related_instances=row.number_of_patient_related_instances + 1,
                    **changes,
                )
                break
        else:
            self.patients.append(patient(key, received_at=newest, **changes))
        self.touched[key] = self.seq

    def remove(self, key: int) -> None:
        """A patient goes away."""
        self.seq += 1
        self.patients = [row for row in self.patients if row.key != key]
        self.touched[key] = self.seq

    def names_called(self) -> Counter[str]:
        """How often each operation was asked for."""
        return Counter(name for name, _ in self.calls)

    # --- answering

    async def answer(self, operation: str, request: Any, token: str) -> Any:
        self.asked[operation] += 1
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if not self.reachable:
            raise DaemonUnreachableError("no archive is running there")
        self.calls.append((operation, request))
        if operation in self.failures:
            raise self.failures[operation]
        if operation not in ("system.health", "sessions.login"):
            if not self.token_valid or token != "secret":
                raise AuthenticationError("the session is over")
            if self.session_state == "locked" and operation not in (
                "sessions.unlock",
                "sessions.logout",
                "sessions.whoami",
            ):
                raise SessionLockedError("the session is locked")
        method: Callable[[Any], Any] = getattr(self, "do_" + operation.replace(".", "_"))
        result = method(request)
        return await result if inspect.isawaitable(result) else result

    def health(self) -> Health:
        return Health(
            version="0.1.0",
            pid=4242,
            ae_title="ARCH1",
            host="0.0.0.0",  # noqa: S104
            port=11112,
            receiving=True,
            started_at=NOW - 90000,
            login_hint=self.login_hint,
            tls=self.tls,
        )

    def do_system_health(self, _: m.Empty) -> Health:
        return self.health()

    def do_sessions_login(self, request: m.LoginRequest) -> Session:
        if request.password == "throttle":
            raise ThrottledError("too many wrong passwords: wait 42 s", retry_after=42)
        if request.password != PASSWORD:
            raise AuthenticationError("user name or password is wrong")
        self.token_valid, self.session_state = True, "active"
        return Session(
            token="secret",
            user=self.user,
            role=self.role,
            permissions=tuple(sorted(MATRIX[self.role])),
            expires_at=NOW + 36000,
            lock_after=600,
        )

    def identity(self) -> Identity:
        return Identity(
            user=self.user,
            role=self.role,
            permissions=tuple(sorted(MATRIX[self.role])),
            locked=self.session_state == "locked",
            expires_at=NOW + 36000,
        )

    def do_sessions_whoami(self, _: m.Empty) -> Identity:
        return self.identity()

    def do_sessions_touch(self, _: m.Empty) -> Identity:
        return self.identity()

    def do_sessions_lock(self, _: m.Empty) -> m.Empty:
        self.session_state = "locked"
        return m.Empty()

    def do_sessions_unlock(self, request: m.PasswordRequest) -> Identity:
        if request.password != PASSWORD:
            raise AuthenticationError("the password is wrong")
        self.session_state = "active"
        return self.identity()

    def do_sessions_logout(self, _: m.Empty) -> m.Empty:
        self.token_valid = False
        return m.Empty()

    def do_sessions_change_password(self, request: m.ChangePasswordRequest) -> m.Empty:
        if request.old_password != PASSWORD:
            raise AuthenticationError("the old password is wrong")
        return m.Empty()

    # --- browsing

    def _matching(self, text: str) -> list[PatientRecord]:
        terms = parse_filter(text, TODAY)
        return [row for row in self.patients if all(_matches(row, term) for term in terms)]

    def ordered(self, request: Any) -> list[PatientRecord]:
        keys: dict[SortKey, Callable[[PatientRecord], Any]] = {
            SortKey.RECEIVED: lambda row: row.received_at,
            SortKey.DATE: lambda row: row.latest_study_date,
            SortKey.NAME: lambda row: fold(row.patient_name),
            SortKey.ID: lambda row: row.patient_id,
        }
        return sorted(
            self._matching(request.filter),
            key=lambda row: (keys[request.sort](row), row.key),
            reverse=request.descending,
        )

    def do_browse_patients(self, request: m.PageRequest) -> m.PatientPage:
        rows = self.ordered(request)
        return m.PatientPage(
            rows=tuple(rows[request.offset : request.offset + request.limit]),
            matched=len(rows),
            total=len(self.patients),
            as_of_seq=self.seq,
        )

    def studies_of(self, owner: PatientRecord) -> list[StudyRecord]:
        return [study(owner.key * 2, owner), study(owner.key * 2 + 1, owner)]

    def _patient(self, key: int) -> PatientRecord:
        for row in self.patients:
            if row.key == key:
                return row
        raise NotFoundError("no such patient")

    def do_browse_studies(self, request: m.PageRequest) -> m.StudyPage:
        rows = self.ordered(request)
        studies = [
            self.studies_of(self_row)[0] if i % 2 == 0 else self.studies_of(self_row)[1]
            for self_row in rows[request.offset // 2 : (request.offset + request.limit) // 2 + 1]
            for i in range(2)
        ]
        start = request.offset % 2
        return m.StudyPage(
            rows=tuple(studies[start : start + request.limit]),
            matched=2 * len(rows),
            total=2 * len(self.patients),
            as_of_seq=self.seq,
        )

    def do_browse_position(self, request: m.PositionRequest) -> m.Position:
        rows = self.ordered(request)
        key = request.key if request.level is Level.PATIENT else request.key // 2
        for index, row in enumerate(rows):
            if row.key == key:
                offset = index if request.level is Level.PATIENT else 2 * index + request.key % 2
                return m.Position(offset=offset)
        return m.Position(offset=None)

    def do_browse_studies_of(self, request: m.ChildrenRequest) -> m.StudyRows:
        rows = self.studies_of(self._patient(request.key))
        return m.StudyRows(
            rows=tuple(rows[request.offset : request.offset + request.limit]),
            total=len(rows),
            as_of_seq=self.seq,
        )

    def _study(self, key: int) -> StudyRecord:
        return self.studies_of(self._patient(key // 2))[key % 2]

    def do_browse_series_of(self, request: m.ChildrenRequest) -> m.SeriesRows:
        of = self._study(request.key)
        rows = (series(request.key * 2, of), series(request.key * 2 + 1, of))
        return m.SeriesRows(
            rows=rows[request.offset : request.offset + request.limit], total=2, as_of_seq=self.seq
        )

    def _series(self, key: int) -> SeriesRecord:
        return series(key, self._study(key // 2))

    def instances_of(self, key: int) -> list[InstanceRecord]:
        of = self._series(key)
        count = of.number_of_series_related_instances
        return [instance(key * 1000 + n, of, n + 1) for n in range(count)]

    def do_browse_instances_of(self, request: m.ChildrenRequest) -> m.InstanceRows:
        rows = self.instances_of(request.key)
        return m.InstanceRows(
            rows=tuple(rows[request.offset : request.offset + request.limit]),
            total=len(rows),
            as_of_seq=self.seq,
        )

    def do_browse_changes(self, request: m.ChangesRequest) -> m.Changes:
        keys = {key for key, seq in self.touched.items() if seq > request.after_seq}
        return m.Changes(
            as_of_seq=self.seq,
            more=False,
            patients=tuple(row for row in self.patients if row.key in keys),
            studies=(),
            series_keys=(),
            totals=self.totals(),
        )

    # --- objects

    def do_objects_representative(self, request: m.RepresentativeRequest) -> m.Representative:
        key = request.key
        if request.level is Level.INSTANCE:
            rows = self.instances_of(key // 1000)
            index = key % 1000
        else:
            if request.level is Level.PATIENT:
                key *= 4
            elif request.level is Level.STUDY:
                key *= 2
            rows = self.instances_of(key)
            index = len(rows) // 2
        return m.Representative(instance=rows[index], position=index + 1, count=len(rows))

    def do_objects_frame(self, request: m.FrameRequest) -> Frame:
        window = request.window
        if request.key % 1000 == 999:
            raise DecodeError("the pixel data is cut off after 12 of 64 rows")
        return Frame(
            rows=64,
            columns=64,
            samples=1,
            pixels=phantom(request.key % 1000),
            frame_number=request.frame_number,
            number_of_frames=1,
            photometric_interpretation="MONOCHROME2",
            decoder="test",
            window_center=window.center if window else 40,
            window_width=window.width if window else 400,
            window_source=WindowSource.USER if window else WindowSource.DATASET,
            window_explanation="" if window else "WINDOW1",
            minimum=-1024,
            maximum=3071,
        )

    def do_objects_document(self, request: m.InstanceRequest) -> Document:
        return Document(
            kind=DocumentKind.STRUCTURED_REPORT,
            title="X-Ray Radiation Dose Report",
            lines=("CT Accumulated Dose", "  Total DLP: 312 mGy.cm", "  Events: 2"),
            media_type="application/pdf",
            size=1234,
            exportable=True,
        )

    def do_objects_elements(self, request: m.InstanceRequest) -> ElementList:
        return ElementList(lines=ELEMENTS)

    # --- others

    def totals(self) -> Totals:
        count = len(self.patients)
        return Totals(
            patients=count,
            studies=2 * count,
            series=4 * count,
            instances=sum(row.number_of_patient_related_instances for row in self.patients),
            size_bytes=sum(row.size_bytes for row in self.patients),
        )

    def do_system_status(self, _: m.Empty) -> SystemStatus:
        return SystemStatus(
            health=self.health(),
            archive="/srv/archive",
            totals=self.totals(),
            modalities=(
                ModalityUse(
                    modality="CT", series=812, instances=214_330, size_bytes=112_700_000_000
                ),
                ModalityUse(modality="MR", series=344, instances=61_200, size_bytes=31_400_000_000),
                ModalityUse(modality="CR", series=912, instances=1_824, size_bytes=18_200_000_000),
                ModalityUse(modality="US", series=102, instances=4_896, size_bytes=3_100_000_000),
            ),
            disk_total=500_000_000_000,
            disk_free=145_000_000_000,
            reserve=5_000_000_000,
            read_only="",
            associations=sum(a.state is AssociationState.OPEN for a in self.associations),
            jobs_running=sum(not job.state.ended for job in self.jobs),
            sessions=2,
            as_of_seq=self.seq,
            memory_bytes=98_000_000,
            quarantined=0,
            unknown_callers="echo",
            log_tail=(
                "2026-11-27 09:12:01 INFO association 41 from CT_ROOM1 opened",
                "2026-11-27 09:12:04 INFO association 41 released: 312 stored",
            ),
        )

    def do_system_stop(self, _: m.Empty) -> m.Empty:
        self.stopped = True
        return m.Empty()

    def do_incoming_list(self, _: m.Empty) -> m.Incoming:
        return m.Incoming(associations=tuple(self.associations), version=self.incoming_version)

    def do_commitments_of_study(self, _: c.StudyCommitmentsRequest) -> c.StudyCommitments:
        return c.StudyCommitments(nodes=())

    def do_imports_submit(self, request: m.ImportRequest) -> JobRecord:
        job = running_job(len(self.jobs) + 1, title=f"import {request.paths[0]}")
        self.jobs.insert(0, job)
        self.jobs_version += 1
        return job

    def do_users_list(self, _: m.Empty) -> m.UserList:
        return m.UserList(
            users=tuple(self.users),
            sessions=(
                SessionRecord(
                    key=1,
                    user="rt_anna",
                    role=Role.TECHNOLOGIST,
                    client=ClientKind.SCREEN,
                    created_at=NOW - 3600,
                    active_at=NOW - 20,
                    locked=False,
                    unix_user="anna",
                    terminal="/dev/pts/3",
                    ssh_client="10.0.4.9",
                ),
            ),
        )

    def do_users_add(self, request: m.UserAddRequest) -> UserRecord:
        user = UserRecord(
            name=request.name,
            role=request.role,
            disabled=False,
            created_at=NOW,
            last_login_at=None,
            failed_logins=0,
            blocked_until=None,
        )
        self.users.append(user)
        return user

    def _change_user(self, name: str, **changes: Any) -> UserRecord:
        for index, user in enumerate(self.users):
            if user.name == name:
                self.users[index] = msgspec.structs.replace(user, **changes)
                return self.users[index]
        raise NotFoundError("no such user")

    def do_users_set_role(self, request: m.UserRoleRequest) -> UserRecord:
        return self._change_user(request.name, role=request.role)

    def do_users_set_password(self, request: m.UserPasswordRequest) -> UserRecord:
        return self._change_user(request.name)

    def do_users_set_disabled(self, request: m.UserDisableRequest) -> UserRecord:
        return self._change_user(request.name, disabled=request.disabled)

    def do_users_end_session(self, _: m.SessionEndRequest) -> m.Empty:
        return m.Empty()

    def do_audit_list(self, request: m.AuditRequest) -> m.AuditPage:
        top = (request.before_seq or self.audit_total + 1) - 1
        records = []
        for seq in range(top, 0, -1):
            record = audit_record(seq)
            text = fold(f"{record.event} {record.operation} {record.actor} {record.detail}")
            if all(word in text for word in fold(request.words).split()):
                records.append(record)
            if len(records) == request.limit:
                break
        return m.AuditPage(records=tuple(records), total=self.audit_total)

    def do_audit_verify(self, _: m.Empty) -> m.AuditVerification:
        return m.AuditVerification(
            ok=True, checked=self.audit_total, first_bad=None, message="the chain is whole"
        )


def audit_record(seq: int) -> AuditRecord:
    """Record ``seq``, always the same one."""
    refused = seq % 9 == 0
    return AuditRecord(
        seq=seq,
        at=NOW - (500 - seq) * 30,
        event_code="110112",
        event="Query" if seq % 3 else "User Authentication",
        operation="browse.patients" if seq % 3 else "sessions.login",
        outcome=AuditOutcome.REFUSED if refused else AuditOutcome.SUCCESS,
        actor_kind="user",
        actor="rt_anna" if seq % 2 else "dr_roe",
        role="technologist" if seq % 2 else "radiologist",
        unix_user="anna",
        terminal="/dev/pts/3",
        ssh_client="10.0.4.9",
        address="",
        patient_id="" if seq % 3 else f"{1002900 + seq}",
        detail="needs import" if refused else "",
        hash=f"{seq:064x}",
    )


def association(key: int, state: AssociationState, **changes: Any) -> AssociationRecord:
    """An association of CT_ROOM1, as it stands."""
    row = AssociationRecord(
        key=key,
        calling_ae_title="CT_ROOM1",
        called_ae_title="ARCH1",
        address="10.0.4.17",
        state=state,
        started_at=NOW - 12,
        ended_at=None if state is AssociationState.OPEN else NOW - 2,
        stored=156 if state is not AssociationState.REJECTED else 0,
        bytes_received=82_000_000 if state is not AssociationState.REJECTED else 0,
        last_status="0x0000 Success",
        last_at=NOW - 1,
        known_node=True,
        contexts=(
            ContextOutcome(
                abstract_syntax="1.2.840.10008.5.1.4.1.1.2",
                abstract_syntax_name="CT Image Storage",
                transfer_syntax="Explicit VR Little Endian",
                accepted=True,
            ),
            ContextOutcome(
                abstract_syntax="1.2.840.10008.5.1.4.1.2.2.1",
                abstract_syntax_name="Study Root Query/Retrieve - FIND",
                transfer_syntax="Implicit VR Little Endian",
                accepted=False,
                reason="abstract syntax not supported",
            ),
        ),
    )
    return msgspec.structs.replace(row, **changes)


def _element(depth: int, tag: str, vr: str, name: str, value: str, **more: Any) -> ElementLine:
    return ElementLine(
        depth=depth,
        tag=tag,
        vr=vr,
        name=name,
        keyword=name.replace(" ", ""),
        value=value,
        length=more.pop("length", len(value)),
        **more,
    )


ELEMENTS = (
    _element(0, "(0008,0016)", "UI", "SOP Class UID", "1.2.840.10008.5.1.4.1.1.2"),
    _element(0, "(0008,0020)", "DA", "Study Date", "20261127"),
    _element(0, "(0008,0060)", "CS", "Modality", "CT"),
    _element(
        0, "(0008,1140)", "SQ", "Referenced Image Sequence", "2 items", length=-1, has_children=True
    ),
    _element(1, "", "", "Item 1", "", has_children=True),
    _element(2, "(0008,1155)", "UI", "Referenced SOP Instance UID", "1.2.3.4.5"),
    _element(1, "", "", "Item 2", "", has_children=True),
    _element(2, "(0008,1155)", "UI", "Referenced SOP Instance UID", "1.2.3.4.6"),
    _element(0, "(0009,0010)", "LO", "Private Creator", "SIEMENS CT VA0", is_private=True),
    _element(0, "(0010,0010)", "PN", "Patient's Name", "DOE^JOHN"),
    _element(0, "(0010,0020)", "LO", "Patient ID", "1002900"),
    _element(0, "(0028,0010)", "US", "Rows", "64", length=2),
    _element(0, "(7FE0,0010)", "OW", "Pixel Data", "8192 bytes", length=8192),
)


def _matches(row: PatientRecord, term: Term) -> bool:
    if term.field is Field.MODALITY:
        found = any(value.upper() in row.modalities for value in term.value.split(","))
    elif term.field is Field.DATE:
        found = (term.first or "0") <= row.latest_study_date <= (term.last or "9")
    elif term.field is Field.PATIENT_ID:
        found = term.value in row.patient_id
    elif term.field is Field.STATE:
        found = term.value in row.flags
    else:
        found = fold(term.value) in fold(f"{row.patient_name} {row.patient_id}")
    return found != term.exclude


class FakeLink:
    """One connection to a `FakeArchive`."""

    def __init__(self, archive: FakeArchive) -> None:
        self.token = ""
        self.archive = archive

    async def call(self, operation: op.Operation[Any, Any], request: Any) -> Any:
        return cleaned(await self.archive.answer(operation.name, request, self.token))

    async def download(self, key: int, *, document: bool = False) -> AsyncIterator[bytes]:
        if self.archive.role is Role.VIEWER:
            raise ForbiddenError("export needs another role")
        yield b"%PDF-"
        yield b"1.7 and so on"

    async def events(self) -> AsyncIterator[m.Wake]:
        before: tuple[object, ...] = ()
        while True:
            archive = self.archive
            if not archive.reachable:
                raise DaemonUnreachableError("the archive went away")
            if not archive.token_valid:
                raise AuthenticationError("the session is over")
            now = (
                archive.seq,
                archive.incoming_version,
                archive.jobs_version,
                archive.session_state,
            )
            if now != before:
                before = now
                yield m.Wake(seq=now[0], incoming=now[1], jobs=now[2], session=now[3])
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        return None
