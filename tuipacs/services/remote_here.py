"""This archive asked as if it were a node: the same identifier, the same rules, no network."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.uid import ExplicitVRLittleEndian

from tuipacs.dicom.find_answer import ONLINE, AnswerEncoder
from tuipacs.dicom.find_identifier import read_identifier
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.domain.find import AVAILABILITY_TAG, RETRIEVE_AE_TAG
from tuipacs.domain.find import STUDY_ROOT as MODEL
from tuipacs.domain.level import Level
from tuipacs.domain.remote import NodeState, RemoteRow
from tuipacs.domain.remote_keys import Key
from tuipacs.errors import TuipacsError
from tuipacs.index.database import Index
from tuipacs.index.find import Candidates, RowReader
from tuipacs.scu.c_find import STUDY_ROOT, encode_identifier
from tuipacs.services.remote_identifier import Answers, identifier
from tuipacs.services.remote_tasks import Part

_CONTEXT = AcceptedContext(1, STUDY_ROOT, ExplicitVRLittleEndian)
_ROWS = 200  # read in one transaction
_TITLE = "HERE"


def ask_here(part: Part, index: Index, level: Level, questions: Sequence[Sequence[Key]]) -> None:
    """As `remote_asking.ask`; ends the part whatever comes."""
    seen: set[RemoteRow] = set()
    try:
        for keys in questions:
            if not _ask_one(part, index, level, keys, seen):
                part.end(
                    NodeState.CANCELLED if part.stopped else NodeState.LIMITED,
                    part.stopped or f"only the first {len(seen):,} are shown: narrow the question",
                )
                return
    except TuipacsError as error:
        part.end(NodeState.FAILED, error.message)
        return
    part.end(NodeState.COMPLETE)


def _ask_one(
    part: Part, index: Index, level: Level, keys: Sequence[Key], seen: set[RemoteRow]
) -> bool:
    """False if it was stopped, or there is room for no more."""
    query = read_identifier(
        encode_identifier(identifier(level, keys), _CONTEXT),
        ExplicitVRLittleEndian,
        MODEL,
        constants={RETRIEVE_AE_TAG: _TITLE, AVAILABILITY_TAG: ONLINE},
    )
    answers = Answers(part.node, level, keys, "")
    encoder = AnswerEncoder(query, ExplicitVRLittleEndian, _TITLE)
    rows = RowReader(query)
    with index.read() as reader:
        found = Candidates(reader, query)
    while True:
        with index.read() as reader:  # between two pieces no transaction is open
            some = found.next(reader, _ROWS)
            piece = [] if some is None else rows.rows(reader, some)
        if some is None:
            return True
        for each in piece:
            row = answers.read(encoder.encode(each), ExplicitVRLittleEndian)
            if row in seen:
                continue  # it has another modality that was asked for
            if part.stopped or not part.row(row):
                return False
            seen.add(row)
