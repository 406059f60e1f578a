"""Queries of DICOM peers: the right to ask, the answers, and one audit record for each query."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tuipacs.dicom.find_answer import ONLINE, AnswerEncoder
from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
from tuipacs.domain.clock import Clock
from tuipacs.domain.find import (
    AVAILABILITY_TAG,
    LEVEL_WORDS,
    PATIENT_ID_TAG,
    RETRIEVE_AE_TAG,
    STUDY_UID_TAG,
    FindModel,
    FindQuery,
)
from tuipacs.domain.permissions import Permission
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.find import Candidates, RowReader
from tuipacs.services.guard import Service, about, covered, guarded
from tuipacs.services.query_objects import Headers
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

_FIRST_ROWS, _MORE_ROWS = 100, 1000  # read in one transaction
_MAX_WORDS = 400  # characters of the audit record that tell the keys


class Ending(StrEnum):
    """How a query ended."""

    COMPLETE = "complete"
    LIMITED = "stopped at the limit, more match"
    STOPPED = "stopped by the caller"
    FAILED = "failed"
    LOST = "the connection was lost"


@dataclass(frozen=True, kw_only=True)
class FindRequest:
    """A C-FIND request: the identifier as it came, and what the answers need to be made.

    ``assumed_character_set``: a defined term for an identifier that names none; ``max_results``:
    answers that the caller gets at most, 0 for all of them.
    """

    model: FindModel
    identifier: bytes | bytearray
    transfer_syntax_uid: str
    retrieve_ae_title: str
    is_relational: bool = False
    assumed_character_set: str = ""
    max_results: int = 0


class Match(NamedTuple):
    """One answer: its identifier. ``is_whole``: False where keys of it could not be answered."""

    identifier: bytes
    is_whole: bool


class Query(Service):
    """The query service (PS3.4 C.4.1). ``store`` has the headers that the index does not hold."""

    def __init__(self, index: Index, clock: Clock, store: BlobStore) -> None:
        super().__init__(index, clock)
        self._store = store

    @guarded(Permission.DICOM_QUERY, AuditEvent.QUERY)
    def find(self, actor: Actor, request: FindRequest) -> Found:
        """Read the query and find what may match.

        The record is written when the answers end (`Found.end`), here only if it goes no further.
        Raises `QueryModelError` and `InvalidQueryError` for an identifier that is refused.
        """
        query = read_identifier(
            request.identifier,
            request.transfer_syntax_uid,
            request.model,
            constants={
                RETRIEVE_AE_TAG: request.retrieve_ae_title,
                AVAILABILITY_TAG: ONLINE,
            },
            is_relational=request.is_relational,
            assumed_character_set=request.assumed_character_set,
        )
        words = f"{request.model.name} {LEVEL_WORDS[query.level]}: {query.words}"[:_MAX_WORDS]
        patient_id = query.single_value(PATIENT_ID_TAG)[:64]
        study_uid = query.single_value(STUDY_UID_TAG)[:64]
        about(detail=words, patient_id=patient_id, study_instance_uid=study_uid)
        keys: Candidates | None = None
        if not query.matches_nothing:
            with self._index.read() as reader:
                keys = Candidates(reader, query)
        covered()
        record = new_record(
            AuditEvent.QUERY,
            "query.find",
            self._clock(),
            actor=actor.name,
            kind=actor.kind,
            role=actor.role.value if actor.role else "",
            origin=actor.origin,
            detail=words,
            about=(patient_id, study_uid, ""),
        )
        encoder = AnswerEncoder(query, request.transfer_syntax_uid, request.retrieve_ae_title)
        headers = Headers(self._store, query, encoder) if query.object_keys else None
        return Found(
            self._index, record, query, keys, headers or encoder, limit=request.max_results
        )


class Found:
    """The answers of one query, made while they are taken.

    Between two answers no transaction is open: rows are read in pieces, each as it is at that
    moment. ``unsupported``: the request has keys that the answers pass over. ``cancelled``: the
    caller did not want all of them; ``limited``: it may not have more than it got.
    """

    def __init__(
        self,
        index: Index,
        record: AuditRecord,
        query: FindQuery,
        keys: Candidates | None,
        encoder: AnswerEncoder | Headers,
        *,
        limit: int = 0,
    ) -> None:
        self._index = index
        self._record = record
        self._keys = keys
        self._rows = RowReader(query)
        self._encoder = encoder
        self._limit = limit
        self._count = 0
        self._ended = False
        self.unsupported = query.unsupported
        self.cancelled = False
        self.limited = False

    @property
    def limit(self) -> int:
        """Answers that the caller gets at most; 0 for all."""
        return self._limit

    def answers(self, is_cancelled: Callable[[], bool]) -> Iterator[Match]:
        """The matches, until the caller cancels; asked before each, and while none is found.

        Raises as `Index.read` does.
        """
        size = _FIRST_ROWS
        while self._keys is not None:
            if is_cancelled():
                self.cancelled = True
                return
            rows = self._next_rows(self._keys, size)
            if rows is None:
                return
            size = _MORE_ROWS
            for row in rows:
                if is_cancelled():
                    self.cancelled = True
                    return
                match = self._match(row)
                if match is None:
                    continue
                if self._limit and self._count == self._limit:
                    self.limited = True
                    return
                self._count += 1
                yield match

    def _next_rows(self, keys: Candidates, size: int) -> Sequence[tuple[str, ...]] | None:
        with self._index.read() as reader:
            piece = keys.next(reader, size)
            return None if piece is None else self._rows.rows(reader, piece)

    def _match(self, row: tuple[str, ...]) -> Match | None:
        """The answer that is a row; None if the object's header does not match."""
        if isinstance(self._encoder, AnswerEncoder):
            return Match(self._encoder.encode(row), is_whole=True)
        found = self._encoder.answer(row)
        return None if found is None else Match(*found)

    def end(self, ending: Ending) -> None:
        """Write the record; only the first call counts. Raises as `Index.write` does."""
        if self._ended:
            return
        self._ended = True
        answers = "1 answer" if self._count == 1 else f"{self._count} answers"
        record = msgspec.structs.replace(
            self._record,
            detail=f"{self._record.detail}; {answers}, {ending.value}",
            outcome=AuditOutcome.FAILURE if ending is Ending.FAILED else AuditOutcome.SUCCESS,
        )
        with self._index.write() as tx:
            audit.append(tx, record)
