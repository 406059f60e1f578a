"""Making and keeping the archive folder private."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from tuipacs.bootstrap import create_archive
from tuipacs.config import Config, load_config
from tuipacs.errors import ConfigError, ConflictError, StorageFailedError, UsageError
from tuipacs.folder import group_id, prepare_folder, write_private
from tuipacs.paths import ArchivePaths
from tuipacs.services.password_hash import PasswordHasher

PASSWORD = "four clear words together"


def create(paths: ArchivePaths, password: str = PASSWORD) -> None:
    hasher = PasswordHasher(memory_kib=64, iterations=1)
    create_archive(paths, Config(), "ada", password, hasher=hasher)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_archive_is_complete_and_private(tmp_path: Path) -> None:
    paths = ArchivePaths(tmp_path / "deep" / "archive")
    create(paths)
    assert paths.exists
    assert load_config(paths.config) == Config()
    assert mode(paths.root) == 0o700
    assert mode(paths.config) == mode(paths.index) == 0o600


def test_an_archive_is_never_made_twice(tmp_path: Path) -> None:
    paths = ArchivePaths(tmp_path / "a")
    create(paths)
    before = paths.index.read_bytes()
    with pytest.raises(ConflictError, match=r"an archive in .* already"):
        create(paths)
    assert paths.index.read_bytes() == before


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    """Somebody's home folder, or an archive whose settings file was lost: never touched."""
    (tmp_path / "index.sqlite").write_text("precious")
    tmp_path.chmod(0o755)
    with pytest.raises(ConflictError, match="not empty"):
        create(ArchivePaths(tmp_path))
    assert (tmp_path / "index.sqlite").read_text() == "precious"
    assert mode(tmp_path) == 0o755


def test_a_failed_attempt_can_be_repeated(tmp_path: Path) -> None:
    paths = ArchivePaths(tmp_path / "a")
    with pytest.raises(UsageError):
        create(paths, password="short")
    assert not paths.exists
    create(paths)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailedError, match="cannot be made: Not a directory"):
        create(ArchivePaths(tmp_path / "file" / "archive"))


def test_a_folder_that_was_opened_is_closed_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    prepare_folder(ArchivePaths(tmp_path), "")
    assert mode(tmp_path) == 0o700


def test_a_socket_group_may_pass_and_not_look(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    prepare_folder(ArchivePaths(tmp_path), group)
    assert mode(tmp_path) == 0o710
    assert tmp_path.stat().st_gid == group_id(group)


def test_an_unknown_group_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-group"):
        prepare_folder(ArchivePaths(tmp_path), "no-such-group")


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "archive.toml"
    path.with_name("archive.toml.part").write_text("left by a crash")
    write_private(path, "new\n")
    assert path.read_text() == "new\n"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["archive.toml"]
