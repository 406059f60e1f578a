"""Routing when something breaks: nothing is lost, nothing is sent twice, nobody else is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import apsw
import peewee
import pytest

from tests.builders import make_study
from tests.unit.services.parts import Parts
from tests.unit.services.routing_parts import ADMIN, QUIET, Routing
from tests.waiting import eventually
from tuipacs.domain.actor import Actor
from tuipacs.errors import StorageFullError
from tuipacs.index.database import Index
from tuipacs.index.migrations import MIGRATIONS, migrate
from tuipacs.jobs.router import Router
from tuipacs.schema.route_messages import RouteStudyRequest
from tuipacs.services.routing_judge import KEEP_DECISIONS, Judging


@pytest.fixture
def routing(parts: Parts) -> Routing:
    return Routing(parts)


@contextmanager
def broken(parts: Parts, table: str, event: str = "INSERT", when: str = "1") -> Iterator[None]:
    """Every write of that kind fails, in the middle of what belongs to it."""
    with parts.index.write() as tx:
        tx.execute(
            f"CREATE TRIGGER broken BEFORE {event} ON {table} WHEN {when}"
            " BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    yield
    with parts.index.write() as tx:
        tx.execute("DROP TRIGGER broken")


@pytest.mark.parametrize("table", ["route_decision", "route_mark", "job", "job_item", "audit"])
def test_a_judgement_that_breaks_off_leaves_nothing_and_is_made_again(
    routing: Routing, table: str
) -> None:
    routing.rule("all", routing.node("PACS2"))
    uid = routing.study(3)
    errors = (apsw.ConstraintError, peewee.IntegrityError)
    with broken(routing.parts, table), pytest.raises(errors):
        routing.look()
    assert routing.parts.rows("SELECT * FROM job") == []
    assert routing.parts.rows("SELECT * FROM route_mark") == []
    assert routing.said(uid) == []
    assert routing.woken == []
    (job,) = routing.look(0)
    assert len(routing.items(job)) == 3
    assert routing.look() == []


@pytest.mark.parametrize(
    ("table", "event"), [("route_pending", "INSERT"), ("route_cursor", "UPDATE")]
)
def test_a_feed_whose_reading_breaks_off_is_read_again(
    routing: Routing, table: str, event: str
) -> None:
    routing.rule("all", routing.node("PACS2"))
    routing.study()
    with broken(routing.parts, table, event), pytest.raises(apsw.ConstraintError):
        routing.look()
    assert routing.parts.rows("SELECT * FROM route_pending") == []
    assert len(routing.look(0)) == 1


def test_a_clock_that_was_a_day_ahead_keeps_no_study_for_a_day(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    routing.parts.clock.now += 86_400
    routing.study()
    routing.look(0)
    routing.parts.clock.now -= 86_400
    assert routing.look(1) == []  # the quiet time begins anew
    assert len(routing.look(QUIET)) == 1


def test_decisions_are_kept_for_three_months(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    uid = routing.study()
    routing.look()
    routing.parts.clock.now += KEEP_DECISIONS - 1
    assert routing.judging.prune(routing.system) == 0
    routing.parts.clock.now += 2
    assert routing.judging.prune(routing.system) == 1
    assert routing.said(uid) == []


def test_an_archive_from_before_there_was_routing_sends_nothing_of_what_it_holds(
    tmp_path: Path,
) -> None:
    index = Index(tmp_path / "index.sqlite")
    folder = resources.files("tuipacs.index") / "schema"
    before = MIGRATIONS.index("0007_routing.sql")
    with index.write() as tx:
        for name in MIGRATIONS[:before]:
            for _ in tx.execute((folder / name).read_text()):
                pass
        tx.execute(f"PRAGMA user_version = {before}")
        tx.execute(
            "INSERT INTO change (seq, at, kind, patient, study, series, instance)"
            " VALUES (41, 1, 'stored', 1, 1, 1, 1)"
        )
    migrate(index)
    with index.read() as reader:
        assert reader.all("SELECT seq FROM route_cursor") == [(41,)]
    index.close()


class Wanting(Judging):
    """Has no room for the first judgement."""

    refused = 0

    def judge(self, actor: Actor, study: int) -> tuple[int, ...]:
        if not self.refused:
            self.refused += 1
            raise StorageFullError("the disk is full")
        return super().judge(actor, study)


@contextmanager
def a_router(routing: Routing, judging: Judging | None = None) -> Iterator[Router]:
    router = Router(
        judging or routing.judging,
        routing.parts.sessions,
        routing.parts.wakeups,
        routing.parts.clock,
        on_thread_end=routing.parts.index.close,
        pace=0.01,
        retry_after=0.02,
    )
    routing.routes.on_change = router.wake
    router.start()
    try:
        yield router
    finally:
        router.stop(10)


def noted(routing: Routing) -> int:
    """How many studies wait."""
    return len(routing.parts.rows("SELECT * FROM route_pending"))


def test_the_router_finds_what_came_before_it_began_and_hears_what_comes_then(
    routing: Routing,
) -> None:
    routing.rule("all", routing.node("PACS2"))
    routing.study()
    with a_router(routing) as router:
        eventually(lambda: noted(routing) == 1)
        routing.study()
        eventually(lambda: noted(routing) == 2)
        assert routing.woken == []
        routing.parts.clock.now += QUIET
        router.wake()
        eventually(lambda: len(routing.woken) == 2)
        assert noted(routing) == 0


def test_a_study_forced_is_judged_by_the_router_at_once(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    with a_router(routing):
        uid = routing.study()
        routing.routes.force(ADMIN, RouteStudyRequest(study_instance_uid=uid))
        eventually(lambda: routing.woken)


def test_a_study_that_cannot_be_judged_keeps_no_other_and_says_so(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    bad, good = routing.study(), routing.study()
    routing.parts.clock.now += QUIET
    study = routing.explain(bad).study.key
    broken_for_it = broken(routing.parts, "route_decision", when=f"new.study = {study}")
    with broken_for_it, a_router(routing):
        eventually(lambda: routing.said(good))
        eventually(lambda: "could not be judged" in routing.explain(bad).state)
    assert routing.look(600)
    assert routing.said(bad)


def test_a_full_disk_is_waited_for(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    routing.study()
    routing.parts.clock.now += QUIET
    parts = routing.parts
    wanting = Wanting(parts.index, parts.clock, parts.wakeups, quiet_seconds=QUIET)
    with a_router(routing, wanting):
        eventually(lambda: parts.rows("SELECT * FROM job"))
    assert wanting.refused == 1


def test_a_feed_longer_than_one_stretch_is_read_to_its_end(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 3)
    routing.arrive(*objects)
    study = routing.explain(str(objects[0].StudyInstanceUID)).study.key
    with routing.parts.index.write() as tx:
        tx.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
            " INSERT INTO change (at, kind, patient, study, series, instance)"
            " SELECT ?, 'stored', 1, ?, 1, 1 FROM n",
            (routing.parts.clock() + 7, study),
        )
    assert routing.look(QUIET) == []  # the newest came seven seconds later
    assert len(routing.look(7)) == 1
