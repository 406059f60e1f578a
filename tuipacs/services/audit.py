"""Reading the audit log and proving that nobody changed it."""

from __future__ import annotations

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.permissions import Permission
from tuipacs.errors import UsageError
from tuipacs.index import audit
from tuipacs.schema.messages import (
    PAGE_LIMIT,
    AuditPage,
    AuditRequest,
    AuditVerification,
    Empty,
)
from tuipacs.services.guard import Service, about, covered, guarded

MAX_WORDS = 20


class Audit(Service):
    """The log's readers. Reading it is itself recorded (PS3.15 A.5.3.2)."""

    @guarded(Permission.READ_AUDIT, AuditEvent.AUDIT_LOG_USED)
    def list(self, actor: Actor, request: AuditRequest) -> AuditPage:
        """Records newest first; the first page of a search is recorded."""
        if not 1 <= request.limit <= PAGE_LIMIT or request.before_seq < 0:
            raise UsageError(f"a page has 1 to {PAGE_LIMIT} records")
        words = tuple(request.words.split())
        if len(words) > MAX_WORDS or len(request.words) > 500:
            raise UsageError(f"more than {MAX_WORDS} words")
        if request.before_seq:
            covered()
        else:
            about(detail=f"read: {request.words}" if words else "read")
        with self._index.read() as reader:
            records = audit.page(reader, words, request.before_seq, request.limit)
            return AuditPage(records=tuple(records), total=audit.head(reader)[0])

    @guarded(Permission.READ_AUDIT, AuditEvent.AUDIT_LOG_USED)
    def verify(self, actor: Actor, request: Empty) -> AuditVerification:
        """Walk the whole chain."""
        with self._index.read() as reader:
            checked, first_bad, problem = audit.verify(reader)
            seq, digest = audit.head(reader)
        message = problem or f"{checked} records, head {seq} {digest[:16]}"
        about(detail=message)
        return AuditVerification(
            ok=first_bad is None, checked=checked, first_bad=first_bad, message=message
        )
