"""A client does not talk to a socket that somebody else may have put there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuipacs.client import wire
from tuipacs.errors import DaemonUnreachableError
from tuipacs.paths import SHARED_FOLDER, ArchivePaths


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder where anybody may make one."""
    with tempfile.TemporaryDirectory(dir=SHARED_FOLDER, prefix="tuipacs-test-") as folder:
        yield Path(folder)


def test_a_private_folder_of_ours_is_trusted(shared: Path) -> None:
    wire.check_socket(shared / "a.sock")


def test_a_folder_that_others_may_write_is_a_trap(shared: Path) -> None:
    shared.chmod(0o777)
    with pytest.raises(DaemonUnreachableError, match="not a private folder"):
        wire.check_socket(shared / "a.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_a_trap(shared: Path) -> None:
    os.chown(shared, 65534, 65534)
    with pytest.raises(DaemonUnreachableError, match="not a private folder"):
        wire.check_socket(shared / "a.sock")
    os.chown(shared, 0, 0)


def test_a_link_is_a_trap(shared: Path) -> None:
    link = SHARED_FOLDER / f"{shared.name}-link"
    link.symlink_to(shared)
    try:
        with pytest.raises(DaemonUnreachableError, match="not a private folder"):
            wire.check_socket(link / "a.sock")
    finally:
        link.unlink()


def test_a_long_archive_path_leads_to_such_a_folder(tmp_path: Path) -> None:
    assert ArchivePaths(tmp_path / ("x" * 120)).socket.parent.parent == SHARED_FOLDER
