"""The reserve of the disk is left alone by one large object as by many small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuipacs.errors import StorageFullError
from tuipacs.storage.local import LocalStore

MIB = 1 << 20
HEADER = bytes(132)


class SmallDisk(LocalStore):
    """A disk with 60 MiB free before anything is written, of which 20 are the reserve."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(folder, reserve=20 * MIB, fsync=lambda _: None)

    def free(self) -> tuple[int, int]:
        used = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return 60 * MIB - used, 60 * MIB


@pytest.mark.parametrize("piece", [MIB, 50 * MIB], ids=["in pieces", "at once"])
def test_an_object_that_grows_into_the_reserve_is_given_up(tmp_path: Path, piece: int) -> None:
    """A ZIP of a few megabytes can hold gigabytes, and the index needs room meanwhile."""
    store = SmallDisk(tmp_path / "objects")
    spool = store.spool(HEADER)
    chunk = memoryview(bytes(piece))
    with pytest.raises(StorageFullError, match="reserve"):
        for _ in range(56 * MIB // piece):
            spool.write(chunk)
    assert store.free()[0] >= 4 * MIB  # it looks every 16 MiB
    spool.discard()
    assert store.failure == ""
    store.spool(HEADER).discard()


def test_an_object_that_fits_above_the_reserve_is_kept(tmp_path: Path) -> None:
    store = SmallDisk(tmp_path / "objects")
    spool = store.spool(HEADER)
    spool.write(memoryview(bytes(30 * MIB)))
    assert spool.keep().dataset_size == 30 * MIB


def test_many_objects_at_once_leave_the_reserve_alone_too(tmp_path: Path) -> None:
    """None of them writes enough for the free space to be looked at on its account."""
    store = SmallDisk(tmp_path / "objects")
    spools = [store.spool(HEADER) for _ in range(8)]
    chunk = memoryview(bytes(MIB))
    with pytest.raises(StorageFullError, match="reserve"):
        for _ in range(12):
            for spool in spools:
                spool.write(chunk)
    assert store.free()[0] >= 4 * MIB
    refused = 0
    for spool in spools:
        try:
            spool.write(chunk)
        except StorageFullError:
            refused += 1
    assert refused == 8  # each of them hears of it, and not one in sixteen
    for spool in spools:
        spool.discard()
    store.spool(HEADER).discard()
