"""Reading the audit log through its door, and what verifying it says."""

from __future__ import annotations

import pytest

from tests.unit.services.parts import Parts, actor
from tuipacs.domain.permissions import Role
from tuipacs.errors import UsageError
from tuipacs.schema import messages as m
from tuipacs.services.audit import Audit

AUDITOR = actor(Role.AUDITOR)


@pytest.fixture
def log(parts: Parts) -> Audit:
    for _ in range(5):
        parts.send()
    return Audit(parts.index, parts.clock)


def test_reading_is_itself_recorded_once_for_all_its_pages(parts: Parts, log: Audit) -> None:
    first = log.list(AUDITOR, m.AuditRequest(limit=2))
    assert ([r.seq for r in first.records], first.total) == ([5, 4], 5)
    second = log.list(AUDITOR, m.AuditRequest(limit=2, before_seq=4))
    assert ([r.seq for r in second.records], second.total) == ([3, 2], 6)
    assert [r.detail for r in parts.records()][5:] == ["read"]


def test_what_was_searched_for_is_recorded(parts: Parts, log: Audit) -> None:
    found = log.list(AUDITOR, m.AuditRequest(words="ct1  STORE"))
    assert len(found.records) == 5
    assert parts.last_record().detail == "read: ct1  STORE"


@pytest.mark.parametrize(
    "request_",
    [
        m.AuditRequest(limit=0),
        m.AuditRequest(limit=501),
        m.AuditRequest(before_seq=-1),
        m.AuditRequest(words="a " * 21),
        m.AuditRequest(words="a" * 501),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(log: Audit, request_: m.AuditRequest) -> None:
    with pytest.raises(UsageError):
        log.list(AUDITOR, request_)


def test_verifying_says_what_holds_and_is_recorded(parts: Parts, log: Audit) -> None:
    found = log.verify(AUDITOR, m.Empty())
    assert (found.ok, found.checked, found.first_bad) == (True, 5, None)
    assert found.message == parts.last_record().detail
    assert parts.last_record().operation == "audit.verify"


def test_verifying_says_where_it_breaks_and_that_is_recorded(parts: Parts, log: Audit) -> None:
    with parts.index.write() as tx:
        tx.execute("DROP TRIGGER audit_is_append_only_update")
        tx.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    found = log.verify(AUDITOR, m.Empty())
    assert (found.ok, found.checked, found.first_bad) == (False, 2, 3)
    assert "record 3 was changed" in found.message
    assert "record 3 was changed" in parts.last_record().detail
