"""The state of the archive itself."""

from __future__ import annotations

from msgspec import Struct

CERTIFICATE_WARNING_DAYS = 30  # before it expires, everybody who looks is told


class TlsHealth(Struct, frozen=True, kw_only=True):
    """The TLS port and the archive's own certificate; all of it is shown to any caller anyway."""

    port: int
    subject: str
    sha256: str
    expires_at: float
    problem: str = ""  # why files that were put in its place are not used

    def days_left(self, now: float) -> int:
        """Whole days until the certificate expires; negative when it has."""
        return int((self.expires_at - now) // 86400)


class Health(Struct, frozen=True, kw_only=True):
    """What anyone on the control socket may know: no patient data, no counts."""

    version: str
    pid: int
    ae_title: str
    host: str
    port: int  # without TLS; 0: not open
    receiving: bool
    started_at: float
    login_hint: str = ""  # only the demo archive has one
    receiving_reason: str = ""  # why it does not receive
    tls: TlsHealth | None = None  # None: no TLS

    @property
    def port_words(self) -> str:
        """ "11112", or "2762 (TLS)" where no other port is open."""
        return f"{self.tls.port} (TLS)" if self.tls and not self.port else str(self.port)


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
