"""C-STORE as a sender: one association, each object with the peer's own status (PS3.4 B)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.messages import MEDIUM
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.requestor.opening import OnConnect
from tuipacs.domain.dimse_status import is_warning
from tuipacs.scu.choosing import pick, refusal_words
from tuipacs.scu.requestor import (
    MAX_CONTEXTS,
    Context,
    Peer,
    open_association,
)
from tuipacs.scu.sources import SourceObject, dataset_source, file_source, opened

Pace = Callable[[int], None]

NOT_SENT = "not sent: "  # begins the comment of what did not go out
_SLOW = 10.0  # seconds of preparing one object, after which the peer may have given us up


@dataclass(frozen=True)
class StoreOutcome:
    """What became of one object. ``status`` is None when it was not sent or not answered.

    ``failure`` then says why: SOURCE is the object's own fault, NO_CONTEXT the peer's choice, all
    others the association's. ``transfer_syntax_uid`` is what it was sent in, empty if it was not;
    ``size`` its bytes in that syntax; ``transcoded``: not byte for byte what is stored. ``key`` is
    the `SourceObject`'s.
    """

    sop_instance_uid: str
    status: int | None
    comment: str = ""
    key: int = 0
    transfer_syntax_uid: str = ""
    transcoded: bool = False
    size: int = 0
    failure: Failure | None = None

    @property
    def stored(self) -> bool:
        """True only for a success or a warning from the peer itself (PS3.7 C.1.1, C.3)."""
        return self.status is not None and (self.status == 0x0000 or is_warning(self.status))

    @property
    def is_warning(self) -> bool:
        """Stored, with a remark of the peer."""
        return self.status is not None and is_warning(self.status)


def store_objects(
    peer: Peer,
    objects: Iterable[SourceObject],
    contexts: Sequence[Context],
    *,
    move_originator: tuple[str, int] | None = None,
    priority: int = MEDIUM,
    preferred: Sequence[str] = (),
    pace: Pace | None = None,
    on_connect: OnConnect | None = None,
) -> Iterator[StoreOutcome]:
    """Send objects as they come; ``contexts`` names all that will be needed (`proposals`).

    One association for all of them, one after the other if there are more than 128 contexts.
    Yields one outcome for each object, also for those that could no longer be sent. An object that
    cannot be read is told as such, and does not stop the others: if half of it was sent, they go
    over a new association. ``move_originator``: AE title and message ID of the C-MOVE that this
    serves (PS3.7 9.1.1.1); ``priority`` is that of all requests. ``preferred``: transfer syntaxes
    to choose first for an object that the peer does not take as it is stored. ``pace`` is called
    with the number of bytes before each block (at most 256 KiB) leaves; it may sleep, and what it
    raises passes and aborts. ``on_connect`` is given what cuts each connection; another thread may
    do so.

    Raises `AssociationFailedError`, an `UnavailableError`, if no association comes about at first.
    Closing the iterator aborts the association.
    """
    with _Sender(peer, contexts, preferred, move_originator, priority, pace, on_connect) as sender:
        for source in objects:
            yield sender.store(source)


def store_datasets(
    peer: Peer, datasets: Iterable[Dataset], contexts: Sequence[Context]
) -> Iterator[StoreOutcome]:
    """`store_objects` for datasets in memory that carry their file meta information."""
    return store_objects(peer, map(dataset_source, datasets), contexts)


def store_files(peer: Peer, paths: Sequence[Path]) -> Iterator[StoreOutcome]:
    """`store_objects` for Part 10 files, in the transfer syntaxes that they are in.

    Raises `InvalidObjectError` and `OSError` for a file that cannot be sent, before anything is.
    """
    sources = [file_source(path) for path in paths]
    yield from store_objects(peer, sources, sorted({source.context for source in sources}))


class _Sender:
    """One association at a time, for as many contexts as are needed."""

    def __init__(
        self,
        peer: Peer,
        contexts: Sequence[Context],
        preferred: Sequence[str],
        move_originator: tuple[str, int] | None,
        priority: int,
        pace: Pace | None,
        on_connect: OnConnect | None,
    ) -> None:
        self._peer = peer
        self._preferred = preferred
        self._move_originator = move_originator
        self._priority = priority
        self._pace = pace
        self._on_connect = on_connect
        self._groups = _groups(contexts)
        self._places = {c: i for i, group in enumerate(self._groups) for c in group}
        self._places_of_classes: dict[str, int] = {}
        for context, place in self._places.items():
            self._places_of_classes.setdefault(context.abstract_syntax, place)
        self._place = 0
        self._stack = ExitStack()
        self._accepted: dict[str, set[str]] = {}  # transfer syntaxes by SOP class
        self._problem: AssociationFailedError | None = None  # why there is none for the group

    def __enter__(self) -> _Sender:
        try:
            self._open()
        except AssociationFailedError as error:
            if error.failure is not Failure.NO_CONTEXT or len(self._groups) == 1:
                raise
            self._problem = error  # others may be accepted
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def _open(self) -> None:
        group = self._groups[self._place]
        self._association = self._stack.enter_context(
            open_association(self._peer, group, on_connect=self._on_connect)
        )
        self._accepted = {}
        for context in self._association.accepted:
            self._accepted.setdefault(context.abstract_syntax, set()).add(context.transfer_syntax)

    def _open_anew(self, place: int) -> None:
        """Leave the association, if it is still there, and open one for that group."""
        self._place = place
        self._problem = None
        self._stack.close()
        try:
            self._open()
        except AssociationFailedError as error:
            self._problem = error

    def store(self, source: SourceObject) -> StoreOutcome:
        """Send one object, on another association if it needs one."""
        if source.fault:
            return not_sent(source, source.fault, Failure.SOURCE)
        place = self._places.get(source.context)
        if place is None:
            place = self._places_of_classes.get(source.sop_class_uid)
        if place is None:
            return not_sent(source, f"{source.context} was not proposed", Failure.NO_CONTEXT)
        if place != self._place:
            self._open_anew(place)
        elif self._problem is None and self._association.failure is Failure.SOURCE:
            self._open_anew(place)  # it was a good one, until our own object broke off
        return self._no_association(source) or self._store(source)

    def _no_association(self, source: SourceObject) -> StoreOutcome | None:
        if self._problem is not None:
            return not_sent(source, self._problem.message, self._problem.failure)
        if not self._association.is_open:
            return not_sent(source, self._association.end, self._association.failure)
        return None

    def _pick(self, source: SourceObject) -> str:
        return pick(source, self._accepted.get(source.sop_class_uid, ()), self._preferred)

    def _store(self, source: SourceObject) -> StoreOutcome:
        syntax = self._pick(source)
        if not syntax:
            return not_sent(source, self._refusal(source), Failure.NO_CONTEXT)
        began = time.monotonic()
        try:
            file, dataset = opened(source, syntax)
        except SourceFailedError as error:
            return not_sent(source, error.words, Failure.SOURCE)
        with file:
            if time.monotonic() - began > _SLOW:
                self._open_anew(self._place)
                if (outcome := self._no_association(source)) is not None:
                    return outcome
                if self._pick(source) != syntax:
                    return not_sent(source, self._refusal(source), Failure.NO_CONTEXT)
            dataset.pace = self._pace
            size = dataset.left
            try:
                response = self._association.store(
                    Context(source.sop_class_uid, syntax),
                    source.sop_instance_uid,
                    dataset,
                    move_originator=self._move_originator,
                    priority=self._priority,
                )
            except SourceFailedError as error:
                return not_sent(source, error.words, Failure.SOURCE)
        return StoreOutcome(
            source.sop_instance_uid,
            response.status,
            response.comment,
            key=source.key,
            transfer_syntax_uid=syntax,
            transcoded=source.is_changed_in(syntax),
            size=size,
            failure=self._association.failure if response.status is None else None,
        )

    def _refusal(self, source: SourceObject) -> str:
        if source.context in self._groups[self._place]:
            words = self._association.refusal(source.context)
        else:
            words = f"{self._peer} takes no {source.context.abstract_syntax} that could be sent"
        return words if source.transcode is None else f"{words}; {refusal_words(source)}"


def _groups(contexts: Sequence[Context]) -> list[list[Context]]:
    """As many at a time as fit into one association, those of a SOP class together if possible."""
    by_class: dict[str, list[Context]] = {}
    for context in dict.fromkeys(contexts):
        by_class.setdefault(context.abstract_syntax, []).append(context)
    groups: list[list[Context]] = [[]]
    for some in by_class.values():
        if len(groups[-1]) + len(some) > MAX_CONTEXTS and groups[-1]:
            groups.append([])
        for context in some:
            if len(groups[-1]) == MAX_CONTEXTS:
                groups.append([])
            groups[-1].append(context)
    return groups


def not_sent(source: SourceObject, why: str, failure: Failure | None) -> StoreOutcome:
    """The outcome of an object that did not go out."""
    return StoreOutcome(
        source.sop_instance_uid, None, NOT_SENT + why, key=source.key, failure=failure
    )
