"""Audit events with the names and codes of DICOM PS3.15 A.5, and their records."""

from __future__ import annotations

from enum import Enum, StrEnum

from msgspec import Struct

from tuipacs.domain.actor import ActorKind, Origin


class AuditEvent(Enum):
    """Event identification: (code of DCM, meaning)."""

    APPLICATION_ACTIVITY = ("110100", "Application Activity")
    AUDIT_LOG_USED = ("110101", "Audit Log Used")
    BEGIN_TRANSFERRING = ("110102", "Begin Transferring DICOM Instances")
    INSTANCES_ACCESSED = ("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = ("110104", "DICOM Instances Transferred")
    STUDY_DELETED = ("110105", "DICOM Study Deleted")
    EXPORT = ("110106", "Export")
    IMPORT = ("110107", "Import")
    NETWORK_ENTRY = ("110108", "Network Entry")
    PATIENT_RECORD = ("110110", "Patient Record")
    QUERY = ("110112", "Query")
    SECURITY_ALERT = ("110113", "Security Alert")
    USER_AUTHENTICATION = ("110114", "User Authentication")

    @property
    def code(self) -> str:
        """The DCM code value."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """The code meaning."""
        return self.value[1]


class AuditOutcome(StrEnum):
    """Event outcome indicator (PS3.15 A.5.2.5)."""

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"  # the guard said no


class AuditRecord(Struct, frozen=True, kw_only=True):
    """One link of the append-only hash chain. ``seq`` has no gaps."""

    seq: int
    at: float  # seconds since the epoch, UTC
    event_code: str
    event: str
    operation: str  # "browse.patients"
    outcome: AuditOutcome
    actor_kind: str
    actor: str
    role: str
    unix_user: str
    terminal: str
    ssh_client: str
    address: str
    patient_id: str = ""
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    detail: str = ""
    hash: str = ""  # hex SHA-256 over the previous hash and this record


_NOWHERE = Origin()


def new_record(
    event: AuditEvent,
    operation: str,
    at: float,
    *,
    actor: str = "tuipacs",
    kind: ActorKind = ActorKind.SYSTEM,
    role: str = "",
    origin: Origin | None = None,
    outcome: AuditOutcome = AuditOutcome.SUCCESS,
    detail: str = "",
    about: tuple[str, str, str] = ("", "", ""),
) -> AuditRecord:
    """A record that is not yet in the log: ``seq`` and ``hash`` come when it is appended.

    ``about``: patient ID, Study Instance UID, SOP Instance UID.
    """
    where = origin or _NOWHERE
    return AuditRecord(
        seq=0,
        at=at,
        event_code=event.code,
        event=event.meaning,
        operation=operation,
        outcome=outcome,
        actor_kind=kind.value,
        actor=actor,
        role=role,
        unix_user=where.unix_user,
        terminal=where.terminal,
        ssh_client=where.ssh_client,
        address=where.address,
        patient_id=about[0],
        study_instance_uid=about[1],
        sop_instance_uid=about[2],
        detail=detail,
    )
