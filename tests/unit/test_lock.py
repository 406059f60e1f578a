"""The archive's lock: one owner, freed by the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuipacs.errors import ConflictError, StorageFailedError
from tuipacs.lock import ArchiveLock


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    with (
        ArchiveLock(path),
        pytest.raises(ConflictError, match=rf"another daemon \(pid {os.getpid()}\)"),
    ):
        ArchiveLock(path)
    ArchiveLock(path).close()


def test_what_a_dead_owner_left_in_the_file_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    path.write_text("4194304999\n")
    with ArchiveLock(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_garbage_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    with ArchiveLock(path):
        path.write_bytes(b"\x1b]52;c;evil\x07")
        with pytest.raises(ConflictError, match="another daemon owns"):
            ArchiveLock(path)


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A decoder that outlives a killed daemon must not keep the next one out."""
    path = tmp_path / "daemon.lock"
    lock = ArchiveLock(path)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    try:
        lock.close()
        ArchiveLock(path).close()
    finally:
        child.communicate(b"\n")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFailedError):
        ArchiveLock(path)
    assert not (tmp_path / "elsewhere").exists()


def test_removing_the_lock_file_lets_no_second_daemon_in(tmp_path: Path) -> None:
    """Somebody takes it for stale."""
    path = tmp_path / "daemon.lock"
    with ArchiveLock(path):
        path.unlink()
        with pytest.raises(ConflictError, match="another daemon owns"):
            ArchiveLock(path)
    ArchiveLock(path).close()
