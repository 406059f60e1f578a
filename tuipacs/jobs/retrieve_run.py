"""One pass of a retrieve job over what is still to come, by one way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.domain.actor import Actor
from tuipacs.domain.dimse_status import answer_words
from tuipacs.domain.ingest import ExpectedObjects
from tuipacs.domain.job import ItemState
from tuipacs.domain.node import CallService
from tuipacs.domain.uid import MAX_UID_LENGTH
from tuipacs.index import holdings, retrieve_jobs
from tuipacs.index.database import Index
from tuipacs.index.job_items import ItemOutcome, WaitingItem
from tuipacs.index.retrieve_jobs import HERE_ALREADY, SeriesToDo
from tuipacs.jobs.retrieve_come import Arrivals, AsTold, AtNode, InIndex, Received
from tuipacs.jobs.retrieve_listing import Present, listing, there
from tuipacs.jobs.retrieve_watch import GRACE, Watch
from tuipacs.jobs.retrieve_ways import MAX_CLASSES, MAX_UIDS, GetWay, MoveWay, Way
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import RetryLater
from tuipacs.scu.requestor import Response
from tuipacs.scu.suboperations import Retrieval
from tuipacs.services.ingest import Ingest
from tuipacs.services.remote_identifier import retrieve_identifier
from tuipacs.services.retrievals import Ends, Retrievals, RetrievePayload
from tuipacs.services.wakeups import Wakeups

_LOOK_EVERY = 0.25
_OTHER_CAME = "it came for another patient: not who the source said"
_OTHER_HERE = "it is here for another patient: not who the source said"
_PATIENCE = 3  # requests in a row of which nothing came
_FINAL = frozenset((0xA801, 0xA900, 0x0122, 0x0124, 0x0211))


@dataclass(frozen=True)
class Times:
    """In seconds. ``settle``: without an arrival, after the last answer of a C-MOVE, whose objects
    come on associations of their own. ``stall``: without any sign of work. ``grace``: from a cancel
    to the end of the connection.
    """

    settle: float = 5.0
    stall: float = 900.0
    grace: float = GRACE


@dataclass(frozen=True)
class Parts:
    """What a run works with."""

    index: Index
    retrievals: Retrievals
    ingest: Ingest
    wakeups: Wakeups
    times: Times


class Run:
    """Requests everything that is to do. ``remark``: what is to be said of it beside the counts.

    ``reason``: why something did not come, of late. ``is_last``: there is no other way to try.
    """

    def __init__(
        self,
        parts: Parts,
        actor: Actor,
        key: int,
        ends: Ends,
        asked: RetrievePayload,
        progress: Progress,
        service: CallService,
        *,
        is_last: bool,
    ) -> None:
        self._is_last = is_last
        self._parts = parts
        self._actor = actor
        self._key = key
        self._ends = ends
        self._progress = progress
        self._is_get = service is CallService.GET
        self._received = Received()
        self._sizes: dict[str, int] = {}
        self._others: dict[str, str] = {}  # what came under a UID and is not it: why
        self._looked_at = 0.0
        self._fruitless = 0
        self._bell = threading.Event()
        self._watch: Watch | None = None
        self._look: Callable[[], None] = lambda: None
        self.remark = self.reason = ""
        self._get: GetWay | None = None
        self._way = self._make_way(service)
        self._arrivals = self._make_arrivals(asked)

    def _make_way(self, service: CallService) -> Way:
        peer = self._parts.retrievals.peer(self._actor, self._ends.source, service)
        if service is CallService.GET:
            self._get = GetWay(
                peer,
                self._parts.ingest,
                self._actor,
                self._progress,
                self._on_object,
                self._others.__setitem__,
            )
            return self._get
        to = self._ends.to
        return MoveWay(peer, to.ae_title if to else peer.calling_ae_title)

    def _make_arrivals(self, asked: RetrievePayload) -> Arrivals:
        to = self._ends.to
        if to is not None and CallService.QUERY in to.call.services:
            return AtNode(self._present_there())
        if to is None and asked.only_missing:
            return InIndex(self._parts.index)
        return self._received if self._is_get else AsTold(self._told)

    def _present_there(self) -> Present:
        def present(study: str, series: str, uids: frozenset[str]) -> frozenset[str]:
            to = self._ends.to
            if to is None:
                raise AssertionError("asked of a node, and it is here")
            peer = self._parts.retrievals.peer(self._actor, to, CallService.QUERY)
            with listing(peer, to, self._progress.check) as lister:
                return there(lister)(study, series, uids)

        return present

    def _told(self) -> None:
        self.remark = "as the source says"

    def all(self, todo: Sequence[SeriesToDo]) -> str:
        """Request all of it; returns why this way does not work, if so.

        Raises `RetryLater` when the source or the way to it failed.
        """
        with self._ringing():
            for series in todo:
                self._progress.check()
                if refusal := self._series(series):
                    return refusal
        if self._get is not None and self._get.unasked:
            self.remark = f"{self._get.unasked:,} objects that were not asked for were refused"
        return ""

    @contextmanager
    def _ringing(self) -> Iterator[None]:
        stop = self._parts.wakeups.listen(self._bell.set)
        try:
            yield
        finally:
            stop()

    def _series(self, series: SeriesToDo) -> str:
        """Request what is missing of one series; returns why this way does not work, if so."""
        left = {item.sop_instance_uid: item for item in series.items}
        self._note_come(series, left, self._arrivals.before(series, frozenset(left)), already=True)
        classes = {item.sop_class_uid for item in series.items}
        is_whole = series.is_whole and len(left) == len(series.items)
        if is_whole and not (self._is_get and len(classes) > MAX_CLASSES):
            return self._ask(series, left, ())
        for piece in _pieces(left.values()):
            self._progress.check()
            these = {item.sop_instance_uid: item for item in piece}
            if refusal := self._ask(series, these, tuple(these)):
                return refusal
        return ""

    def _ask(self, series: SeriesToDo, left: dict[str, WaitingItem], uids: Sequence[str]) -> str:
        """Ask for these; without ``uids`` for the series, which is the same."""
        question = retrieve_identifier(series.study_instance_uid, series.series_instance_uid, uids)
        classes = sorted({item.sop_class_uid for item in left.values()})
        before = len(left)
        try:
            with self._way.ask(question, classes, self._expected(series, left)) as retrieval:
                try:
                    self._follow(series, left, retrieval)
                finally:
                    self._note_come(series, left, self._arrivals.now(frozenset(left)))
                    self._note_others(left)
        except AssociationFailedError as error:
            if error.failure is Failure.NO_CONTEXT:
                return error.message
            raise
        self._settle(series, left, retrieval)
        final = retrieval.final or Response(None, "there was no last answer")
        came = len(left) < before
        if final.status in _FINAL or not (came or self._is_last or _is_done(final)):
            return self._refusal(final)
        self._conclude(left, retrieval, final, came=came)
        return ""

    def _expected(self, series: SeriesToDo, left: Iterable[str]) -> ExpectedObjects:
        return ExpectedObjects(
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            sop_instance_uids=frozenset(left),
            patient=series.patient,
        )

    def _note_others(self, left: dict[str, WaitingItem]) -> None:
        """What came and is not what was asked for: it would be the same the next time."""
        outcomes = [
            ItemOutcome(left.pop(uid).position, ItemState.FAILED, None, words)
            for uid, words in self._others.items()
            if uid in left
        ]
        self._others.clear()
        if outcomes:
            self._write(outcomes)

    def _follow(
        self, series: SeriesToDo, left: dict[str, WaitingItem], retrieval: Retrieval
    ) -> None:
        def look() -> None:
            if time.monotonic() - self._looked_at >= _LOOK_EVERY:
                self._note_come(series, left, self._arrivals.now(frozenset(left)))
                self._looked_at = time.monotonic()

        most = -1
        self._look = look
        times = self._parts.times
        with Watch(
            self._progress.check, retrieval.cut, stall=times.stall, grace=times.grace
        ) as watch:
            self._watch = watch
            for counts in retrieval:
                if watch.signal is not None:
                    retrieval.cancel()
                told = counts.completed + counts.failed + counts.warning
                if told > most:
                    most = told
                    watch.moved()
                look()
            if watch.has_stalled:
                retrieval.final = Response(None, f"{self._ends.source.ae_title} did nothing")

    def _on_object(self, uid: str, size: int) -> None:
        """An object of a C-GET is here."""
        self._received.uids.add(uid)
        self._sizes[uid] = size
        self._look()

    def _settle(
        self, series: SeriesToDo, left: dict[str, WaitingItem], retrieval: Retrieval
    ) -> None:
        """What was on its way when the last answer came."""
        come = self._arrivals.after(series, frozenset(left), retrieval)
        self._note_come(series, left, come)
        if self._is_get or not isinstance(self._arrivals, InIndex):
            return
        final = retrieval.final
        if final is not None and final.status not in (0x0000, 0xB000, None):
            return
        until = time.monotonic() + self._parts.times.settle
        while left.keys() - set(retrieval.failed_uids) and time.monotonic() < until:
            self._progress.check()
            self._bell.wait(0.1)
            self._bell.clear()
            come = self._arrivals.now(frozenset(left))
            if come:
                self._note_come(series, left, come)
                until = time.monotonic() + self._parts.times.settle

    def _note_come(
        self,
        series: SeriesToDo,
        left: dict[str, WaitingItem],
        come: frozenset[str],
        *,
        already: bool = False,
    ) -> None:
        """Those are done; they are taken out of ``left``."""
        if not come:
            return
        if self._watch is not None:
            self._watch.moved()
        elsewhere: set[str] = set()
        others: set[str] = set()
        if self._ends.to is None:
            with self._parts.index.read() as reader:
                studies = holdings.studies_of(reader, come)
                whose = holdings.patients_of(reader, come) if series.patient.patient_id else {}
            study = series.study_instance_uid
            elsewhere = {uid for uid, found in studies.items() if study not in found}
            others = {
                uid
                for uid, patients in whose.items()
                if all(series.patient.is_other(*patient) for patient in patients)
            }
        outcomes = []
        for uid in come:
            item = left.pop(uid)
            words = HERE_ALREADY if already else ""
            state = ItemState.DONE
            if uid in elsewhere:
                state, words = ItemState.WARNING, "it is here under another Study Instance UID"
            if uid in others:
                state, words = ItemState.WARNING, _OTHER_HERE if already else _OTHER_CAME
            size = self._sizes.pop(uid, 0)
            outcomes.append(ItemOutcome(item.position, state, None, words, size))
        outcomes.sort(key=lambda outcome: outcome.position)
        self._write(outcomes, already=len(outcomes) if already else 0)

    def _write(self, outcomes: Sequence[ItemOutcome], *, already: int = 0) -> None:
        with self._parts.index.write() as tx:
            retrieve_jobs.note(tx, self._key, outcomes, already=already)
        self._progress.tell()

    def _conclude(
        self,
        left: dict[str, WaitingItem],
        retrieval: Retrieval,
        final: Response,
        *,
        came: bool,
    ) -> None:
        """What has not come waits, with the reason noted; raises `RetryLater` if more would too."""
        failed = set(retrieval.failed_uids)
        source = self._ends.source.ae_title
        words = _words(final)
        if left:
            self.reason = self._refusal(final)
            self._write(
                [
                    ItemOutcome(
                        item.position,
                        ItemState.WAITING,
                        comment=f"{source} could not send it" if uid in failed else words,
                    )
                    for uid, item in left.items()
                ]
            )
        self._fruitless = 0 if came else self._fruitless + bool(left)
        if final.status is None or self._fruitless >= _PATIENCE:
            raise RetryLater(self.reason)

    def _refusal(self, final: Response) -> str:
        words = f"{self._ends.source.ae_title}: {_words(final)}"
        if not self._is_get and not _is_done(final):  # not every archive says 0xA801 then
            to = self._ends.to
            title = to.ae_title if to else "this archive"
            words += f"; it has to know {title} as a destination"
        return words


def _pieces(items: Iterable[WaitingItem]) -> Iterator[list[WaitingItem]]:
    """As many as fit into one request, by SOP class.

    A peer may refuse a request for a UID that is too long for one: those go alone.
    """
    piece: list[WaitingItem] = []
    classes: set[str] = set()
    for item in sorted(items, key=lambda item: (item.sop_class_uid, item.position)):
        if len(item.sop_instance_uid) > MAX_UID_LENGTH:
            yield [item]
            continue
        if len(piece) == MAX_UIDS or len(classes | {item.sop_class_uid}) > MAX_CLASSES:
            yield piece
            piece, classes = [], set()
        piece.append(item)
        classes.add(item.sop_class_uid)
    if piece:
        yield piece


def _is_done(final: Response) -> bool:
    """Whether the node did what it could, or was told to stop."""
    return final.status in (0x0000, 0xB000, 0xFE00)


def _words(final: Response) -> str:
    """Of what did not come, though the answer was this one."""
    if final.status is None:
        return final.comment
    if final.status == 0x0000:
        return "said to be sent, and did not come"
    return answer_words(final.status, final.comment)
