"""Known bytes whose file is lost are kept anew when they come again: a row alone is no picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tests.unit.services.parts import Parts, opened, received, take
from tuipacs.domain.ingest import IngestResult
from tuipacs.errors import StorageFullError
from tuipacs.storage.local import LocalStore

Send = Callable[[Parts, Dataset], IngestResult]


def _peer(parts: Parts, dataset: Dataset) -> IngestResult:
    return take(parts.ingest, received(dataset, calling_ae_title="ANOTHER_MODALITY"))


def _file(parts: Parts, dataset: Dataset) -> IngestResult:
    return parts.bring(part10_bytes(dataset))


def _bare_file(parts: Parts, dataset: Dataset) -> IngestResult:
    return parts.bring(dataset_bytes(dataset))


def _unlink(path: Path) -> None:
    path.unlink()


def _flip(at: int) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return flip


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = {
    "missing": _unlink,
    "last byte": _flip(-1),
    "preamble": _flip(3),
    "cut": _cut,
    "empty": _empty,
    "longer": _grow,
    "a link": _link,
    "a folder": _folder,
}


def the_file(parts: Parts) -> Path:
    """The one file that the one instance names, which has to be there."""
    ((key,),) = parts.rows("SELECT blob_key FROM instance")
    return parts.store.path(key)


def sizes_agree(parts: Parts) -> bool:
    ((size,),) = parts.rows("SELECT sum(header_size + dataset_size) FROM instance")
    found = [
        parts.rows(f"SELECT instances, bytes FROM {table}")  # noqa: S608
        for table in ("series", "study", "patient", "total", "modality_use")
    ]
    return found == [[(1, size)]] * 5


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("send", [_peer, _file, _bare_file])
def test_known_bytes_whose_file_is_not_whole_are_kept_anew(
    parts: Parts, send: Send, damage: str
) -> None:
    dataset = make_dataset(PatientID="P1")
    parts.send(dataset)
    ((row,),) = parts.rows("SELECT id FROM instance")
    before = the_file(parts)
    DAMAGE[damage](before)
    left = before.read_bytes() if before.is_file() and not before.is_symlink() else None
    assert send(parts, dataset) is IngestResult.STORED
    assert the_file(parts).read_bytes().endswith(dataset_bytes(dataset))
    assert parts.rows("SELECT id, version, flags FROM instance") == [(row, 1, 0)]
    assert sizes_agree(parts)
    assert parts.rows("SELECT kind, instance FROM change") == [("stored", row), ("restored", row)]
    assert parts.wakeups.versions.seq == 2
    key = str(before.relative_to(parts.folder / "objects"))
    record = parts.last_record()
    assert key in record.detail
    assert "kept anew" in record.detail
    assert (record.patient_id, record.sop_instance_uid) == ("P1", dataset.SOPInstanceUID)
    aside = before.with_name(f"{before.name}.damaged")
    if left is not None:  # whoever wants to know what happened finds what is left
        assert aside.read_bytes() == left
    assert send(parts, dataset) is IngestResult.DUPLICATE
    assert parts.ingest.recover() == (0, 0)
    assert sizes_agree(parts)


def test_a_large_object_is_kept_anew_too(parts: Parts) -> None:
    dataset = make_dataset(Rows=1024, Columns=1024)
    dataset.PixelData = os.urandom(2 << 20)
    parts.send(dataset)
    _flip(-1)(the_file(parts))
    assert parts.send(dataset) is IngestResult.STORED
    assert the_file(parts).read_bytes().endswith(dataset_bytes(dataset))
    assert parts.send(dataset) is IngestResult.DUPLICATE


def test_only_the_version_that_was_lost_is_kept_anew(parts: Parts) -> None:
    dataset = make_dataset(ImageComments="one")
    parts.send(dataset)
    dataset.ImageComments = "two"
    assert parts.send(dataset) is IngestResult.CONFLICT
    keys = [row[0] for row in parts.rows("SELECT blob_key FROM instance ORDER BY version")]
    parts.store.path(keys[1]).unlink()
    assert parts.send(dataset) is IngestResult.STORED
    after = [row[0] for row in parts.rows("SELECT blob_key FROM instance ORDER BY version")]
    assert after[0] == keys[0]
    assert parts.store.path(after[1]).read_bytes().endswith(dataset_bytes(dataset))
    assert len(parts.files()) == 2


def test_many_who_bring_the_lost_bytes_at_once_leave_one_file(parts: Parts) -> None:
    dataset = make_dataset()
    parts.send(dataset)
    _flip(-1)(the_file(parts))
    sent = received(dataset)

    def send(_: int) -> IngestResult:
        try:
            return take(parts.ingest, sent)
        finally:
            parts.index.close()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(send, range(8)))
    assert sorted(results) == [IngestResult.DUPLICATE] * 7 + [IngestResult.STORED]
    assert the_file(parts).read_bytes().endswith(sent.dataset)
    assert len([path for path in parts.files() if path.suffix != ".damaged"]) == 1
    assert sizes_agree(parts)


def test_a_crash_before_the_row_was_changed_is_made_good_at_start(parts: Parts) -> None:
    """The damaged file was set aside, the new one is there and has no row yet."""
    dataset = make_dataset()
    parts.send(dataset)
    path = the_file(parts)
    whole = path.read_bytes()
    _flip(-1)(path)
    parts.store.set_aside(str(path.relative_to(parts.folder / "objects")))
    size = len(dataset_bytes(dataset))
    spool = parts.store.spool(whole[:-size])
    spool.write(whole[-size:])
    spool.keep()
    assert parts.ingest.recover() == (1, 0)
    assert the_file(parts).read_bytes() == whole
    assert sizes_agree(parts)
    assert "kept anew" in parts.last_record().detail


def test_a_start_makes_good_what_a_slow_object_left_and_is_done_with_it(tmp_path: Path) -> None:
    """It was kept many volumes after it began, and the power went before its row was written."""
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=1, fsync=lambda _: None)
    with opened(tmp_path, store) as parts:
        slow, aborted = store.spool(b""), store.spool(b"")
        aborted.write(b"half")
        for _ in range(6):
            parts.send()
        slow.write(part10_bytes(make_dataset(PatientID="SLOW")))
        slow.keep()
    again = LocalStore(root, reserve=0, volume_files=1, fsync=lambda _: None)
    with opened(tmp_path, again) as parts:
        assert parts.ingest.recover() == (1, 1)
        assert parts.rows("SELECT count(*) FROM patient WHERE patient_id = 'SLOW'") == [(1,)]
        assert len(parts.files()) == 7  # nothing beside the objects: the next start is a short one


class Full(LocalStore):
    """A disk that is full when the test says so."""

    left = 1 << 40

    def free(self) -> tuple[int, int]:
        return self.left, 1 << 40


def test_lost_bytes_that_find_no_room_are_no_success(tmp_path: Path) -> None:
    store = Full(tmp_path / "objects", reserve=1 << 20, fsync=lambda _: None)
    with opened(tmp_path, store) as parts:
        dataset = make_dataset()
        parts.send(dataset)
        store.left = 0
        assert parts.send(dataset) is IngestResult.DUPLICATE  # its bytes are there
        the_file(parts).unlink()
        with pytest.raises(StorageFullError):
            parts.send(dataset)
        store.left = 1 << 40
        assert parts.send(dataset) is IngestResult.STORED
        assert the_file(parts).read_bytes().endswith(dataset_bytes(dataset))
