"""The import job: every offered file through the same door as a peer's object."""

from __future__ import annotations

import itertools

import msgspec

from tuipacs.domain.actor import Actor
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.job import JobRecord, Refusal
from tuipacs.errors import InvalidObjectError
from tuipacs.index import jobs
from tuipacs.index.database import Index, Transaction
from tuipacs.jobs.import_sources import ImportItem, count_sources, iter_sources
from tuipacs.jobs.runner import Progress
from tuipacs.services.ingest import Ingest


class ImportFiles:
    """Imports what the payload's paths offer. The counts move in the object's own transaction."""

    def __init__(self, index: Index, ingest: Ingest) -> None:
        self._index = index
        self._ingest = ingest

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        """Import from object ``record.done`` on. A full disk ends the job; it can be repeated."""
        paths = msgspec.json.decode(payload, type=tuple[str, ...])
        total = count_sources(paths)
        with self._index.write() as tx:
            jobs.update(tx, record.key, total=total)
        for offered in itertools.islice(iter_sources(paths), record.done, None):
            progress.check()
            if isinstance(offered, ImportItem):
                self._take(actor, record.key, offered)
            else:
                self._refuse(record.key, offered)
            progress.tell()
        with self._index.read() as reader:
            done = jobs.get(reader, record.key, 0.0)
        if done is None:
            raise AssertionError("the job is gone")
        return f"{done.stored} stored, {done.duplicate} here already, {done.refused} refused"

    def _take(self, actor: Actor, key: int, item: ImportItem) -> None:
        def count(tx: Transaction, result: IngestResult) -> None:
            jobs.count_result(tx, key, result, item.size)

        try:
            with item.open() as file:
                self._ingest.import_file(actor, file, count)
        except InvalidObjectError as error:
            self._refuse(key, Refusal(path=item.display_path, reason=error.message))

    def _refuse(self, key: int, refusal: Refusal) -> None:
        with self._index.write() as tx:
            jobs.count_refusal(tx, key, refusal)
