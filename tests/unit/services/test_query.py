"""The query service: who may ask, what is recorded, and how answers are taken."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.unit.find_rows import EXPLICIT, answer, entry, identifier, put
from tests.unit.services.parts import PEER, Clock
from tuipacs.domain.audit import AuditOutcome, AuditRecord
from tuipacs.domain.find import STUDY_ROOT
from tuipacs.domain.permissions import Permission
from tuipacs.errors import ForbiddenError, InvalidQueryError, QueryModelError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.services.query import Ending, FindRequest, Found, Query
from tuipacs.storage.local import LocalStore

ASKER = msgspec.structs.replace(PEER, permissions=frozenset({Permission.DICOM_QUERY}))
COUNT = 2500


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    index = Index(tmp_path_factory.mktemp("query") / "index.sqlite")
    migrate(index)
    put(index, (entry(patient_id=f"P{n}", patient_name="DOE^J") for n in range(COUNT)))
    yield index
    index.close()


def service(index: Index) -> Query:
    folder = Path(index.database.database).parent
    return Query(index, Clock(), LocalStore(folder / "objects", reserve=0))


def request(data: bytes) -> FindRequest:
    return FindRequest(
        model=STUDY_ROOT,
        identifier=data,
        transfer_syntax_uid=EXPLICIT,
        retrieve_ae_title="TUIPACS",
    )


def ask(index: Index, **keys: object) -> Found:
    return service(index).find(ASKER, request(identifier(**keys)))


def records(index: Index) -> list[AuditRecord]:
    with index.read() as reader:
        return audit.page(reader, (), 0, 10_000)


def test_who_may_only_store_may_not_ask(index: Index) -> None:
    before = len(records(index))
    with pytest.raises(ForbiddenError):
        service(index).find(PEER, request(identifier(PatientID="P7")))
    (record,) = records(index)[: len(records(index)) - before]
    assert (record.event_code, record.outcome) == ("110112", AuditOutcome.REFUSED)
    assert "P7" not in record.detail


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Ending.COMPLETE, AuditOutcome.SUCCESS),
        (Ending.STOPPED, AuditOutcome.SUCCESS),
        (Ending.LOST, AuditOutcome.SUCCESS),
        (Ending.FAILED, AuditOutcome.FAILURE),
    ],
)
def test_one_record_tells_the_keys_the_answers_and_the_end(
    index: Index, ending: Ending, outcome: AuditOutcome
) -> None:
    before = len(records(index))
    found = ask(index, PatientID="P7", PatientName="", StudyDescription="\aRED*")
    assert list(found.answers(never)) == []
    assert len(records(index)) == before, "it is written when the answers end"
    found.end(ending)
    found.end(Ending.LOST)
    (record,) = records(index)[: len(records(index)) - before]
    assert (record.event_code, record.event) == ("110112", "Query")
    assert (record.actor, record.address) == (ASKER.name, ASKER.origin.address)
    assert (record.patient_id, record.outcome) == ("P7", outcome)
    assert record.detail.endswith(f"; 0 answers, {ending.value}")
    assert record.detail.startswith("Study Root STUDY: ")
    assert "PatientID=P7, PatientName;" in record.detail
    assert record.detail.isprintable()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", InvalidQueryError),
        (identifier("SERIES", PatientID="P7"), QueryModelError),
    ],
)
def test_a_refused_identifier_is_a_failure_of_one_record(
    index: Index, data: bytes, error: type[Exception]
) -> None:
    before = len(records(index))
    with pytest.raises(error):
        service(index).find(ASKER, request(data))
    (record,) = records(index)[: len(records(index)) - before]
    assert (record.event_code, record.outcome) == ("110112", AuditOutcome.FAILURE)


def test_answers_stop_where_the_caller_cancels(index: Index) -> None:
    found = ask(index, PatientID="")
    taken = []
    for data in found.answers(lambda: len(taken) >= 1234):
        taken.append(data)
    assert (len(taken), found.cancelled) == (1234, True)


def test_a_cancel_is_seen_while_nothing_is_found(index: Index) -> None:
    """A key without an index that no row fits: each piece of rows is a chance to stop."""
    found = ask(index, IssuerOfPatientID="NOBODY")
    looks = iter([False, True])
    assert list(found.answers(lambda: next(looks))) == []
    assert found.cancelled


def test_no_transaction_is_open_between_answers(index: Index) -> None:
    found = ask(index, PatientID="")
    answers = found.answers(never)
    next(answers)
    assert index.database.connection().getautocommit()


def test_each_study_is_answered_once_and_as_it_is_at_that_moment(tmp_path: Path) -> None:
    """Studies that come while the answers are taken wait for the next query."""
    index = Index(tmp_path / "index.sqlite")
    migrate(index)
    put(index, (entry(patient_id=f"P{n}") for n in range(300)))
    found = ask(index, PatientID="", NumberOfStudyRelatedInstances="")
    answers = found.answers(never)
    seen = [answer(next(answers).identifier).PatientID]
    put(index, [entry(patient_id="NEW")])
    with index.write() as tx:
        tx.execute("UPDATE study SET instances = 2")
        tx.execute("PRAGMA defer_foreign_keys = 1")
        tx.execute("DELETE FROM instance WHERE id = 1")
        tx.execute("DELETE FROM series WHERE id = 1")
        tx.execute("DELETE FROM study_search WHERE study = 1")
        tx.execute("DELETE FROM study WHERE id = 1")
    rest = [answer(match.identifier) for match in answers]
    seen += [one.PatientID for one in rest]
    assert sorted(seen) == sorted(f"P{n}" for n in range(1, 300))
    assert rest[-1].NumberOfStudyRelatedInstances == 2
    del answers, found
    gc.collect()
    index.close()
