"""Finding: pages for the screens, searches for commands, and what changed since."""

from __future__ import annotations

import datetime as dt

from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent
from tuipacs.domain.clock import Clock
from tuipacs.domain.level import Level
from tuipacs.domain.permissions import Permission
from tuipacs.domain.query import SortKey, Term, parse_filter
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import browse, changes, lookup, rows
from tuipacs.index.changes import last_seq
from tuipacs.index.database import Index, Reader
from tuipacs.schema.messages import (
    PAGE_LIMIT,
    Changes,
    ChangesRequest,
    ChildrenRequest,
    FindRequest,
    FindResult,
    InstanceRows,
    PageRequest,
    PatientPage,
    Position,
    PositionRequest,
    SeriesRows,
    Shown,
    StudyPage,
    StudyRows,
    UidRequest,
)
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.recent import Recent

FIND_LIMIT = 100_000
_SAME_QUERY_SECONDS = 600.0  # one record for a list that is kept up to date on a screen
_EVENT = AuditEvent.QUERY


class Browse(Service):
    """Reading the index on behalf of people."""

    def __init__(self, index: Index, clock: Clock) -> None:
        super().__init__(index, clock)
        self._asked = Recent(seconds=_SAME_QUERY_SECONDS)

    def _record_once(self, actor: Actor, operation: str, *query: str | int) -> None:
        """Record the running call, unless its session asked the same a moment ago.

        Screens read what they show again while the archive receives; that is one query.
        """
        if not actor.session_key:
            return  # nothing tells whose call it is: the guard records each
        now = self._clock()
        asked = (actor.session_key, operation, *query)
        if self._asked.has(asked, now):
            covered()
        else:
            with self.transaction():  # the record, before anything relies on its being there
                pass
            self._asked.add(asked, now)

    def _terms(self, text: str) -> tuple[Term, ...]:
        return parse_filter(text, dt.datetime.fromtimestamp(self._clock()).astimezone().date())

    @guarded(Permission.BROWSE, _EVENT)
    def patients(self, actor: Actor, request: PageRequest) -> PatientPage:
        """One page of patients with at least one matching study."""
        _about_page(request)
        with self._index.read() as reader:
            keys, matched = self._page(reader, Level.PATIENT, request)
            answer = PatientPage(
                rows=rows.patients(reader, keys),
                matched=matched,
                total=browse.totals(reader).patients,
                as_of_seq=last_seq(reader),
            )
        if not request.offset:
            self._record_once(actor, "patients", request.filter)
        return answer

    @guarded(Permission.BROWSE, _EVENT)
    def studies(self, actor: Actor, request: PageRequest) -> StudyPage:
        """One page of matching studies."""
        _about_page(request)
        with self._index.read() as reader:
            keys, matched = self._page(reader, Level.STUDY, request)
            answer = StudyPage(
                rows=rows.studies(reader, keys),
                matched=matched,
                total=browse.totals(reader).studies,
                as_of_seq=last_seq(reader),
            )
        if not request.offset:
            self._record_once(actor, "studies", request.filter)
        return answer

    def _page(self, reader: Reader, level: Level, request: PageRequest) -> tuple[list[int], int]:
        return browse.page(
            reader,
            level,
            self._terms(request.filter),
            request.sort,
            descending=request.descending,
            offset=request.offset,
            limit=request.limit,
        )

    @guarded(Permission.BROWSE, _EVENT, only_refusals="gives a number, no patient data")
    def position(self, actor: Actor, request: PositionRequest) -> Position:
        """Where a row stands now."""
        if request.level not in (Level.PATIENT, Level.STUDY):
            raise UsageError("a position is asked for at patient or study level")
        with self._index.read() as reader:
            return Position(
                offset=browse.position(
                    reader,
                    request.level,
                    request.key,
                    self._terms(request.filter),
                    request.sort,
                    descending=request.descending,
                )
            )

    @guarded(Permission.BROWSE, AuditEvent.PATIENT_RECORD)
    def studies_of(self, actor: Actor, request: ChildrenRequest) -> StudyRows:
        """The studies of one patient, newest first."""
        _check_page(request.offset, request.limit)
        with self._index.read() as reader:
            keys = browse.study_keys_of(reader, request.key, self._terms(request.filter))
            patient_id = lookup.patient_id(reader, request.key)
            if patient_id is None:
                raise NotFoundError("there is no such patient")
            about(patient_id=patient_id[:64], detail=f"{len(keys)} studies")
            answer = StudyRows(
                rows=rows.studies(reader, keys[request.offset : request.offset + request.limit]),
                total=len(keys),
                as_of_seq=last_seq(reader),
            )
        self._record_once(actor, "studies_of", request.key, request.filter)
        return answer

    @guarded(Permission.BROWSE, AuditEvent.INSTANCES_ACCESSED)
    def series_of(self, actor: Actor, request: ChildrenRequest) -> SeriesRows:
        """The series of one study, by number."""
        _check_page(request.offset, request.limit)
        with self._index.read() as reader:
            names = lookup.study_names(reader, request.key)
            if names is None:
                raise NotFoundError("there is no such study")
            about(patient_id=names[0][:64], study_instance_uid=names[1])
            keys = lookup.series_keys(reader, request.key)
            answer = SeriesRows(
                rows=rows.series(reader, keys[request.offset : request.offset + request.limit]),
                total=len(keys),
                as_of_seq=last_seq(reader),
            )
        self._record_once(actor, "series_of", request.key)
        return answer

    @guarded(
        Permission.BROWSE,
        AuditEvent.INSTANCES_ACCESSED,
        only_refusals="numbers and UIDs of a study whose opening is recorded",
    )
    def instances_of(self, actor: Actor, request: ChildrenRequest) -> InstanceRows:
        """The instances of one series, by number."""
        _check_page(request.offset, request.limit)
        with self._index.read() as reader:
            keys, total = lookup.instance_keys(reader, request.key, request.offset, request.limit)
            return InstanceRows(
                rows=rows.instances(reader, keys), total=total, as_of_seq=last_seq(reader)
            )

    @guarded(Permission.BROWSE, _EVENT)
    def find(self, actor: Actor, request: FindRequest) -> FindResult:
        """Search at any level."""
        about(detail=f"{request.level.value}: {request.filter}")
        limit = min(request.limit or FIND_LIMIT, FIND_LIMIT)
        if limit < 0:
            raise UsageError("the limit is negative")
        terms = self._terms(request.filter)
        with self._index.read() as reader:
            seq = last_seq(reader)
            if request.level in (Level.PATIENT, Level.STUDY):
                keys, matched = browse.page(
                    reader,
                    request.level,
                    terms,
                    SortKey.RECEIVED,
                    descending=True,
                    offset=0,
                    limit=limit,
                )
                of_patients = request.level is Level.PATIENT
                return FindResult(
                    level=request.level,
                    patients=rows.patients(reader, keys) if of_patients else (),
                    studies=() if of_patients else rows.studies(reader, keys),
                    matched=matched,
                    as_of_seq=seq,
                )
            keys = browse.matching_study_keys(reader, terms)
            if request.level is Level.SERIES:
                found, matched = lookup.series_in(reader, keys, terms, limit)
                return FindResult(
                    level=request.level,
                    series=rows.series(reader, found),
                    matched=matched,
                    as_of_seq=seq,
                )
            found, matched = lookup.instances_in(reader, keys, terms, limit)
            return FindResult(
                level=request.level,
                instances=rows.instances(reader, found),
                matched=matched,
                as_of_seq=seq,
            )

    @guarded(Permission.BROWSE, AuditEvent.INSTANCES_ACCESSED)
    def show(self, actor: Actor, request: UidRequest) -> Shown:
        """What a UID or patient ID names. Raises `NotFoundError`."""
        uid = request.uid.strip()
        with self._index.read() as reader:
            shown = lookup.show(reader, uid)
        if shown is None:
            raise NotFoundError("nothing in the archive has that UID or patient ID")
        study = shown.studies[0] if shown.studies else None
        about(
            patient_id=shown.patients[0].patient_id[:64] if shown.patients else "",
            study_instance_uid=study.study_instance_uid if study else "",
            detail=shown.level.value,
        )
        return shown

    @guarded(
        Permission.BROWSE, _EVENT, only_refusals="keeps a list up to date whose query is recorded"
    )
    def changes(self, actor: Actor, request: ChangesRequest) -> Changes:
        """Rows touched after a point of the feed, as they are now."""
        if not 1 <= request.limit <= PAGE_LIMIT:
            raise UsageError(f"the limit is not within 1 to {PAGE_LIMIT}")
        with self._index.read() as reader:
            return changes.since(reader, request.after_seq, request.limit)


def _check_page(offset: int, limit: int) -> None:
    if offset < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise UsageError(f"a page has 1 to {PAGE_LIMIT} rows and begins at 0 or later")


def _about_page(request: PageRequest) -> None:
    """The first page of a query is recorded; the next ones are covered by it."""
    _check_page(request.offset, request.limit)
    if request.offset:
        covered()
    else:
        about(detail=request.filter or "everything")
