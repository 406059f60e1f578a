"""The state of the archive itself."""

from __future__ import annotations

from msgspec import Struct


class Health(Struct, frozen=True, kw_only=True):
    """What anyone on the control socket may know: no patient data, no counts."""

    version: str
    pid: int
    ae_title: str
    host: str
    port: int
    receiving: bool
    started_at: float
    login_hint: str = ""  # only the demo archive has one
    receiving_reason: str = ""  # why it does not receive


class Totals(Struct, frozen=True, kw_only=True):
    """Counters kept in the index."""

    patients: int
    studies: int
    series: int
    instances: int
    size_bytes: int


class ModalityUse(Struct, frozen=True, kw_only=True):
    """How much of the archive one modality takes."""

    modality: str
    series: int
    instances: int
    size_bytes: int


class SystemStatus(Struct, frozen=True, kw_only=True):
    """All that the system screen and ``tuipacs status`` show."""

    health: Health
    archive: str
    totals: Totals
    modalities: tuple[ModalityUse, ...]
    disk_total: int
    disk_free: int
    reserve: int
    read_only: str  # why nothing is stored; empty when all is well
    associations: int
    jobs_running: int
    sessions: int
    as_of_seq: int
    memory_bytes: int
    quarantined: int
    unknown_callers: str
    log_tail: tuple[str, ...] = ()
