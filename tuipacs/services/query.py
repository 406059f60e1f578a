"""Queries of DICOM peers: the right to ask, the answers, and one audit record for each query."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from tuipacs.dicom.find_answer import ONLINE, AnswerEncoder
from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.domain.actor import Actor
from tuipacs.domain.audit import AuditEvent, AuditOutcome, AuditRecord, new_record
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
from tuipacs.index.find import RowReader, candidates
from tuipacs.services.guard import Service, about, covered, guarded

_FIRST_ROWS, _MORE_ROWS = 100, 1000  # read in one transaction
_MAX_WORDS = 400  # characters of the audit record that tell the keys


class Ending(StrEnum):
    """How a query ended."""

    COMPLETE = "complete"
    STOPPED = "stopped by the caller"
    FAILED = "failed"
    LOST = "the connection was lost"


@dataclass(frozen=True, kw_only=True)
class FindRequest:
    """A C-FIND request: the identifier as it came, and what the answers need to be made."""

    model: FindModel
    identifier: bytes | bytearray
    transfer_syntax_uid: str
    retrieve_ae_title: str


class Query(Service):
    """The query service (PS3.4 C.4.1)."""

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
        )
        words = f"{request.model.name} {LEVEL_WORDS[query.level]}: {query.words}"[:_MAX_WORDS]
        patient_id = query.single_value(PATIENT_ID_TAG)[:64]
        study_uid = query.single_value(STUDY_UID_TAG)[:64]
        about(detail=words, patient_id=patient_id, study_instance_uid=study_uid)
        keys = array("q")
        if not query.matches_nothing:
            with self._index.read() as reader:
                keys = candidates(reader, query)
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
        return Found(self._index, record, query, keys, encoder)


class Found:
    """The answers of one query, made while they are taken.

    Between two answers no transaction is open: rows are read in pieces, each as it is at that
    moment. ``unsupported``: the request has keys that the answers pass over. ``cancelled``: the
    caller did not want all of them.
    """

    def __init__(
        self,
        index: Index,
        record: AuditRecord,
        query: FindQuery,
        keys: array[int],
        encoder: AnswerEncoder,
    ) -> None:
        self._index = index
        self._record = record
        self._keys = keys
        self._rows = RowReader(query)
        self._encode = encoder.encode
        self._count = 0
        self._ended = False
        self.unsupported = query.unsupported
        self.cancelled = False

    def answers(self, is_cancelled: Callable[[], bool]) -> Iterator[bytes]:
        """The identifiers, until the caller cancels; asked before each, and while none is found.

        Raises as `Index.read` does.
        """
        start, size = 0, _FIRST_ROWS
        while start < len(self._keys):
            if is_cancelled():
                self.cancelled = True
                return
            with self._index.read() as reader:
                rows = self._rows.rows(reader, self._keys[start : start + size])
            start, size = start + size, _MORE_ROWS
            for row in rows:
                if is_cancelled():
                    self.cancelled = True
                    return
                self._count += 1
                yield self._encode(row)

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
