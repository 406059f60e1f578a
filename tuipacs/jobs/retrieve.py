"""The retrieve job: what one node has, to here or to another node, and only what is missing there.

The source is asked for every SOP Instance UID first; those that are there already are done. The
rest is requested series by series, or instance by instance where a part of a series is missing. How
much a peer says that it has sent counts for nothing: here the index tells what has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import msgspec

from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.domain.actor import Actor
from tuipacs.domain.job import ItemState, JobRecord
from tuipacs.domain.node import CallService
from tuipacs.errors import UnavailableError
from tuipacs.index import job_items, retrieve_jobs
from tuipacs.index.database import Index
from tuipacs.jobs.retrieve_destination import until_changed
from tuipacs.jobs.retrieve_listing import Present, here, listed, listing, nothing, there
from tuipacs.jobs.retrieve_run import Parts, Run, Times
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import GivenUp, RetryLater
from tuipacs.services.ingest import Ingest
from tuipacs.services.retrievals import Ends, Retrievals, RetrievePayload
from tuipacs.services.wakeups import Wakeups


class RetrieveObjects:
    """Retrieves what is left of a job."""

    def __init__(
        self,
        index: Index,
        retrievals: Retrievals,
        ingest: Ingest,
        wakeups: Wakeups,
        times: Times | None = None,
    ) -> None:
        self._index = index
        self._retrievals = retrievals
        self._parts = Parts(index, retrievals, ingest, wakeups, times or Times())

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Go on where it is. Raises `RetryLater` while something is still to come, `GivenUp` when
        the source will not give it.
        """
        asked = msgspec.json.decode(payload, type=RetrievePayload)
        progress.check()
        ends = self._retrievals.ends(actor, record.node, asked)
        progress = until_changed(self._index, ends.to, progress)
        try:
            gaps = self._list(actor, record.key, ends, asked, progress)
            words = self._run(actor, record.key, ends, asked, progress)
        except AssociationFailedError as error:
            if error.failure is Failure.NO_CONTEXT:  # it would say the same each time
                raise GivenUp(error.message) from error
            raise RetryLater(error.message) from error
        except UnavailableError as error:
            raise RetryLater(error.message) from error
        return self._closing_words(record.key, ends, words, gaps)

    def _list(
        self, actor: Actor, key: int, ends: Ends, asked: RetrievePayload, progress: Progress
    ) -> Mapping[str, str]:
        """List what has not been. Returns the studies that are still to be, and why."""
        with self._index.read() as reader:
            again = retrieve_jobs.to_list(reader, key)
            known = retrieve_jobs.named(reader, key) if again else frozenset()
        if again is not None and not again:
            return {}
        targets = asked.targets
        if again:
            place = {study: number for number, study in enumerate(again)}
            some = [target for target in targets if target.study_instance_uid in place]
            targets = tuple(sorted(some, key=lambda target: place[target.study_instance_uid]))
        with ExitStack() as stack:
            present = self._present(actor, ends, asked, progress, stack)
            peer = self._retrievals.peer(actor, ends.source, CallService.QUERY)
            source = stack.enter_context(listing(peer, ends.source, progress.check))
            found = listed(source, targets, present, progress.check, known=known)
        with self._index.write() as tx:
            retrieve_jobs.put_list(
                tx, key, found.series, again=again or (), still=tuple(found.gaps)
            )
        progress.tell()
        return found.gaps

    def _present(
        self,
        actor: Actor,
        ends: Ends,
        asked: RetrievePayload,
        progress: Progress,
        stack: ExitStack,
    ) -> Present:
        """What the destination has. One that is not to be queried is taken to have nothing."""
        if not asked.only_missing:
            return nothing
        if ends.to is None:
            return here(self._index)
        if CallService.QUERY not in ends.to.call.services:
            return nothing
        peer = self._retrievals.peer(actor, ends.to, CallService.QUERY)
        return there(stack.enter_context(listing(peer, ends.to, progress.check)))

    def _run(
        self, actor: Actor, key: int, ends: Ends, asked: RetrievePayload, progress: Progress
    ) -> str:
        """Each way in turn, until one works. Returns what is to be said beside the counts."""
        refused: list[str] = []
        for service in ends.ways:
            with self._index.read() as reader:
                todo = retrieve_jobs.to_do(reader, key)
            if not todo:
                return ""
            is_last = service is ends.ways[-1]
            run = Run(self._parts, actor, key, ends, asked, progress, service, is_last=is_last)
            refusal = run.all(todo)
            if not refusal:
                return run.reason or run.remark
            refused.append(refusal)
        raise GivenUp("; ".join(dict.fromkeys(refused)))

    def _closing_words(self, key: int, ends: Ends, remark: str, gaps: Mapping[str, str]) -> str:
        with self._index.read() as reader:
            counts = job_items.counts(reader, key)
            failed, _, _ = job_items.page(reader, key, (ItemState.FAILED,), 0, 1)
            warned, _, _ = job_items.page(reader, key, (ItemState.WARNING,), 0, 1)
        come = counts[ItemState.DONE] + counts[ItemState.WARNING]
        where = f" at {ends.to.ae_title}" if ends.to else " here"
        words = f"{come:,} of {sum(counts.values()):,} objects are{where}"
        if counts[ItemState.WAITING]:
            words += f", {counts[ItemState.WAITING]:,} did not come"
        if remark:
            words += f"; {remark}"
        if warned:
            first = "it" if counts[ItemState.WARNING] == 1 else "the first"
            words += f"; {counts[ItemState.WARNING]:,} with a warning, {first}: {warned[0].words}"
        if failed:
            first = "it" if counts[ItemState.FAILED] == 1 else "the first"
            words += f"; {counts[ItemState.FAILED]:,} failed, {first}: {failed[0].words}"
        if gaps:
            study, why = list(gaps.items())[-1]
            more = f", and of {len(gaps) - 1:,} more" if len(gaps) > 1 else ""
            words += f"; not all of the study {study} is listed{more}: {why}"
        if counts[ItemState.WAITING] or gaps:
            raise RetryLater(words)
        if failed:
            raise GivenUp(words)
        return words
