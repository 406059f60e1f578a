"""One retrieve while it runs: its objects, what became of them, and the audit records of it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from tuipacs.dimse.contract import Counts
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.store_status import item_words
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.retrieve import Named, Share
from tuipacs.scu.c_store import NOT_SENT, StoreOutcome
from tuipacs.scu.sources import SourceObject
from tuipacs.services.transfer import Check, Transfer

_MAX_WHY = 200  # characters of the first failure in a record


class Ending(StrEnum):
    """How a retrieve ended."""

    COMPLETE = "complete"
    STOPPED = "stopped by the caller"
    FAILED = "failed"
    LOST = "the connection was lost"


class Records:
    """The audit records of one retrieve, one a study (PS3.15 A.5.3.6, A.5.3.7)."""

    def __init__(
        self, index: Index, clock: Clock, actor: Actor, operation: str, what: str, named: Named
    ) -> None:
        self._index = index
        self._clock = clock
        self._actor = actor
        self._operation = operation
        self._what = what
        self._tally = {share.study: [0, 0] for share in named.shares}  # sent, failed
        self.named = named

    def begin(self) -> None:
        """Raises as `Index.write` does."""
        with self._index.write() as tx:
            for share in self.named.shares:
                count = _objects(share.count)
                audit.append(tx, self._record(AuditEvent.BEGIN_TRANSFERRING, share, count))

    def note(self, position: int, *, is_sent: bool) -> None:
        """The object at this place of `Named.keys` was sent, or failed."""
        self._tally[self.named.studies[position]][0 if is_sent else 1] += 1

    def end(self, ending: Ending, why: str) -> None:
        """``why``: what the first failure was. Raises as `Index.write` does."""
        with self._index.write() as tx:
            for share in self.named.shares:
                sent, failed = self._tally[share.study]
                words = f"{sent} of {_objects(share.count)} sent"
                if failed:
                    words += f", {failed} failed ({why})"
                record = self._record(
                    AuditEvent.INSTANCES_TRANSFERRED, share, f"{words}, {ending.value}"
                )
                if failed or ending in (Ending.FAILED, Ending.LOST):
                    record = msgspec.structs.replace(record, outcome=AuditOutcome.FAILURE)
                audit.append(tx, record)

    def _record(self, event: AuditEvent, share: Share, words: str) -> AuditRecord:
        actor = self._actor
        return new_record(
            event,
            self._operation,
            self._clock(),
            actor=actor.name,
            kind=actor.kind,
            role=actor.role.value if actor.role else "",
            origin=actor.origin,
            detail=f"{self._what}: {words}",
            about=(share.patient_id[:64], share.study_instance_uid, ""),
        )


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


class Retrieval:
    """The objects of one retrieve, and what became of those that had their turn.

    One thread notes outcomes; others may read the counts.
    """

    def __init__(self, transfer: Transfer, records: Records) -> None:
        self._transfer = transfer
        self._records = records
        self._ended = False
        self._noted = 0
        self.total = len(records.named.keys)
        self.completed = self.failed = self.warning = 0
        self.failed_uids = bytearray()  # joined by backslashes
        self.why = ""  # the first failure, clean

    @property
    def keys(self) -> Iterator[int]:
        """Of the instances, in the order to send them in."""
        return iter(self._records.named.keys)

    @property
    def remaining(self) -> int:
        """How many had no turn yet."""
        return self.total - self.completed - self.failed - self.warning

    def counts(self, *, is_final: bool) -> Counts:
        """For an answer. Those of a final one lack the remaining, unless it is of a cancel."""
        remaining = None if is_final else self.remaining
        return Counts(remaining, self.completed, self.failed, self.warning)

    def objects(self, check: Check) -> Iterator[SourceObject]:
        """Each object, opened when its turn comes; ``check`` as in `Transfer.objects`.

        Raises as `Index.read` does.
        """
        return self._transfer.objects(self.keys, check)

    def note(self, outcome: StoreOutcome) -> None:
        """The next object has this outcome."""
        self._records.note(self._noted, is_sent=outcome.stored)
        self._noted += 1
        if outcome.is_warning:
            self.warning += 1
        elif outcome.stored:
            self.completed += 1
        else:
            if not self.why:
                comment = outcome.comment.removeprefix(NOT_SENT)
                self.why = item_words(outcome.status, comment)[:_MAX_WHY]
            uid = outcome.sop_instance_uid.encode("latin-1")
            self.failed_uids += b"\\" + uid if uid and self.failed_uids else uid
            self.failed += 1

    def end(self, ending: Ending) -> None:
        """Write the records; only the first call counts. Raises as `Index.write` does."""
        if not self._ended:
            self._ended = True
            self._records.end(ending, self.why)
