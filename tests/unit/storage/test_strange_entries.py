"""What is no plain file in the place of an object is neither followed nor waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tuipacs.errors import StorageFailedError
from tuipacs.storage.local import LocalStore

Plant = Callable[[Path], None]


def _link(path: Path) -> None:
    (path.parent.parent.parent / "elsewhere").write_bytes(b"nobody's business")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [_link, _fifo, _folder])
def test_a_strange_entry_is_no_object(tmp_path: Path, plant: Plant) -> None:
    """A FIFO used to keep the daemon from starting, without a word."""
    store = LocalStore(tmp_path / "objects", reserve=0)
    spool = store.spool(b"head")
    spool.write(b"data")
    blob = spool.keep()
    planted = f"{blob.key.partition('/')[0]}/{'a' * 32}"
    plant(tmp_path / "objects" / planted)
    assert list(store.recent()) == [blob.key]
    with pytest.raises(StorageFailedError):
        store.open(planted)
    with store.open(blob.key) as file:
        assert file.read() == b"headdata"
