"""The send job: stored objects to one node, over one association a run, each with its answer.

It goes on at the next instance after a crash. What became of each is written in batches, so that
sending does not wait for the disk: after a crash the objects of the last batch go out once more,
and no others. Nothing is sent twice on purpose.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from tuipacs.dimse.messages import HIGH, LOW, MEDIUM
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.domain.actor import Actor
from tuipacs.domain.job import ItemState, JobPriority, JobRecord
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.store_status import is_final, item_words
from tuipacs.errors import UnavailableError
from tuipacs.index import job_items
from tuipacs.index.database import Index
from tuipacs.index.job_items import ItemOutcome, SendPayload, WaitingItem
from tuipacs.jobs.commit import Committing
from tuipacs.jobs.running import Progress
from tuipacs.jobs.send_commit import SentAndCommitted
from tuipacs.jobs.signals import GivenUp, RetryLater, Signal
from tuipacs.scu.c_store import StoreOutcome, store_objects
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import SourceObject
from tuipacs.services.send import Send
from tuipacs.services.transfer import Transfer

_BATCH = 32  # outcomes in one transaction at most
_NOTE_EVERY = 0.25  # seconds
_PRIORITIES = {JobPriority.LOW: LOW, JobPriority.NORMAL: MEDIUM, JobPriority.HIGH: HIGH}
_PATIENCE = 3  # objects in a row that the peer refuses for a reason of its own


class SendObjects:
    """Sends the waiting items of a job."""

    def __init__(
        self, index: Index, send: Send, transfer: Transfer, committing: Committing
    ) -> None:
        self._index = index
        self._send = send
        self._transfer = transfer
        self._commit = SentAndCommitted(index, committing)

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Send what is left, then ask for commitment if that is wanted.

        Raises `RetryLater` when the peer or the way to it failed, `GivenUp` when only objects are
        left that it will not take, and what `SentAndCommitted` does.
        """
        wanted = msgspec.json.decode(payload, type=SendPayload)
        progress.check()
        node, peer = self._send.begin(actor, record)
        if wanted.commit:
            with self._index.write() as tx:
                job_items.restore_delivered(tx, record.key)
        with self._index.read() as reader:
            items = job_items.waiting(reader, record.key)
        if items:
            try:
                _Run(self._index, record, node, items, progress).go(peer, self._transfer)
            except UnavailableError as error:  # no association came about, or our own disk failed
                if isinstance(error, AssociationFailedError) and (
                    error.failure is Failure.NO_CONTEXT
                ):
                    raise GivenUp(error.message) from error
                raise RetryLater(error.message) from error
        counts = self._counts(record.key)
        words = _words(counts, node)
        if counts[ItemState.WAITING]:
            raise RetryLater(f"{words}, {counts[ItemState.WAITING]} to be tried again")
        if wanted.commit and counts[ItemState.DONE] + counts[ItemState.WARNING]:
            self._commit.run(actor, record, progress)
            words += "; what was sent is committed to"
        if counts[ItemState.FAILED]:
            raise GivenUp(words)
        return words

    def _counts(self, key: int) -> dict[ItemState, int]:
        with self._index.read() as reader:
            return job_items.counts(reader, key)


def _words(counts: dict[ItemState, int], node: NodeRecord) -> str:
    """ "8 of 10 objects sent to PACS2, 1 with a warning, 2 not taken"."""
    sent = counts[ItemState.DONE] + counts[ItemState.WARNING]
    total = sum(counts.values())
    words = f"{sent} of {total} object{'' if total == 1 else 's'} sent to {node.ae_title}"
    if counts[ItemState.WARNING]:
        words += f", {counts[ItemState.WARNING]} with a warning"
    if counts[ItemState.FAILED]:
        words += f", {counts[ItemState.FAILED]} not taken"
    return words


class _Run:
    """One association's worth of sending: each outcome goes into the index, some at a time."""

    def __init__(
        self,
        index: Index,
        record: JobRecord,
        node: NodeRecord,
        items: list[WaitingItem],
        progress: Progress,
    ) -> None:
        self._index = index
        self._key = record.key
        self._priority = record.priority
        self._node = node
        self._items = items
        self._progress = progress
        self._signal: Signal | None = None  # why no more objects are sent
        self._refused = 0  # in a row, for a reason of the peer's own
        self._outcomes: list[ItemOutcome] = []
        self._noted_at = time.monotonic()
        # A node that is slow by its settings is not slowed by the disk.
        self._batch = 1 if node.call.kib_per_second else _BATCH

    def go(self, peer: Peer, transfer: Transfer) -> None:
        """Send; raises the signal that ended it, and what `store_objects` does."""
        keys = [item.instance for item in self._items]
        preferred = self._node.call.preferred_syntaxes
        outcomes = store_objects(
            peer,
            self._until_told(transfer.objects(keys, self._progress.check)),
            transfer.plan(keys, preferred).contexts,
            priority=_PRIORITIES[self._priority],
            preferred=preferred,
            pace=self._pace,
        )
        try:
            for item, outcome in zip(self._items, outcomes, strict=False):
                self._take(item, outcome)
        finally:
            self._flush()
        if self._signal is not None:
            raise self._signal

    def _until_told(self, sources: Iterator[SourceObject]) -> Iterator[SourceObject]:
        """What ends between two objects ends in order: with a release, not with an abort."""
        for source in sources:
            if self._signal is None:
                try:
                    self._progress.check()
                except Signal as signal:
                    self._signal = signal
            if self._signal is not None:
                return
            yield source

    def _take(self, item: WaitingItem, outcome: StoreOutcome) -> None:
        noted = _noted(item, outcome)
        self._outcomes.append(noted)
        if noted.state is not ItemState.WAITING:
            self._refused = 0
        elif outcome.status is None:  # the association: what follows cannot be sent either
            self._signal = RetryLater(outcome.comment)
        else:
            self._refused += 1
            if self._refused == _PATIENCE:
                self._signal = RetryLater(item_words(outcome.status, outcome.comment))
        if len(self._outcomes) >= self._batch:
            self._flush()
        else:
            self._flush_in_time()

    def _pace(self, count: int) -> None:
        """Before a block leaves: a slow object does not keep those before it unwritten."""
        self._flush_in_time()
        self._progress.pace(count)

    def _flush_in_time(self) -> None:
        if self._outcomes and time.monotonic() - self._noted_at >= _NOTE_EVERY:
            self._flush()

    def _flush(self) -> None:
        if self._outcomes:
            outcomes = self._outcomes
            self._index.share(lambda tx: job_items.note(tx, self._key, outcomes))
            self._outcomes = []
            self._progress.tell()
        self._noted_at = time.monotonic()


def _noted(item: WaitingItem, outcome: StoreOutcome) -> ItemOutcome:
    """What an outcome makes of its item."""
    if outcome.stored:
        state = ItemState.WARNING if outcome.is_warning else ItemState.DONE
    elif outcome.status is not None:
        state = ItemState.FAILED if is_final(outcome.status) else ItemState.WAITING
    elif outcome.failure in (Failure.SOURCE, Failure.NO_CONTEXT):
        state = ItemState.FAILED
    else:
        state = ItemState.WAITING
    return ItemOutcome(item.position, state, outcome.status, outcome.comment, outcome.size)
