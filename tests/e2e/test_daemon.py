"""The daemon as a process: one owner, honest starts, ends that lose nothing."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.e2e.daemon_fixture import ADMIN, ArchiveFactory, RunningArchive, new_archive
from tuipacs.domain.permissions import Role
from tuipacs.errors import AuthenticationError, DaemonUnreachableError, ForbiddenError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import operations
from tuipacs.schema.messages import AuditRequest, Empty


def refused_start(archive: RunningArchive) -> str:
    """Start a daemon that must not come up; return what it said on stderr."""
    process = archive.spawn()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1, said
    assert b"Traceback" not in said
    return said.decode()


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningArchive]:
    """One daemon for the tests that leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="tp") as base:
        archive = new_archive(Path(base) / "a", ae_title="FIRST")
        archive.start()
        yield archive
        archive.close()


def test_a_started_archive_receives_and_says_who_it_is(shared: RunningArchive) -> None:
    archive = shared
    assert archive.health is not None
    assert archive.health.receiving
    assert archive.health.ae_title == "FIRST"
    assert archive.health.pid == archive.pid
    with socket.create_connection(("127.0.0.1", archive.port), timeout=10):
        pass


def test_socket_and_files_are_for_the_owner_alone(shared: RunningArchive) -> None:
    archive = shared
    assert stat.S_IMODE(archive.paths.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(archive.paths.socket.stat().st_mode) == 0o600
    for path in archive.paths.root.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_second_daemon_is_refused_and_names_the_first(shared: RunningArchive) -> None:
    archive = shared
    said = refused_start(archive)
    assert f"another daemon (pid {archive.pid}) owns this archive" in said
    assert archive.visit().call(operations.HEALTH, Empty()) == archive.health
    assert "another daemon" in archive.log().splitlines()[-1]


def test_sigterm_ends_in_order_and_leaves_no_socket(running_archive: ArchiveFactory) -> None:
    archive = running_archive()
    assert archive.stop(signal.SIGTERM) == 0
    assert not archive.paths.socket.exists()
    assert "archive stopped" in archive.log()
    archive.start()


def test_after_kill_minus_9_the_next_start_is_clean(running_archive: ArchiveFactory) -> None:
    """The dead daemon's socket and lock file are still there and mean nothing."""
    archive = running_archive()
    archive.kill()
    assert archive.paths.socket.exists()
    assert not archive.answers
    archive.start()
    archive.connect()


def test_a_foreign_file_in_the_place_of_the_socket_is_not_removed(
    running_archive: ArchiveFactory,
) -> None:
    archive = running_archive(start=False)
    archive.paths.socket.write_text("precious")
    assert "in the way of the control socket" in refused_start(archive)
    assert archive.paths.socket.read_text() == "precious"


def test_a_taken_port_is_named_with_a_remedy(running_archive: ArchiveFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        archive = running_archive(start=False, port=port)
        said = refused_start(archive)
    assert f"port {port}" in said
    assert "dicom.port" in said
    archive.start()  # the port is free again, and the failed start left nothing behind


def test_a_wrong_setting_is_told_with_its_line(running_archive: ArchiveFactory) -> None:
    archive = running_archive(start=False)
    with archive.paths.config.open("a") as file:
        file.write("\n[dicmo]\n")
    lines = archive.paths.config.read_text().splitlines()
    said = refused_start(archive)
    assert f"line {lines.index('[dicmo]') + 1}: unknown table [dicmo] (did you mean dicom?)" in said


def test_no_archive_is_told_with_the_way_to_make_one(tmp_path: Path) -> None:
    archive = RunningArchive(ArchivePaths(tmp_path / "none"))
    said = refused_start(archive)
    assert "there is no archive in" in said
    assert "tuipacs init" in said
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_named(running_archive: ArchiveFactory) -> None:
    """Root may write anywhere, so a folder stands in the place of the lock file."""
    archive = running_archive(start=False)
    archive.paths.lock.unlink()
    archive.paths.lock.mkdir()
    said = refused_start(archive)
    assert f"the archive folder {archive.paths.root} cannot be used" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(running_archive: ArchiveFactory) -> None:
    archive = running_archive(start=False)
    archive.paths.lock.unlink()
    archive.paths.root.chmod(0o500)
    try:
        assert "cannot be used" in refused_start(archive)
    finally:
        archive.paths.root.chmod(0o700)


def test_an_index_of_a_newer_program_is_left_alone(running_archive: ArchiveFactory) -> None:
    import apsw

    archive = running_archive(start=False)
    connection = apsw.Connection(str(archive.paths.index))
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    assert "schema 9999" in refused_start(archive)


def test_a_damaged_index_is_told_not_traced(running_archive: ArchiveFactory) -> None:
    archive = running_archive(start=False)
    archive.paths.index.write_bytes(b"not SQLite " * 1000)
    assert "damaged" in refused_start(archive)


def test_the_socket_of_a_long_path_lies_in_a_private_folder(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    archive = new_archive(tmp_path / ("long" * 30))
    try:
        process = archive.spawn(XDG_RUNTIME_DIR=str(tmp_path), TMPDIR=str(tmp_path))
        place = archive.paths.socket  # found by a client with other variables
        for _ in range(1000):
            if place.exists():
                break
            threading.Event().wait(0.02)
        assert place.exists()
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        process.terminate()
        process.communicate(timeout=20)
    finally:
        archive.close()


def test_sighup_reads_the_log_level_again_and_a_mistake_changes_nothing(
    shared: RunningArchive,
) -> None:
    archive = shared
    text = archive.paths.config.read_text()
    archive.paths.config.write_text(text.replace('level = "info"', 'level = "debug"'))
    os.kill(archive.pid, signal.SIGHUP)
    _wait_for_log(archive, "log level debug")
    archive.paths.config.write_text(text.replace('level = "info"', 'level = "loud"'))
    os.kill(archive.pid, signal.SIGHUP)
    _wait_for_log(archive, "settings kept")
    archive.paths.config.write_text(text)
    archive.visit().call(operations.HEALTH, Empty())


def test_the_unix_user_of_the_socket_is_in_the_audit_log(shared: RunningArchive) -> None:
    archive = shared
    connection = archive.connect()
    page = connection.call(operations.AUDIT, AuditRequest(words="sessions.login"))
    assert page.records[0].actor == ADMIN
    assert page.records[0].unix_user == getpass.getuser()


def test_a_wrong_password_is_refused_and_no_word_of_it_is_kept(
    shared: RunningArchive,
) -> None:
    archive = shared
    with pytest.raises(AuthenticationError):
        archive.connect(password="not the right words")
    with pytest.raises(AuthenticationError):
        archive.connect(user="a-password-typed-as-a-name")
    for path in archive.paths.root.iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert b"not the right words" not in content, path
            assert b"a-password-typed-as-a-name" not in content, path


def test_an_administrator_stops_the_archive_and_a_viewer_does_not(
    running_archive: ArchiveFactory,
) -> None:
    archive = running_archive()
    viewer = archive.add_user("vera", Role.VIEWER)
    with pytest.raises(ForbiddenError):
        viewer.call(operations.STOP, Empty())
    archive.connect().call(operations.STOP, Empty())
    archive.end()
    assert archive.process is not None
    assert archive.process.returncode == 0


def test_events_wake_when_an_object_arrives(shared: RunningArchive) -> None:
    archive = shared
    events = archive.connect().events()
    first = next(events)
    store_one(archive)
    assert any(event.seq > first.seq for event in events)


def test_the_end_of_the_daemon_is_the_end_of_its_event_streams(
    running_archive: ArchiveFactory,
) -> None:
    archive = running_archive()
    events = archive.connect().events()
    next(events)
    assert archive.stop() == 0
    with pytest.raises(DaemonUnreachableError, match="stopped"):
        list(events)


def test_a_second_sigterm_ends_at_once_and_the_next_start_is_clean(
    running_archive: ArchiveFactory,
) -> None:
    """A request that never comes whole holds the end up; nobody has to wait for it."""
    archive = running_archive()
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(archive.paths.socket))
        slow.sendall(b"POST /v1/system.health HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
        archive.visit().call(operations.HEALTH, Empty())  # so the slow one was accepted before
        os.kill(archive.pid, signal.SIGTERM)
        _wait_for_log(archive, "stopping: SIGTERM")
        assert archive.stop(signal.SIGTERM) == 1
    assert "ending at once" in archive.log()
    archive.start()


@pytest.mark.dcmtk
def test_sigterm_lets_the_object_in_progress_finish(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """A sender in the middle of a long run gets statuses it can trust, then an abort."""
    archive = running_archive()
    for number in range(400):
        dataset = make_dataset(InstanceNumber=number)
        (tmp_path / f"{number}.dcm").write_bytes(part10_bytes(dataset))
    sender = subprocess.Popen(
        ["storescu", "-v", "-aec", "TUIPACS", "+sd", "127.0.0.1", str(archive.port), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert sender.stdout is not None
    for line in sender.stdout:
        if "Received Store Response (Success)" in line:
            break
    assert archive.stop() == 0
    rest, _ = sender.communicate(timeout=20)
    acknowledged = 1 + rest.count("Received Store Response (Success)")
    stored = sum(1 for path in archive.paths.objects.rglob("*") if path.is_file())
    assert stored == acknowledged
    assert not list(archive.paths.objects.rglob("*.part"))


def test_readiness_and_the_end_are_told_to_systemd(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    archive = running_archive(start=False)
    place = archive.paths.root.parent / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        systemd.settimeout(20)
        archive.start(NOTIFY_SOCKET=str(place))
        assert systemd.recv(100) == b"READY=1"
        archive.stop()
        assert systemd.recv(100) == b"STOPPING=1"


def store_one(archive: RunningArchive) -> None:
    """Send one object over DICOM."""
    assert archive.health is not None
    from pydicom import dcmread
    from pynetdicom import AE

    dataset = dcmread(BytesIO(part10_bytes(make_dataset())))
    ae = AE("SENDER")
    ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", archive.port, ae_title=archive.health.ae_title)
    assert association.is_established
    try:
        assert association.send_c_store(dataset).Status == 0x0000
    finally:
        association.release()


def _wait_for_log(archive: RunningArchive, words: str) -> None:
    for _ in range(1000):
        if words in archive.log():
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"{words!r} is not in the log:\n{archive.log()}")
