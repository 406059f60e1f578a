"""What the system screen and ``tuipacs status`` show, and the marks the daemon leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.parts import PASSWORD, actor, fast_hasher
from tuipacs.bootstrap import Archive
from tuipacs.config import Config
from tuipacs.domain.permissions import Role
from tuipacs.index import audit
from tuipacs.paths import ArchivePaths
from tuipacs.schema import messages as m

ADMIN = actor(Role.ADMIN)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(ArchivePaths(tmp_path), Config(), hasher=fast_hasher())
    archive.services.users.create_first_admin("root", PASSWORD)
    yield archive
    archive.close()


def test_the_state_of_an_archive(archive: Archive) -> None:
    archive.paths.log.parent.mkdir(exist_ok=True)
    lines = [f"line {number}" for number in range(5000)]
    archive.paths.log.write_text("\n".join(lines) + "\n")
    status = archive.services.system.status(ADMIN, m.Empty())
    assert status.archive == str(archive.paths.root)
    assert status.totals.instances == 0
    assert (status.read_only, status.associations, status.jobs_running) == ("", 0, 0)
    assert 0 < status.disk_free <= status.disk_total
    assert 10 << 20 < status.memory_bytes < 10 << 30
    assert status.log_tail == tuple(lines[-100:])
    assert not status.health.receiving


def test_without_a_log_there_is_no_tail(archive: Archive) -> None:
    assert archive.services.system.status(ADMIN, m.Empty()).log_tail == ()


def test_a_stopped_store_is_shown_with_its_reason(archive: Archive) -> None:
    archive._ingest._store.fail("fsync of a file: Input/output error")
    status = archive.services.system.status(ADMIN, m.Empty())
    assert status.read_only == "fsync of a file: Input/output error"


def test_health_tells_no_count_and_no_name(archive: Archive) -> None:
    health = archive.services.system.health(m.Empty())
    assert health.ae_title == "TUIPACS"
    assert "root" not in repr(health)


def test_start_and_orderly_end_are_in_the_log(archive: Archive) -> None:
    archive.services.system.started()
    archive.services.system.stopped()
    with archive._index.read() as reader:
        records = audit.page(reader, (), 0, 2)
    assert [r.operation for r in records] == ["system.stopped", "system.started"]
    assert {r.event for r in records} == {"Application Activity"}


def test_a_stop_is_asked_for_and_recorded(archive: Archive) -> None:
    asked: list[bool] = []
    archive.on_stop = lambda: asked.append(True)
    archive.services.system.stop(ADMIN, m.Empty())
    assert asked == [True]
    with archive._index.read() as reader:
        assert audit.page(reader, (), 0, 1)[0].operation == "system.stop"
