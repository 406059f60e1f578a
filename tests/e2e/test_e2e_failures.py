"""What goes wrong around the archive: full disk, no right to write, passwords, a dead daemon."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tests.dimse.raw_peer import CT, CT_CONTEXT, RawPeer, command
from tests.e2e.daemon_fixture import (
    PASSWORD,
    PATIENCE,
    ArchiveFactory,
    RunningArchive,
    new_archive,
)
from tests.e2e.proof import Result, check_whole, finished, in_background, run
from tuipacs.domain.permissions import Role
from tuipacs.errors import AuthenticationError, DaemonUnreachableError
from tuipacs.schema import operations
from tuipacs.schema.messages import FindRequest

MIB = 1 << 20
TMPFS_MIB, RESERVE_MIB = 64, 16

MakeDisk = Callable[[], Path]


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own, mounted on a short path."""
    place = Path(tempfile.mkdtemp(prefix="tpd"))
    options = f"size={TMPFS_MIB}m,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tuipacs-test", str(place)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a tmpfs: the full disk is unproven here")
        yield place
        subprocess.run(["umount", "-l", str(place)], check=True)
    finally:
        shutil.rmtree(place)


@pytest.fixture
def on_disk(disk: Path) -> Iterator[RunningArchive]:
    """An archive on it that keeps a reserve free."""
    archive = new_archive(disk / "a")
    settings = archive.paths.config.read_text()
    assert "reserve_mb = 512" in settings
    archive.paths.config.write_text(
        settings.replace("reserve_mb = 512", f"reserve_mb = {RESERVE_MIB}")
    )
    yield archive
    archive.close()


def store(archive: RunningArchive, *, size: int = MIB, **changes: object) -> tuple[int, str]:
    """(status, error comment) of one object of about ``size`` bytes."""
    dataset = make_dataset(**changes)
    dataset.add_new(0xFFFCFFFC, "OB", bytes(size))
    with RawPeer(archive.port) as peer:
        assert peer.associate([CT_CONTEXT]).kind == "accept"
        request = command(0x0001, CT, dataset=True, instance=str(dataset.SOPInstanceUID))
        peer.request(3, request, dataset_bytes(dataset))
        answer = peer.answer()
        peer.release()
    return int.from_bytes(answer[0x0900], "little"), answer.get(0x0902, b"").decode().strip()


def free(disk: Path) -> int:
    return shutil.disk_usage(disk).free


def fill(disk: Path, leave: int) -> Path:
    """A file of somebody else that leaves only so many bytes free."""
    ballast = disk / "ballast"
    with ballast.open("ab") as file:
        while (room := free(disk) - leave) > 0:
            try:
                file.write(bytes(min(room, MIB)))
                file.flush()
            except OSError:
                break
    return ballast


def test_a_disk_that_fills_refuses_before_it_is_full_and_recovers_by_itself(
    on_disk: RunningArchive, disk: Path, tmp_path: Path
) -> None:
    """A700 at the reserve; reading, logins and the audit go on; room brings it back, no restart."""
    archive = on_disk
    archive.start()
    ballast = fill(disk, (RESERVE_MIB + 8) * MIB)
    statuses = []
    while (outcome := store(archive))[0] == 0 and len(statuses) < 100:
        statuses.append(outcome)
    assert len(statuses) >= 5
    assert outcome[0] == 0xA700
    assert "reserve" in outcome[1]
    assert free(disk) > (RESERVE_MIB - 2) * MIB

    assert [store(archive)[0] for _ in range(10)] == [0xA700] * 10
    # Where there is no room for a large object, there is none to find out that it is unusable.
    unusable = [store(archive, SOPClassUID=None)[0] for _ in range(5)]
    assert unusable == [0xA700] * 5
    assert free(disk) > (RESERVE_MIB - 4) * MIB, "what is refused fills the disk"

    assert len(check_whole(archive, tmp_path / "while full")) == len(statuses)
    records = run(archive, "audit", "list", "--json").json
    failed = [r for r in records if r["outcome"] == "failure" and "reserve" in r["detail"]]
    assert len(failed) == 16

    pid = archive.pid
    ballast.unlink()
    assert store(archive) == (0, "")
    assert archive.pid == pid
    assert len(check_whole(archive, tmp_path / "after")) == len(statuses) + 1


def test_a_disk_without_a_byte_left_loses_nothing_and_recovers_by_itself(
    on_disk: RunningArchive, disk: Path, tmp_path: Path
) -> None:
    """Somebody else took the reserve too: refused, no crash, all well once there is room."""
    archive = on_disk
    archive.start()
    assert store(archive) == (0, "")
    ballast = fill(disk, 0)
    for _ in range(3):
        assert store(archive)[0] == 0xA700
    assert store(archive, SOPClassUID=None)[0] in (0xC000, 0xA700)
    status = finished(in_background(archive, "status"))
    assert "Traceback" not in status.err
    assert archive.process is not None
    assert archive.process.poll() is None
    ballast.unlink()
    assert store(archive) == (0, "")
    assert len(check_whole(archive, tmp_path / "out")) == 2


def test_an_import_onto_a_full_disk_fails_and_can_be_repeated(
    on_disk: RunningArchive, disk: Path, tmp_path: Path
) -> None:
    archive = on_disk
    archive.start()
    folder = tmp_path / "offer"
    folder.mkdir()
    for number in range(12):
        dataset = make_dataset(InstanceNumber=number)
        dataset.add_new(0xFFFCFFFC, "OB", bytes(MIB))
        (folder / f"{number:02}.dcm").write_bytes(part10_bytes(dataset))
    ballast = fill(disk, (RESERVE_MIB + 6) * MIB)
    result = finished(in_background(archive, "import", str(folder)))
    assert result.code == 1
    assert "reserve" in result.err
    ballast.unlink()
    told = run(archive, "import", str(folder), "--json").json
    assert told["stored"] + told["duplicate"] == 12
    assert told["duplicate"] >= 3
    assert len(check_whole(archive, tmp_path / "out")) == 12


def test_a_disk_that_may_only_be_read_is_named(on_disk: RunningArchive, disk: Path) -> None:
    """The daemon does not come up, says why in one line, and comes up once it may write."""
    remount = ["mount", "-o", "remount,ro", str(disk)]
    if subprocess.run(remount, capture_output=True, check=False).returncode:
        pytest.skip("no right to remount")
    process = on_disk.spawn()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert str(disk).encode() in said
    assert b"Traceback" not in said
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    on_disk.start()
    assert store(on_disk) == (0, "")


def serve(archive: RunningArchive) -> tuple[int, str]:
    """``tuipacs serve`` that must not come up: (exit code, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "tuipacs", "--archive", str(archive.paths.root), "serve"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_second_serve_names_the_first(running_archive: ArchiveFactory) -> None:
    archive = running_archive()
    code, said = serve(archive)
    assert code == 1
    assert f"another daemon (pid {archive.pid}) owns this archive" in said
    assert "Traceback" not in said
    assert store(archive, size=0) == (0, "")


def test_serve_on_a_taken_port_says_which(running_archive: ArchiveFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        archive = running_archive(start=False, port=port)
        code, said = serve(archive)
    assert code == 1
    assert f"port {port} is in use" in said
    assert "Traceback" not in said
    archive.start()
    assert store(archive, size=0) == (0, "")


def test_wrong_passwords_wait_longer_and_longer(running_archive: ArchiveFactory) -> None:
    """Exit code 1 while it is only wrong, 3 with the seconds to wait once it is too often."""
    archive = running_archive()
    archive.add_user("vera", Role.VIEWER)
    wrong = "not the right words"
    results: list[Result] = []
    while len(results) < 10 and (not results or results[-1].code == 1):  # the delay doubles
        results.append(finished(in_background(archive, "find", user="vera", password=wrong)))
    assert len(results) >= 4
    assert results[-1].code == 3
    assert "user or password is wrong" in results[0].err
    assert "too many wrong passwords: wait" in results[-1].err
    assert all(wrong not in result.err for result in results)
    right = finished(in_background(archive, "find", user="vera"))
    assert right.code in (0, 3)  # the delay holds for the right password too, if it still runs
    assert finished(in_background(archive, "find")).code == 0, "another account has to wait too"
    unknown = finished(in_background(archive, "find", user="nobody", password="some words"))
    assert unknown.err == results[0].err


def test_a_disabled_user_is_out_at_once(running_archive: ArchiveFactory) -> None:
    """Open sessions end, a new login fails with the words of a wrong password; enabling helps."""
    archive = running_archive()
    vera = archive.add_user("vera", Role.VIEWER)
    vera.call(operations.FIND, FindRequest())
    run(archive, "user", "disable", "vera")
    with pytest.raises(AuthenticationError):
        vera.call(operations.FIND, FindRequest())
    refused = finished(in_background(archive, "find", user="vera"))
    assert refused.code == 1
    assert "the account is disabled" in refused.err
    run(archive, "user", "enable", "vera")
    assert finished(in_background(archive, "find", user="vera", password=PASSWORD)).code == 0


def test_listeners_of_a_killed_daemon_are_told_and_can_come_back(
    running_archive: ArchiveFactory,
) -> None:
    """An event stream ends with the error that clients show; a session outlives the daemon."""
    archive = running_archive()
    connection = archive.connect()
    events = connection.events()
    next(events)
    timer = threading.Timer(0.3, archive.kill)
    timer.start()
    with pytest.raises(DaemonUnreachableError) as told:
        for _ in events:
            pass
    timer.join()
    assert told.value.message == "the archive broke off its answer"
    archive.start()
    assert next(connection.events()).session == "active"


def test_commands_without_a_daemon_say_so_and_work_again_after_a_start(
    running_archive: ArchiveFactory,
) -> None:
    archive = running_archive()
    archive.kill()
    result = finished(in_background(archive, "find"))
    assert (result.code, result.out) == (3, "")
    assert "no archive is running there" in result.err
    assert "tuipacs serve" in result.err
    assert "Traceback" not in result.err
    archive.start()
    assert finished(in_background(archive, "find")).code == 0


def test_an_export_whose_daemon_dies_leaves_whole_files_only(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """Exit code 3, a message, and no half file under a final name."""
    archive = running_archive()
    study = make_dataset().StudyInstanceUID
    for number in range(30):
        assert store(archive, StudyInstanceUID=study, InstanceNumber=number)[0] == 0
    command = in_background(archive, "export", str(study), "--to", str(tmp_path / "out"))
    first = tmp_path / "out" / "ST000001" / "SE000001" / "IM000001.dcm"
    while not first.exists() and command.poll() is None:
        os.sched_yield()
    archive.kill()
    result = finished(command)
    assert result.code == 3, "it was over before the daemon died"
    assert "were exported before this" in result.err
    assert "Traceback" not in result.err
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".dcm"}
    assert {path.stat().st_size for path in left} == {first.stat().st_size}
