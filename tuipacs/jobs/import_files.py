"""The import job: every offered file through the same door as a peer's object.

A job goes on where it was interrupted, if the paths still offer the same: a running hash over what
was offered so far is kept with the counts. If they do not, it starts over, for nothing may be
skipped; what is here already is told by its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.job import JobRecord, Refusal
from tuipacs.errors import InvalidObjectError, UnavailableError
from tuipacs.index import jobs
from tuipacs.index.database import Index, Transaction
from tuipacs.jobs.import_item import ImportItem
from tuipacs.jobs.import_sources import iter_sources
from tuipacs.jobs.running import Progress
from tuipacs.services.ingest import Ingest

Offered = ImportItem | Refusal


class ImportFiles:
    """Imports what the payload's paths offer. The counts move in the object's own transaction."""

    def __init__(self, index: Index, ingest: Ingest) -> None:
        self._index = index
        self._ingest = ingest

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Import from object ``record.done`` on.

        What fails for want of room or of a working disk raises `UnavailableError`: the job ends
        there, with everything before it counted, and the same paths can be imported again.
        """
        paths = msgspec.json.decode(payload, type=tuple[str, ...])
        total = self._count(paths, progress)
        with self._index.write() as tx:
            jobs.update(tx, record.key, total=total)
        for offered, checkpoint in self._from_there(record, paths, progress):
            progress.check()
            try:
                self._take(actor, record.key, offered, checkpoint)
            except UnavailableError as error:
                raise self._stopped(record.key, total, error) from error
            progress.tell()
        done = self._record(record.key)
        return f"{done.stored} stored, {done.duplicate} here already, {done.refused} refused"

    @staticmethod
    def _count(paths: tuple[str, ...], progress: Progress) -> int:
        total = 0
        for _ in iter_sources(paths):
            progress.check()
            total += 1
        return total

    def _from_there(
        self, record: JobRecord, paths: tuple[str, ...], progress: Progress
    ) -> Iterator[tuple[Offered, bytes]]:
        """What is left to be done, each with the checkpoint that holds behind it."""
        with self._index.read() as reader:
            reached = jobs.checkpoint(reader, record.key)
        chained = _chained(paths)
        checkpoint, passed = b"", 0
        while passed < record.done and (step := next(chained, None)):
            progress.check()
            checkpoint, passed = step[1], passed + 1
        if checkpoint != reached:
            with self._index.write() as tx:
                jobs.start_over(tx, record.key)
            chained = _chained(paths)
        yield from chained

    def _take(self, actor: Actor, key: int, offered: Offered, checkpoint: bytes) -> None:
        if isinstance(offered, Refusal):
            self._refuse(key, offered, checkpoint)
            return
        size = offered.size

        def count(tx: Transaction, result: IngestResult) -> None:
            jobs.count_result(tx, key, result, size, checkpoint)

        try:
            with offered.open() as file:
                self._ingest.import_file(actor, file, count)
        except InvalidObjectError as error:
            refusal = Refusal(path=offered.display_path, reason=error.message)
            self._refuse(key, refusal, checkpoint)

    def _refuse(self, key: int, refusal: Refusal, checkpoint: bytes) -> None:
        with self._index.write() as tx:
            jobs.count_refusal(tx, key, refusal, checkpoint)

    def _record(self, key: int) -> JobRecord:
        with self._index.read() as reader:
            record = jobs.get(reader, key, 0.0)
        if record is None:
            raise AssertionError("the job is gone")
        return record

    def _stopped(self, key: int, total: int, error: UnavailableError) -> UnavailableError:
        return type(error)(
            f"stopped after {self._record(key).done} of {total}: {error.message}",
            remedy="then import the same paths again: what is here already is passed over",
        )


def _chained(paths: tuple[str, ...]) -> Iterator[tuple[Offered, bytes]]:
    """What is offered, each with SHA-256 over it and everything before it."""
    checkpoint = b""
    for offered in iter_sources(paths):
        if isinstance(offered, ImportItem):
            what = f"{offered.size} {offered.display_path}"
        else:
            what = f"{offered.reason} {offered.path}"
        checkpoint = hashlib.sha256(checkpoint + what.encode("utf-8", "surrogatepass")).digest()
        yield offered, checkpoint
