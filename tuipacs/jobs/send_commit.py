"""The end of "send, then commit": what becomes of objects that were sent and not committed to."""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.domain.actor import Actor
from tuipacs.domain.commitment import COMMITTED, FailureReason, may_pass, reason_words
from tuipacs.domain.job import JobRecord
from tuipacs.index import job_items
from tuipacs.index.database import Index
from tuipacs.jobs.commit import Committing, Wanted
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import GivenUp, RetryLater

_MOST_SENT = 3  # times that an object is sent to a node that says it has none


@dataclass(frozen=True)
class SentAndCommitted:
    """Asks for commitment to what a send job has delivered."""

    index: Index
    committing: Committing

    def run(self, actor: Actor, record: JobRecord, progress: Progress) -> None:
        """Return if all that was sent is committed to.

        Raises as `Committing.run`; `RetryLater` if something is to be sent or asked for again,
        `GivenUp` if the node says that it will not keep something.
        """
        with self.index.read() as reader:
            items = job_items.delivered(reader, record.key)
        wanted = [Wanted(i.instance, i.sop_class_uid, i.sop_instance_uid) for i in items]
        outcomes = self.committing.run(actor, record, wanted, progress)
        failed: list[tuple[int, str]] = []
        resent: list[tuple[int, str]] = []
        passing = 0
        for item in items:
            reason = outcomes[item.instance]
            if reason == COMMITTED:
                continue
            words = f"sent, but not committed to: {reason_words(reason)}"
            if reason == FailureReason.NO_SUCH_OBJECT_INSTANCE and item.tries < _MOST_SENT:
                resent.append((item.position, words))
            else:
                failed.append((item.position, words))
                passing += may_pass(reason)
        if not failed and not resent:
            return
        with self.index.write() as tx:
            job_items.not_committed(tx, record.key, failed, resent)
        lost = len(failed) + len(resent)
        words = f"{record.node_title} has not committed to {lost} of {len(items)} objects"
        if resent or passing:
            raise RetryLater(words)
        raise GivenUp(words)
