"""Storage commitment as a job, and as the end of a send job: ask, wait for the report, look.

A transaction is in the index before the node hears of it: a report may come before the answer to
the request, and after a crash. What was asked and not reported in time is asked once more under
another UID; a late report still counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tuipacs.dimse.contract import Exchange, Request
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.domain.actor import Actor
from tuipacs.domain.clock import Clock
from tuipacs.domain.commitment import COMMITTED, AskedState, may_pass, reason_words
from tuipacs.domain.dimse_status import SUCCESS, answer_words, is_warning
from tuipacs.domain.job import ItemState, JobRecord
from tuipacs.domain.node import NodeRecord, is_same_machine
from tuipacs.domain.uid import new_uid
from tuipacs.errors import UnavailableError
from tuipacs.index import commitments, job_items, nodes
from tuipacs.index.database import Index
from tuipacs.index.job_items import ItemOutcome, WaitingItem
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import GivenUp, Held, RetryLater, WaitForEvent
from tuipacs.scu.n_action import request_commitment
from tuipacs.scu.requestor import Peer, Response
from tuipacs.services.commitments import Commitments

MAX_ASKED = 2000  # objects in one transaction
_PERMANENT = frozenset((0x0112, 0x0117, 0x0118, 0x0122, 0x0123, 0x0124, 0x0211))
_REPORTS_HERE = 2.0  # seconds that the association stays open for a report

Takes = Callable[[NodeRecord, Request], Exchange]
"""Takes a report on the association on which it was asked for."""


@dataclass(frozen=True)
class Wanted:
    """An instance that a node is to commit to."""

    instance: int
    sop_class_uid: str
    sop_instance_uid: str


class Committing:
    """Asks for a job's instances to be committed. ``patience``: seconds that a report may take."""

    def __init__(
        self,
        index: Index,
        clock: Clock,
        commitments: Commitments,
        takes: Takes,
        *,
        patience: float = 3600.0,
    ) -> None:
        self._index = index
        self._clock = clock
        self._commitments = commitments
        self._takes = takes
        self._patience = patience

    def run(
        self, actor: Actor, record: JobRecord, wanted: Sequence[Wanted], progress: Progress
    ) -> dict[int, int]:
        """Ask for what was not asked for; when all is reported, the outcome of each instance.

        COMMITTED, or the Failure Reason. Raises `WaitForEvent` while reports are due, `RetryLater`
        when the node could not be asked or did not report in time, `GivenUp` when it does not do
        this at all, and what the guard raises.
        """
        node, peer = self._commitments.begin(actor, record)
        outcomes, asked, waits_until = self._known(record.key)
        fresh = [w for w in wanted if w.instance not in outcomes and w.instance not in asked]
        for batch in _batches(fresh):
            progress.check()
            self._ask(node, peer, record, batch)
        if fresh:  # a report may have come meanwhile
            outcomes, asked, waits_until = self._known(record.key)
        missing = [w for w in wanted if w.instance not in outcomes]
        if any(w.instance in asked for w in missing):
            raise WaitForEvent(f"waits for the report of {node.ae_title}", waits_until)
        if missing:  # another job's report came meanwhile, and says the contrary
            raise RetryLater(f"{node.ae_title} has taken commitments back")
        with self._index.write() as tx:
            for transaction in commitments.of_job(tx, record.key):
                if transaction.state == AskedState.REPORTED:
                    commitments.set_state(tx, transaction.key, AskedState.CLOSED)
        return {w.instance: outcomes[w.instance] for w in wanted}

    def _known(self, job: int) -> tuple[dict[int, int], set[int], float]:
        """(outcomes, instances that a report is due for, until when at the latest).

        What was refused in a transaction that an earlier run took notice of is open again:
        somebody has the job tried once more. So is what the node has committed to and then refused.
        """
        now = self._clock()
        overdue = []
        asked: set[int] = set()
        until = now + self._patience
        with self._index.read() as reader:
            outcomes = dict.fromkeys(commitments.committed_instances(reader, job), COMMITTED)
            for transaction in commitments.of_job(reader, job):
                if transaction.state == AskedState.REPORTED:
                    for item in commitments.items(reader, transaction.key):
                        if item.outcome is not None and item.outcome != COMMITTED:
                            outcomes.setdefault(item.instance, item.outcome)
                elif transaction.state == AskedState.OPEN:
                    if transaction.created_at + self._patience <= now:
                        overdue.append(transaction)
                        continue
                    until = min(until, transaction.created_at + self._patience)
                    asked.update(i.instance for i in commitments.items(reader, transaction.key))
        if overdue:
            with self._index.write() as tx:
                for transaction in overdue:
                    commitments.set_state(
                        tx, transaction.key, AskedState.OVERDUE, unless=AskedState.REPORTED
                    )
            raise RetryLater(f"{overdue[0].node_title} has not reported")
        return outcomes, asked, until

    def _ask(
        self, node: NodeRecord, peer: Peer, record: JobRecord, batch: Sequence[Wanted]
    ) -> None:
        uid = new_uid()
        instances = [(w.instance, w.sop_class_uid, w.sop_instance_uid) for w in batch]
        with self._index.write() as tx:
            now = nodes.node(tx, node.key)
            if now is None or not is_same_machine(now, node):
                raise Held
            key = commitments.ask(
                tx, node.key, node.ae_title, uid, instances, record.key, self._clock()
            )
        try:
            response = request_commitment(
                peer,
                uid,
                [(w.sop_class_uid, w.sop_instance_uid) for w in batch],
                wait=_REPORTS_HERE,
                on_report=lambda request: self._takes(node, request),
                is_reported=lambda: self._is_reported(key),
            )
        except AssociationFailedError as error:
            self._set(key, AskedState.REFUSED)  # it has not heard of it
            if error.failure is Failure.NO_CONTEXT:
                raise GivenUp(error.message) from error
            raise RetryLater(error.message) from error
        except UnavailableError as error:
            raise RetryLater(error.message) from error
        self._judge(key, node, response)

    def _judge(self, key: int, node: NodeRecord, response: Response) -> None:
        status = response.status
        if status is None:  # it may have it, and report: what it says counts, but nobody waits
            raise RetryLater(response.comment)
        if status == SUCCESS or is_warning(status):
            self._set(key, AskedState.OPEN)
            return
        self._set(key, AskedState.REFUSED)
        words = f"{node.ae_title} refuses the request: {answer_words(status, response.comment)}"
        raise GivenUp(words) if status in _PERMANENT else RetryLater(words)

    def _is_reported(self, key: int) -> bool:
        with self._index.glance() as reader:
            found = commitments.get(reader, key)
        return found is not None and found.state == AskedState.REPORTED

    def _set(self, key: int, state: AskedState) -> None:
        with self._index.write() as tx:
            commitments.set_state(tx, key, state, unless=AskedState.REPORTED)


class CommitObjects:
    """A job of its own: the instances were sent before, by whomever."""

    def __init__(self, index: Index, committing: Committing) -> None:
        self._index = index
        self._committing = committing

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Ask and look.

        Raises as `Committing.run`; if not all is committed `RetryLater` while that may pass for
        some of it, else `GivenUp`.
        """
        progress.check()
        self._doubt(record.key)
        with self._index.read() as reader:
            items = job_items.waiting(reader, record.key)
        outcomes = self._committing.run(actor, record, [_wanted(item) for item in items], progress)
        noted = [
            ItemOutcome(
                item.position,
                _state(outcome),
                None,
                "" if outcome == COMMITTED else reason_words(outcome),
            )
            for item in items
            for outcome in [outcomes[item.instance]]
        ]
        self._index.share(lambda tx: job_items.note(tx, record.key, noted))
        with self._index.read() as reader:
            counts = job_items.counts(reader, record.key)
        total, done = sum(counts.values()), counts[ItemState.DONE]
        words = f"{record.node_title} has committed to {done} of {total} objects"
        if done < total:
            words += why(outcomes.values())
            raise RetryLater(words) if counts[ItemState.WAITING] else GivenUp(words)
        return words

    def _doubt(self, job: int) -> None:
        """What was promised to an earlier run and counts no more is to be asked about again."""
        with self._index.read() as reader:
            stands = commitments.committed_instances(reader, job)
            done = job_items.delivered(reader, job)
        lost = [(one.position, "taken back") for one in done if one.instance not in stands]
        if lost:
            with self._index.write() as tx:
                job_items.not_committed(tx, job, [], lost)


def _state(outcome: int) -> ItemState:
    if outcome == COMMITTED:
        return ItemState.DONE
    return ItemState.WAITING if may_pass(outcome) else ItemState.FAILED


def why(outcomes: Iterable[int]) -> str:
    """ "; 2 times: 0x0112 it has no such object" of what failed, the commonest first."""
    failed = Counter(outcome for outcome in outcomes if outcome != COMMITTED)
    return "".join(f"; {count} times: {reason_words(r)}" for r, count in failed.most_common(3))


def _wanted(item: WaitingItem) -> Wanted:
    return Wanted(item.instance, item.sop_class_uid, item.sop_instance_uid)


def _batches(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    for at in range(0, len(wanted), MAX_ASKED):
        yield wanted[at : at + MAX_ASKED]
