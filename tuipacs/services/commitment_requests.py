"""Storage commitment that others ask of us (PS3.4 J.3.2): taken on here, done by a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuipacs.dicom.commitment import read_commitment
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.commitment import Reference, TakenState
from tuipacs.domain.permissions import Permission
from tuipacs.errors import ConflictError, InvalidObjectError, UnavailableError, UsageError
from tuipacs.index import commitments_taken, nodes
from tuipacs.index.database import Index, Transaction
from tuipacs.services.guard import Service, about, guarded

MAX_OPEN = 1000  # transactions of one node without an end
MAX_OPEN_OBJECTS = 1_000_000
MAX_ENDED = 2000  # transactions of one node that are kept to be recognised
_SAME_ASSOCIATION = 600.0  # seconds that a report there has before the worker makes one


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """An N-ACTION as it came. ``node``: the key of the node that asks."""

    node: int
    dataset: bytes | bytearray
    transfer_syntax_uid: str


class CommitmentRequests(Service):
    """What nodes ask. ``on_request`` is called when there is something to do."""

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self.on_request: Callable[[], None] = lambda: None

    @guarded(Permission.DICOM_COMMIT, AuditEvent.APPLICATION_ACTIVITY)
    def take(self, actor: Actor, request: CommitmentRequest) -> int | None:
        """Keep a request; when this returns it is durable, and will be answered.

        Returns its key if it is to be reported on this very association, else None. The same
        request again is taken on again. A reference without a UID is one of those that fail: it
        takes no others with it. Raises `InvalidObjectError` for what cannot be read,
        `ConflictError` for a transaction UID that stands for another list, `UnavailableError` for
        more than is taken on at once, and `UsageError` for a node that could not be told.
        """
        found = read_commitment(request.dataset, request.transfer_syntax_uid, may_lack_uids=True)
        references = list(dict.fromkeys(found.referenced))
        objects = f"{len(references)} object" + ("" if len(references) == 1 else "s")
        about(detail=f"storage commitment for {objects}, transaction {found.transaction_uid}")
        if not references or found.failed:
            raise InvalidObjectError("the request names no objects, or failed ones")
        now = self._clock()
        with self.transaction() as tx:
            node = nodes.node(tx, request.node)
            if node is None or not (node.call.host or node.call.report_on_same_association):
                raise UsageError("no host is known here for the report")
            is_here = node.call.report_on_same_association
            due_at = now + (_SAME_ASSOCIATION if is_here else 0.0)
            key = _again(tx, request.node, found.transaction_uid, references, due_at)
            if not key:
                _check_room(tx, request.node, len(references))
                commitments_taken.forget_oldest(tx, request.node, MAX_ENDED)
                key = commitments_taken.take(
                    tx,
                    node.key,
                    node.ae_title,
                    found.transaction_uid,
                    references,
                    now,
                    due_at,
                )
        self.on_request()
        return key if is_here else None


def _again(tx: Transaction, node: int, uid: str, references: list[Reference], due_at: float) -> int:
    """The key of the same request, set to its beginning; 0 if it is a new one."""
    before = commitments_taken.taken(tx, node, uid)
    if before is None:
        return 0
    if not commitments_taken.is_of(before, references):
        raise ConflictError("this transaction UID stands for another list already")
    if before.state in (TakenState.REPORTED, TakenState.GIVEN_UP):
        _check_room(tx, node, len(references))
    commitments_taken.start_over(tx, before.key, references, due_at)
    return before.key


def _check_room(tx: Transaction, node: int, objects: int) -> None:
    transactions, waiting = commitments_taken.open_count(tx, node)
    if transactions >= MAX_OPEN or waiting + objects > MAX_OPEN_OBJECTS:
        raise UnavailableError("too many requests of this node wait for their end")
