"""Who was turned away, in the audit log and the daemon's: each reason, each impostor, no flood."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dimse.raw_peer import RawPeer
from tests.unit.services.parts import Clock, fast_hasher
from tests.waiting import eventually
from tuipacs.bootstrap import Archive
from tuipacs.config import Config, DicomSettings
from tuipacs.dimse.contract import Caller
from tuipacs.domain.actor import Actor, ActorKind, Origin
from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.permissions import Permission
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.paths import ArchivePaths
from tuipacs.services.alerts import Alerts, refusal_class
from tuipacs.services.authentication import Authentication
from tuipacs.services.incoming_board import IncomingBoard
from tuipacs.services.node_judging import ANOTHER_CERTIFICATE
from tuipacs.services.verification import Verification

THERE = "192.0.2.1"
SHA = "ab" * 32
IMPOSTURE = f"{ANOTHER_CERTIFICATE} (SHA-256 abababababab…)"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def alerts(index: Index, clock: Clock) -> Alerts:
    return Alerts(index, clock)


def records(index: Index) -> list[AuditRecord]:
    """Oldest first."""
    with index.read() as reader:
        return audit.page(reader, (), 0, 10_000)[::-1]


def echoing(title: str, address: str = THERE) -> Actor:
    rights = frozenset({Permission.DICOM_ECHO})
    return Actor(
        kind=ActorKind.PEER, name=title, permissions=rights, origin=Origin(address=address)
    )


def test_each_reason_of_one_caller_has_a_record(alerts: Alerts, index: Index) -> None:
    reasons = ["sent no certificate", "speaks no TLS 1.2 or 1.3", "sent no TLS to the TLS port"]
    for reason in reasons * 3:
        alerts.rejected("", THERE, reason)
    alerts.offended("", THERE, reasons[0])
    assert [record.detail for record in records(index)] == [*reasons, reasons[0]]


def test_the_number_that_is_told_later_is_of_its_own_reason(
    alerts: Alerts, index: Index, clock: Clock
) -> None:
    for reason in ("one", "two", "two"):
        alerts.rejected("CT1", THERE, reason)
    clock.now += 61
    alerts.flush()
    last = records(index)[-1]
    assert last.detail == (
        "two; repeated within a minute (1 more that have no record of their own)"
    )
    assert (last.actor, last.address, last.outcome.value) == ("CT1", THERE, "refused")
    assert len(records(index)) == 3


def test_an_offence_that_repeats_stays_a_failure(
    alerts: Alerts, index: Index, clock: Clock
) -> None:
    for _ in range(2):
        alerts.offended("CT1", THERE, "sent junk")
    clock.now += 61
    alerts.flush()
    assert [record.outcome.value for record in records(index)] == ["failure", "failure"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("called AE title 'A', this is 'T'", "called AE title 'B, \\'x', this is 'T'"),
        ("called AE title \"A's\", this is 'T'", "called AE title 'B', this is 'T'"),
        ("sent an association request of 70000 bytes", "sent an association request of 9 bytes"),
        ("user identity: wait 2 s", "user identity: wait 900 s"),
    ],
)
def test_words_that_a_caller_chooses_make_no_other_reason(one: str, other: str) -> None:
    assert refusal_class(one) == refusal_class(other)


def test_the_version_of_a_protocol_is_part_of_the_reason() -> None:
    assert refusal_class("speaks no TLS 1.2 or 1.3") == "speaks no TLS 1.2 or 1.3"


def test_ever_new_words_do_not_fill_the_log(alerts: Alerts, index: Index, clock: Clock) -> None:
    for number in range(500):
        alerts.rejected("CT1", THERE, f"x{'y' * number}")
    assert len(records(index)) <= 65
    clock.now += 61
    alerts.flush()
    assert "435 more of callers too many to tell apart" in records(index)[-1].detail
    assert records(index)[-1].actor == ""


def test_another_nodes_certificate_has_its_hash_in_a_record_whatever_came_before(
    alerts: Alerts, index: Index
) -> None:
    for number in range(500):
        alerts.rejected(f"A{number}", THERE, "not known")
    alerts.rejected("CT1", THERE, "called AE title 'X', this is 'TUIPACS'", SHA)
    alerts.rejected("CT1", THERE, IMPOSTURE, SHA)
    found = [record for record in records(index) if SHA in record.detail]
    assert [(record.actor, record.address) for record in found] == [("CT1", THERE)]
    alerts.rejected("CT1", THERE, IMPOSTURE, "cd" * 32)
    alerts.rejected("MR2", THERE, IMPOSTURE, SHA)
    assert [record.actor for record in records(index)[-2:]] == ["CT1", "MR2"]


def test_an_impostor_with_many_addresses_is_one_record(
    alerts: Alerts, index: Index, clock: Clock
) -> None:
    for number in range(200):
        alerts.rejected("CT1", f"2001:db8::{number}", IMPOSTURE, SHA)
    assert len(records(index)) == 1
    clock.now += 61
    alerts.flush()
    assert (records(index)[-1].actor, records(index)[-1].address) == ("CT1", "")
    assert "199 more" in records(index)[-1].detail


def test_the_board_hands_on_whose_certificate_was_shown(index: Index, clock: Clock) -> None:
    board = IncomingBoard(Alerts(index, clock), clock)
    caller = Caller("CT1", "TUIPACS", THERE, is_tls=True, certificate_sha256=SHA)
    board.rejected(caller, False, IMPOSTURE)
    assert SHA in records(index)[-1].detail


def test_the_daemons_log_has_a_line_a_minute_for_each_reason_and_no_names(
    alerts: Alerts, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for title in ("DOE^JOHN", "DOE^JANE"):
            alerts.rejected(title, THERE, f"called AE title {title!r}, this is 'TUIPACS'")
            alerts.rejected(title, THERE, "not known")
        for number in range(200):
            alerts.offended("X", THERE, f"x{'y' * number}")
        clock.now += 61
        alerts.flush()
    lines = caplog.messages
    assert lines[0] == f"a caller from {THERE} was refused: called AE title …, this is …"
    assert lines[1] == f"a caller from {THERE} was refused: not known"
    assert "callers refused again, 1 times: not known" in lines
    assert "DOE" not in caplog.text
    assert len(lines) <= 2 * 33


def test_echoes_that_were_only_counted_are_told_under_their_own_name(
    index: Index, clock: Clock
) -> None:
    verification = Verification(index, clock)
    board = IncomingBoard(Alerts(index, clock), clock, flushes=(verification.flush,))
    for _ in range(3):
        verification.echo(echoing("HONEST1"))
    clock.now += 61
    board.tick()
    told = records(index)[-1]
    assert (told.actor, told.address, told.operation) == ("HONEST1", THERE, "verification.echo")
    assert told.detail == "C-ECHO; 2 more since the record before"
    board.tick()
    assert len(records(index)) == 2


def test_a_crowd_does_not_blind_the_log_of_echoes_for_good(index: Index, clock: Clock) -> None:
    """Nor is anyone's number told as another's."""
    verification = Verification(index, clock)
    for number in range(64):
        for _ in range(2):
            verification.echo(echoing(f"A{number}"))
    for title in ("HONEST1", "HONEST1", "HONEST1"):
        verification.echo(echoing(title))
    clock.now += 60
    verification.echo(echoing("HONEST2"))
    last = records(index)[-1]
    assert (last.actor, last.detail) == ("HONEST2", "C-ECHO")
    verification.flush()
    crowd = records(index)[-1]
    assert crowd.actor == ""
    assert crowd.detail == (
        "C-ECHO; 66 more of callers too many to tell apart since the record before"
    )


def test_refused_logins_beyond_the_limit_are_told_as_nobodys(index: Index, clock: Clock) -> None:
    checks = Authentication(index, clock, fast_hasher())
    for number in range(66):
        checks.refused(f"user{number}", Origin(address=THERE), "sessions.login", "too soon")
    clock.now += 61
    checks.flush()
    last = records(index)[-1]
    assert (last.actor, last.address) == ("", "")
    assert last.detail == (
        "refused; 1 more of users too many to tell apart since the record before"
    )
    checks.refused("user1", Origin(address=THERE), "sessions.login", "too soon")
    assert (records(index)[-1].actor, records(index)[-1].detail) == ("user1", "too soon")


def test_an_archive_tells_by_itself_what_its_listener_counted(tmp_path: Path) -> None:
    """Over a real association: else the numbers are written when the same peer comes again."""
    clock = Clock()
    config = Config(dicom=DicomSettings(port=0))
    archive = Archive(ArchivePaths(tmp_path), config, clock=clock, hasher=fast_hasher())
    archive._listener.start()
    try:
        with RawPeer(archive._listener.port) as peer:
            assert peer.associate(calling=b"CT1").kind == "accept"
            assert [peer.echo() for _ in range(3)] == [0, 0, 0]
            clock.now += 61
            told = eventually(lambda: [r for r in records(archive._index) if "2 more" in r.detail])
        assert [(r.actor, r.operation) for r in told] == [("CT1", "verification.echo")]
    finally:
        archive._listener.stop()
        archive.close()
