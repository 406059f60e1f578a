"""C-STORE as a sender: one association, each object with the peer's own status (PS3.4 B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from tuipacs.dimse.requestor.answers import is_warning
from tuipacs.dimse.requestor.faults import AssociationFailedError, SourceFailedError
from tuipacs.scu.requestor import (
    MAX_CONTEXTS,
    Association,
    Context,
    Peer,
    Response,
    open_association,
)
from tuipacs.scu.sources import SourceObject, dataset_source, file_source, opened


@dataclass(frozen=True)
class StoreOutcome:
    """What became of one object. ``status`` is None when it was not sent or not answered."""

    sop_instance_uid: str
    status: int | None
    comment: str = ""

    @property
    def stored(self) -> bool:
        """True only for a success or a warning from the peer itself (PS3.7 C.1.1, C.3)."""
        return self.status is not None and (self.status == 0x0000 or is_warning(self.status))


def store_objects(
    peer: Peer,
    objects: Iterable[SourceObject],
    contexts: Sequence[Context],
    *,
    move_originator: tuple[str, int] | None = None,
) -> Iterator[StoreOutcome]:
    """Send objects as they come; ``contexts`` names all that will be needed.

    One association for all of them, one after the other if there are more than 128 contexts.
    Yields one outcome for each object, also for those that could no longer be sent. An object that
    cannot be read is told as such, and does not stop the others. ``move_originator``: AE title and
    message ID of the C-MOVE that this serves (PS3.7 9.1.1.1).

    Raises `AssociationFailedError`, an `UnavailableError`, if no association comes about at first.
    Closing the iterator aborts the association.
    """
    with _Sender(peer, contexts) as sender:
        for source in objects:
            response = sender.store(source, move_originator)
            yield StoreOutcome(source.sop_instance_uid, response.status, response.comment)


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

    def __init__(self, peer: Peer, contexts: Sequence[Context]) -> None:
        self._peer = peer
        different = list(dict.fromkeys(contexts))
        self._groups = [
            different[at : at + MAX_CONTEXTS] for at in range(0, len(different), MAX_CONTEXTS)
        ] or [[]]
        self._group = self._groups[0]
        self._stack = ExitStack()
        self._problem = ""  # why there is no association for the group

    def __enter__(self) -> _Sender:
        self._association = self._open(self._group)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def _open(self, contexts: Sequence[Context]) -> Association:
        return self._stack.enter_context(open_association(self._peer, contexts))

    def store(self, source: SourceObject, move_originator: tuple[str, int] | None) -> Response:
        """Send one object, on another association if its context needs one."""
        context = source.context
        if context not in self._group:
            self._group = next((group for group in self._groups if context in group), self._group)
            if context not in self._group:
                return Response(None, f"not sent: {context} was not proposed")
            self._problem = ""
            self._stack.close()
            try:
                self._association = self._open(self._group)
            except AssociationFailedError as error:
                self._problem = error.message
        if self._problem:
            return Response(None, f"not sent: {self._problem}")
        return _store(self._association, source, move_originator)


def _store(
    association: Association, source: SourceObject, move_originator: tuple[str, int] | None
) -> Response:
    if not association.is_open:
        return Response(None, f"not sent: {association.end}")
    if not association.accepts(source.context):
        return Response(None, f"not sent: {association.refusal(source.context)}")
    try:
        file, dataset = opened(source)
        with file:
            return association.store(
                source.context, source.sop_instance_uid, dataset, move_originator=move_originator
            )
    except SourceFailedError as error:
        return Response(None, f"not sent: {error.words}")
