"""Quarantine: what could not be kept is set aside, within bounds, and never in anybody's way."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tuipacs.errors import StorageFailedError
from tuipacs.storage.quarantine import Quarantine


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bytes_and_reason_lie_beside_each_other(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q")
    name = quarantine.put(memoryview(b"bytes"), "no SOP Instance UID \udcff")
    assert contents(tmp_path / "q") == {
        f"{name}.bin": b"bytes",
        f"{name}.txt": b"no SOP Instance UID ?\n",
    }
    assert quarantine.count() == 1


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        name = Quarantine(tmp_path / "q").put(b"bytes", "why")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "q").stat().st_mode) == 0o700
    for suffix in ("bin", "txt"):
        assert stat.S_IMODE((tmp_path / "q" / f"{name}.{suffix}").stat().st_mode) == 0o600


def test_the_oldest_give_way_when_there_are_too_many(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q", max_files=3)
    made = []
    for number in range(5):
        made.append(quarantine.put(bytes([number]), "why"))
        os.utime(tmp_path / "q" / f"{made[-1]}.bin", (number, number))
    assert quarantine.count() == 3
    assert set(contents(tmp_path / "q")) == {
        f"{name}.{suffix}" for name in made[2:] for suffix in ("bin", "txt")
    }


def test_the_oldest_give_way_when_they_are_too_large(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q", max_bytes=100)
    made = []
    for number in range(4):
        made.append(quarantine.put(bytes(40), "why"))
        os.utime(tmp_path / "q" / f"{made[-1]}.bin", (number, number))
    assert {name[:-4] for name in contents(tmp_path / "q")} == set(made[2:])


def test_one_object_cannot_push_all_others_out(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q", max_bytes=100)
    quarantine.put(bytes(50), "why")
    assert quarantine.put(bytes(51), "why") == ""
    assert quarantine.count() == 1


def test_the_reserve_of_the_disk_is_not_for_quarantine(tmp_path: Path) -> None:
    assert Quarantine(tmp_path / "q", reserve=1 << 62).put(b"bytes", "why") == ""
    assert contents(tmp_path / "q") == {}


def test_a_full_disk_leaves_no_half_file_and_raises_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        quarantine = Quarantine(folder / "q", reserve=-(1 << 40))
        assert quarantine.put(bytes(100_000), "why") == ""
        assert contents(folder / "q") == {}
        assert quarantine.put(bytes(1000), "why")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_has_vanished_raises_nothing(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q")
    (tmp_path / "q").rmdir()
    assert quarantine.put(b"bytes", "why") == ""


def test_a_place_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailedError, match="quarantine"):
        Quarantine(tmp_path / "file" / "q")
