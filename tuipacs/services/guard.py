"""The guard at the door: checks the permission, then sees to it that the log has a record.

A guarded method's record is written in the method's own transaction (`Service.transaction`), or,
for a method that writes nothing, in one of its own before the answer is given out. A refusal and a
failure are recorded too. Methods say what their record is about with `about`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, ParamSpec, TypeVar

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.permissions import Permission, roles_with
from tuipacs.errors import ForbiddenError, TuipacsError
from tuipacs.index import audit
from tuipacs.index.database import Index, Transaction

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Service")

_MAX_DETAIL = 500  # characters


class _Call:
    """One guarded call while it runs: what its record will say, and whether it was written."""

    __slots__ = (
        "_about",
        "_actor",
        "_at",
        "_event",
        "_operation",
        "detail",
        "recorded",
    )

    def __init__(self, actor: Actor, event: AuditEvent, operation: str, at: float) -> None:
        self._actor = actor
        self._event = event
        self._operation = operation
        self._at = at
        self._about = ("", "", "")  # patient ID, Study and SOP Instance UID
        self.detail = ""
        self.recorded = False

    def about(self, patient_id: str, study_instance_uid: str, sop_instance_uid: str) -> None:
        before = self._about
        self._about = (
            patient_id or before[0],
            study_instance_uid or before[1],
            sop_instance_uid or before[2],
        )

    def record(self, outcome: AuditOutcome, detail: str) -> AuditRecord:
        actor = self._actor
        return new_record(
            self._event,
            self._operation,
            self._at,
            actor=actor.name,
            kind=actor.kind,
            role=actor.role.value if actor.role else "",
            origin=actor.origin,
            outcome=outcome,
            detail=detail[:_MAX_DETAIL],
            about=self._about,
        )


_current: ContextVar[_Call | None] = ContextVar("guarded_call", default=None)


class Service:
    """Base of all services: the index, the clock, and transactions that carry the audit record."""

    def __init__(self, index: Index, clock: Clock) -> None:
        self._index = index
        self._clock = clock

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction; the running call's audit record is its last statement."""
        call = _current.get()
        with self._index.write() as tx:
            yield tx
            if call is not None and not call.recorded:
                audit.append(tx, call.record(AuditOutcome.SUCCESS, call.detail))
        if call is not None:
            call.recorded = True

    def together(self, work: Callable[[Transaction], R]) -> R:
        """Run ``work`` in a transaction shared with other calls that wait for theirs.

        As with `transaction`, this call's audit record is its last statement, and both stand or
        fall together. ``work`` may run in another thread and may use `about`.
        """
        call = _current.get()

        def unit(tx: Transaction) -> R:
            token = _current.set(call)
            try:
                result = work(tx)
                if call is not None and not call.recorded:
                    audit.append(tx, call.record(AuditOutcome.SUCCESS, call.detail))
            finally:
                _current.reset(token)
            return result

        result = self._index.share(unit)
        if call is not None:
            call.recorded = True
        return result

    def _record(self, outcome: AuditOutcome, call: _Call, detail: str) -> None:
        """Write a call's record in a transaction of its own."""
        with self._index.write() as tx:
            audit.append(tx, call.record(outcome, detail))


def about(
    *,
    patient_id: str = "",
    study_instance_uid: str = "",
    sop_instance_uid: str = "",
    detail: str = "",
) -> None:
    """Say what the running call's audit record is about. Empty arguments change nothing."""
    call = _current.get()
    if call is None:
        raise AssertionError("about() outside a guarded call")
    call.about(patient_id, study_instance_uid, sop_instance_uid)
    if detail:
        call.detail = detail[:_MAX_DETAIL]


def note(tx: Transaction, detail: str) -> None:
    """Write one more record of the running call, in its transaction: for one of many that it does.

    The call's own record follows.
    """
    call = _current.get()
    if call is None:
        raise AssertionError("note() outside a guarded call")
    audit.append(tx, call.record(AuditOutcome.SUCCESS, detail))


def covered() -> None:
    """Say that the log already has a record covering this call (the next page of one query)."""
    call = _current.get()
    if call is None:
        raise AssertionError("covered() outside a guarded call")
    call.recorded = True


def guarded(
    permission: Permission, event: AuditEvent, *, only_refusals: str = ""
) -> Callable[[Callable[Concatenate[S, Actor, P], R]], Callable[Concatenate[S, Actor, P], R]]:
    """Mark a service method: who may call it and as which event it is recorded.

    ``only_refusals`` gives the reason why a success needs no record of its own.
    The wrapped method raises `ForbiddenError` for an actor without ``permission``.
    """

    def decorate(
        method: Callable[Concatenate[S, Actor, P], R],
    ) -> Callable[Concatenate[S, Actor, P], R]:
        names: dict[type, str] = {}  # "service.method", by the class it is called on

        @functools.wraps(method)
        def door(self: S, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            operation = names.get(type(self))
            if operation is None:
                operation = f"{type(self).__name__.lower()}.{method.__name__}"
                names[type(self)] = operation
            call = _Call(actor, event, operation, self._clock())
            if permission not in actor.permissions:
                self._record(AuditOutcome.REFUSED, call, f"lacks {permission.value}")
                needed = ", ".join(roles_with(permission)) or "a known DICOM node"
                raise ForbiddenError(
                    f"{actor.name or 'this caller'} may not do that ({permission.value})",
                    remedy=f"needs role {needed}",
                )
            call.recorded = bool(only_refusals)
            token = _current.set(call)
            try:
                result = method(self, actor, *args, **kwargs)
            except Exception as error:
                reason = error.message if isinstance(error, TuipacsError) else type(error).__name__
                tried = call.detail
                words = f"{tried}: {reason}" if tried and tried != reason else reason
                self._record(AuditOutcome.FAILURE, call, words)
                raise
            finally:
                _current.reset(token)
            if not call.recorded:
                self._record(AuditOutcome.SUCCESS, call, call.detail)
            return result

        door.permission = permission  # type: ignore[attr-defined]
        door.only_refusals = only_refusals  # type: ignore[attr-defined]
        return door

    return decorate


def before_login(reason: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a public service method that has no actor yet, and say why that is right."""

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        method.before_login = reason  # type: ignore[attr-defined]
        return method

    return decorate
