"""Import jobs: nothing is skipped, nothing is counted twice, and no job takes others with it."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.unit.services.parts import PASSWORD, Parts, actor
from tuipacs.domain.actor import Actor
from tuipacs.domain.job import JobKind, JobRecord, JobState, Refusal
from tuipacs.domain.permissions import Role
from tuipacs.errors import ConflictError, NotFoundError, StorageFullError, UsageError
from tuipacs.index import jobs as job_rows
from tuipacs.index.database import Index, Transaction
from tuipacs.jobs.bandwidth import Bandwidth
from tuipacs.jobs.import_files import ImportFiles
from tuipacs.jobs.runner import JobRunner, Kind
from tuipacs.jobs.running import Progress, Running
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.services.calling import Calling
from tuipacs.services.imports import Imports
from tuipacs.services.jobs import Jobs

TECHNOLOGIST = actor(Role.TECHNOLOGIST, name="tina")
ADMIN = actor(Role.ADMIN)


class Office:
    """Imports, jobs and a runner, wired as the daemon does it; the runner starts when told."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        parts.users.create_first_admin("root", PASSWORD)
        request = m.UserAddRequest(name="tina", role=Role.TECHNOLOGIST, password=PASSWORD)
        parts.users.add(ADMIN, request)
        self.imports = Imports(parts.index, parts.clock, parts.wakeups)
        self.jobs = Jobs(
            parts.index, parts.clock, parts.wakeups, Calling(parts.index, "TUIPACS", None), 10
        )
        self.kind: Kind = ImportFiles(parts.index, parts.ingest)
        self.runner: JobRunner | None = None

    def submit(self, *paths: Path) -> int:
        request = m.ImportRequest(paths=tuple(str(path) for path in paths))
        return self.imports.submit(TECHNOLOGIST, request).key

    def start(self, kind: Kind | None = None, index: Index | None = None) -> JobRunner:
        parts = self.parts
        self.runner = JobRunner(
            index or parts.index,
            parts.clock,
            parts.sessions,
            parts.wakeups,
            {JobKind.IMPORT: kind or self.kind},
            retry_after=0.02,
        )
        self.imports.on_submit = self.runner.wake
        self.jobs.on_change = self.runner.look
        self.runner.start()
        return self.runner

    def pause(self) -> None:
        """Wait until the runner has stopped by itself."""
        assert self.runner is not None
        assert self.runner.wait(20)
        self.runner = None

    def stop(self) -> None:
        if self.runner is not None:
            self.runner.stop(20)
            self.runner = None

    def show(self, key: int) -> JobRecord:
        return self.jobs.show(TECHNOLOGIST, m.JobRequest(key=key))

    def refusals(self, key: int) -> tuple[Refusal, ...]:
        return self.jobs.refusals(TECHNOLOGIST, m.JobRequest(key=key)).refusals

    def ended(self, key: int) -> JobRecord:
        """The job once it has ended."""
        changed = threading.Event()
        leave = self.parts.wakeups.listen(changed.set)
        try:
            while not (record := self.show(key)).state.ended:
                assert changed.wait(20), record
                changed.clear()
            return record
        finally:
            leave()


@pytest.fixture
def office(parts: Parts) -> Iterator[Office]:
    office = Office(parts)
    yield office
    office.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


def fill(folder: Path, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        (folder / f"{number:03}.dcm").write_bytes(part10_bytes(make_dataset(PatientID="P1")))


def counts(record: JobRecord) -> tuple[int, int, int, int, int]:
    return record.total, record.done, record.stored, record.duplicate, record.refused


def instances(parts: Parts) -> int:
    return int(parts.rows("SELECT count(*) FROM instance")[0][0])


class Stopping:
    """Imports with a hand at the plug: ``act`` is called before the object of that number."""

    def __init__(self, inner: Kind, at: int, act: Callable[[], None]) -> None:
        self._inner, self._at, self._act = inner, at, act
        self._seen = 0

    def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
        def tell() -> None:
            progress.tell()
            self._seen += 1
            if self._seen == self._at:
                self._act()

        return self._inner.run(actor, record, payload, Progress(progress.check, tell))


def test_an_import_stores_counts_and_tells_what_it_refused(office: Office, folder: Path) -> None:
    fill(folder, 3)
    (folder / "notes.txt").write_text("these are my notes, not a picture of anybody")
    (folder / "twin.dcm").write_bytes((folder / "000.dcm").read_bytes())
    key = office.submit(folder)
    assert office.show(key).state is JobState.QUEUED
    office.start()
    record = office.ended(key)
    assert record.state is JobState.DONE
    assert counts(record) == (5, 5, 3, 1, 1)
    assert record.message == "3 stored, 1 here already, 1 refused"
    assert record.bytes_done == sum(p.stat().st_size for p in folder.glob("*.dcm"))
    (refusal,) = office.refusals(key)
    assert refusal.path == str(folder / "notes.txt")
    assert refusal.reason
    assert instances(office.parts) == 3


def test_importing_twice_changes_nothing(office: Office, folder: Path) -> None:
    fill(folder, 4)
    office.start()
    first = office.ended(office.submit(folder))
    rows = office.parts.rows("SELECT * FROM instance")
    files = office.parts.files()
    second = office.ended(office.submit(folder))
    assert counts(first) == (4, 4, 4, 0, 0)
    assert counts(second) == (4, 4, 0, 4, 0)
    assert office.parts.rows("SELECT * FROM instance") == rows
    assert office.parts.files() == files


def test_each_object_has_its_record_in_the_submitters_name(office: Office, folder: Path) -> None:
    fill(folder, 2)
    office.start()
    office.ended(office.submit(folder))
    records = [r for r in office.parts.records() if r.operation == "ingest.import_file"]
    assert [(r.actor, r.outcome, r.patient_id) for r in records] == [("tina", "success", "P1")] * 2


def test_a_stopped_import_goes_on_at_the_next_object(office: Office, folder: Path) -> None:
    fill(folder, 6)
    (folder / "0000-notes.txt").write_text("not a picture, only words about one, and more")
    key = office.submit(folder)
    runner = office.start(Stopping(office.kind, 3, lambda: runner.interrupt()))
    office.pause()
    paused = office.show(key)
    assert paused.state is JobState.QUEUED  # it goes on by itself at the next start
    assert counts(paused) == (7, 3, 2, 0, 1)
    office.start()
    record = office.ended(key)
    assert counts(record) == (7, 7, 6, 0, 1)  # none twice: no duplicate among them
    assert instances(office.parts) == 6
    assert len(office.refusals(key)) == 1


def test_a_crash_in_the_middle_of_an_object_counts_it_once(office: Office, folder: Path) -> None:
    """The count is in the object's own transaction: before it, nothing; after it, both."""
    fill(folder, 5)
    key = office.submit(folder)
    parts = office.parts
    calls = 0
    whole = parts.ingest

    class Dying:
        def import_file(
            self, actor: Actor, file: object, count: Callable[[Transaction, object], None]
        ) -> object:
            nonlocal calls
            calls += 1

            def last_words(tx: Transaction, result: object) -> None:
                count(tx, result)
                if calls == 3:
                    raise KeyboardInterrupt  # power gone before the commit

            return whole.import_file(actor, file, last_words)  # type: ignore[arg-type]

    kind = ImportFiles(parts.index, Dying())  # type: ignore[arg-type]
    with parts.index.read() as reader:
        record = job_rows.get(reader, key, 0.0)
        payload = job_rows.payload(reader, key)
    assert record is not None
    with pytest.raises(KeyboardInterrupt):
        kind.run(TECHNOLOGIST, record, payload, Progress(lambda: None, lambda: None))
    assert office.show(key).done == 2
    assert instances(parts) == 2
    office.start()
    assert counts(office.ended(key)) == (5, 5, 5, 0, 0)
    assert instances(parts) == 5


@pytest.mark.parametrize("change", ["removed", "added before", "renamed"])
def test_a_folder_that_changed_meanwhile_is_looked_at_from_its_start(
    office: Office, folder: Path, change: str
) -> None:
    """Counting off what was done would skip what has moved into its place."""
    fill(folder, 6)
    key = office.submit(folder)
    runner = office.start(Stopping(office.kind, 3, lambda: runner.interrupt()))
    office.pause()
    if change == "removed":
        for number in range(3):
            (folder / f"{number:03}.dcm").unlink()
        expected = (3, 3, 3, 0, 0)
    elif change == "added before":
        (folder / "0000.dcm").write_bytes(part10_bytes(make_dataset()))
        expected = (7, 7, 4, 3, 0)
    else:
        (folder / "000.dcm").rename(folder / "999.dcm")
        expected = (6, 6, 3, 3, 0)
    office.start()
    assert counts(office.ended(key)) == expected
    assert instances(office.parts) == (7 if change == "added before" else 6)


def test_the_rate_is_of_this_run(office: Office, folder: Path) -> None:
    fill(folder, 6)
    key = office.submit(folder)
    runner = office.start(Stopping(office.kind, 3, lambda: runner.interrupt()))
    office.pause()
    clock = office.parts.clock
    clock.now += 10_000  # the archive was down
    slow = Stopping(office.kind, 2, lambda: setattr(clock, "now", clock.now + 4))
    office.start(slow)
    assert office.ended(key).rate == pytest.approx(3 / 4)


def test_a_cancelled_import_ends_and_keeps_what_it_has(office: Office, folder: Path) -> None:
    fill(folder, 5)
    key = office.submit(folder)

    def cancel() -> None:
        office.jobs.cancel(TECHNOLOGIST, m.JobRequest(key=key))

    office.start(Stopping(office.kind, 2, cancel))
    record = office.ended(key)
    assert (record.state, record.done, record.message) == (JobState.CANCELLED, 2, "cancelled")
    assert instances(office.parts) == 2
    with pytest.raises(ConflictError):
        cancel()


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(office: Office, folder: Path) -> None:
    fill(folder, 2)
    key = office.submit(folder)
    assert office.jobs.cancel(TECHNOLOGIST, m.JobRequest(key=key)).state is JobState.CANCELLED
    office.start()
    office.ended(office.submit(folder / "000.dcm"))
    assert office.show(key).state is JobState.CANCELLED
    assert instances(office.parts) == 1


def test_a_job_cancelled_as_it_is_picked_stays_cancelled(office: Office, folder: Path) -> None:
    fill(folder, 1)
    key = office.submit(folder)
    office.jobs.cancel(TECHNOLOGIST, m.JobRequest(key=key))
    runner = office.start()
    runner._run(Running(key, 0, None, Bandwidth(0), office.parts.clock))  # as it was queued
    assert office.show(key).state is JobState.CANCELLED
    assert instances(office.parts) == 0


def test_a_cancel_is_not_forgotten_over_a_restart(office: Office, folder: Path) -> None:
    fill(folder, 5)
    key = office.submit(folder)
    runner = office.start(Stopping(office.kind, 2, lambda: runner.interrupt()))
    office.pause()
    office.jobs.on_change = lambda: None
    office.jobs.cancel(TECHNOLOGIST, m.JobRequest(key=key))
    office.start()
    record = office.ended(key)
    assert (record.state, record.done) == (JobState.CANCELLED, 2)


@pytest.mark.parametrize("how", ["disabled", "demoted"])
def test_a_submitter_without_the_right_any_more_ends_the_job(
    office: Office, folder: Path, how: str
) -> None:
    fill(folder, 2)
    key = office.submit(folder)
    users = office.parts.users
    if how == "disabled":
        users.set_disabled(ADMIN, m.UserDisableRequest(name="tina", disabled=True))
    else:
        users.set_role(ADMIN, m.UserRoleRequest(name="tina", role=Role.VIEWER))
    office.start()
    record = office.ended(key)
    assert record.state is JobState.FAILED
    assert "may not" in record.message
    assert instances(office.parts) == 0


def test_a_full_disk_ends_the_job_with_everything_before_it_counted(
    office: Office, folder: Path
) -> None:
    """Nothing is skipped or called refused; the same paths can be imported again."""
    fill(folder, 5)
    whole = office.parts.ingest
    room = 2

    class Filling:
        def import_file(self, *arguments: object) -> object:
            nonlocal room
            if room == 0:
                raise StorageFullError("the disk has reached its reserve")
            room -= 1
            return whole.import_file(*arguments)  # type: ignore[arg-type]

    kind = ImportFiles(office.parts.index, Filling())  # type: ignore[arg-type]
    key = office.submit(folder)
    office.start(kind)
    record = office.ended(key)
    assert record.state is JobState.FAILED
    assert counts(record) == (5, 2, 2, 0, 0)
    assert record.message.startswith("stopped after 2 of 5: the disk has reached its reserve")
    assert "import the same paths again" in record.message
    assert office.refusals(key) == ()
    room = 100
    assert counts(office.ended(office.submit(folder))) == (5, 5, 3, 2, 0)
    assert instances(office.parts) == 5


class FullForAWhile(Index):
    """Cannot be written the first few times."""

    tries = 3

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self.tries:
            self.tries -= 1
            raise StorageFullError("the disk of the index is full")
        with super().write() as transaction:
            yield transaction


def test_an_index_that_is_full_for_a_while_ends_no_runner(office: Office, folder: Path) -> None:
    """Not even that the job failed can be written: it is tried again until it can."""
    fill(folder, 2)
    key = office.submit(folder)
    index = FullForAWhile(office.parts.folder / "index.sqlite")
    office.start(index=index)
    assert counts(office.ended(key)) == (2, 2, 2, 0, 0)
    assert index.tries == 0
    office.stop()
    index.close()


def test_a_bug_ends_its_job_and_no_other(
    office: Office, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder, 1)

    class Buggy:
        def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
            if record.key == 1:
                raise ZeroDivisionError("DOE^JANE")
            return "fine"

    first, second = office.submit(folder), office.submit(folder)
    office.start(Buggy())
    assert office.ended(second).message == "fine"
    record = office.show(first)
    assert (record.state, record.message) == (JobState.FAILED, "an internal error: see the log")
    assert "ZeroDivisionError" in caplog.text


def test_jobs_run_oldest_first_one_at_a_time(office: Office, folder: Path) -> None:
    order: list[int] = []
    running = threading.Lock()

    class Watching:
        def run(self, actor: Actor, record: JobRecord, payload: str, progress: Progress) -> str:
            with running:
                assert running.locked()
                order.append(record.key)
            return ""

    keys = [office.submit(folder) for _ in range(5)]
    office.start(Watching())
    office.ended(keys[-1])
    assert order == keys
    listed = office.jobs.list(TECHNOLOGIST, j.JobsRequest()).jobs
    assert [record.key for record in listed] == keys[::-1]


def test_a_zip_is_resumed_inside(office: Office, folder: Path) -> None:
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}.dcm", part10_bytes(make_dataset()))
    key = office.submit(folder)
    runner = office.start(Stopping(office.kind, 2, lambda: runner.interrupt()))
    office.pause()
    assert office.show(key).done == 2
    office.start()
    assert counts(office.ended(key)) == (5, 5, 5, 0, 0)


def test_a_file_that_comes_while_importing_is_counted(office: Office, folder: Path) -> None:
    fill(folder, 2)
    late = folder / "sub"
    late.mkdir()

    def add() -> None:
        (late / "late.dcm").write_bytes(part10_bytes(make_dataset()))

    key = office.submit(folder)
    office.start(Stopping(office.kind, 1, add))
    assert counts(office.ended(key)) == (3, 3, 3, 0, 0)


def test_a_stop_is_heard_while_still_counting(office: Office, folder: Path) -> None:
    fill(folder, 3)
    key = office.submit(folder)
    looked = 0

    def check() -> None:
        nonlocal looked
        looked += 1
        if looked == 2:
            raise KeyboardInterrupt

    record = office.show(key)
    with office.parts.index.read() as reader:
        payload = job_rows.payload(reader, key)
    with pytest.raises(KeyboardInterrupt):
        office.kind.run(TECHNOLOGIST, record, payload, Progress(check, lambda: None))
    assert office.show(key).total == 0


@pytest.mark.parametrize("paths", [(), ("relative",), ("/a\0b",), ("/x",) * 10_001])
def test_what_cannot_be_an_import_is_refused(office: Office, paths: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        office.imports.submit(TECHNOLOGIST, m.ImportRequest(paths=paths))


def test_what_is_asked_of_a_job_that_is_none_is_told(office: Office) -> None:
    for call in (office.jobs.show, office.jobs.refusals, office.jobs.cancel):
        with pytest.raises(NotFoundError):
            call(TECHNOLOGIST, m.JobRequest(key=99))


def test_a_runner_that_never_began_can_be_stopped(office: Office) -> None:
    parts = office.parts
    JobRunner(parts.index, parts.clock, parts.sessions, parts.wakeups, {}).stop(1)
