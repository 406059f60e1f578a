"""Objects on the disk: durable before anyone is told, whole or not there, and nobody else's."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuipacs.domain.blob import StoredBlob
from tuipacs.errors import (
    NotFoundError,
    StorageFailedError,
    StorageFullError,
    TuipacsError,
    UnavailableError,
)
from tuipacs.storage.local import LocalStore

HEADER = b"\0" * 128 + b"DICM" + b"meta"
NOTHING: Callable[[int], None] = lambda descriptor: None  # noqa: E731


class Fsyncs:
    """Stands for `os.fsync`: writes down what was made durable, and fails as told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at: dict[int, OSError] = {}
        self.last = ""

    def __call__(self, descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        self.calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        if error := self.fail_at.get(len(self.calls)):
            raise error
        self.last = path


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects", reserve=0, fsync=NOTHING)


def keep(store: LocalStore, data: bytes, header: bytes = HEADER) -> StoredBlob:
    spool = store.spool(header)
    try:
        spool.write(data)
    except TuipacsError:
        spool.discard()
        raise
    return spool.keep()


def names(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_what_was_kept_comes_back_byte_for_byte(store: LocalStore) -> None:
    spool = store.spool(HEADER)
    for chunk in (b"abc", memoryview(b"def"), b""):
        spool.write(chunk)
    assert spool.digest() == hashlib.sha256(b"abcdef").digest()
    with spool.view() as seen:
        assert bytes(seen) == b"abcdef"
    blob = spool.keep()
    with store.open(blob.key) as file:
        assert file.read() == HEADER + b"abcdef"
    assert store.path(blob.key).read_bytes() == HEADER + b"abcdef"
    assert (blob.header_size, blob.dataset_size) == (len(HEADER), 6)
    assert blob.header_sha256 == hashlib.sha256(HEADER).digest()
    assert blob.dataset_sha256 == hashlib.sha256(b"abcdef").digest()


def test_an_object_without_bytes_can_be_looked_at(store: LocalStore) -> None:
    spool = store.spool(b"")
    with spool.view() as seen:
        assert bytes(seen) == b""
    spool.discard()


def test_files_and_folders_are_for_the_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = LocalStore(tmp_path / "objects", reserve=0)
        spool = store.spool(HEADER)
        (part,) = (tmp_path / "objects").rglob("*.part")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        path = store.path(spool.keep().key)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_file_then_folder_are_made_durable_before_keep_returns(tmp_path: Path) -> None:
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsyncs)
    assert fsyncs.calls == ["folder"]  # the parent, which has a new name
    spool = store.spool(HEADER)
    assert fsyncs.calls == ["folder", "folder"]  # a new volume's parent
    spool.write(b"abc")
    blob = spool.keep()
    assert fsyncs.calls[2:] == ["file", "folder"]
    assert fsyncs.last == str(store.path(blob.key).parent)
    keep(store, b"def")
    assert fsyncs.calls[4:] == ["file", "folder"]


def test_nothing_has_its_name_before_its_bytes_are_durable(tmp_path: Path) -> None:
    """The order: fsync of the .part file, only then the rename."""
    seen: list[list[str]] = []

    def fsync(descriptor: int) -> None:
        seen.append([name[-5:] == ".part" for name in names(tmp_path / "objects")])  # type: ignore[misc]

    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsync)
    keep(store, b"abc")
    assert seen[-2:] == [[True], [False]]


def test_an_unfinished_object_is_swept_and_a_finished_one_is_not(
    store: LocalStore, tmp_path: Path
) -> None:
    spool = store.spool(HEADER)
    spool.write(b"half")
    blob = keep(store, b"whole")
    again = LocalStore(tmp_path / "objects", reserve=0, fsync=NOTHING)
    assert again.sweep() == 1
    assert again.sweep() == 0
    assert names(tmp_path / "objects") == [blob.key]
    assert list(again.recent()) == [blob.key]


@pytest.mark.parametrize("at", [1, 2], ids=["of the file", "of the folder"])
def test_after_a_failed_fsync_nothing_is_stored_any_more(tmp_path: Path, at: int) -> None:
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsyncs)
    earlier = keep(store, b"earlier")
    fsyncs.fail_at[len(fsyncs.calls) + at] = OSError(errno.EIO, "Input/output error")
    with pytest.raises(StorageFailedError, match="Input/output error"):
        keep(store, b"lost")
    assert names(tmp_path / "objects") == [earlier.key]
    assert "Input/output error" in store.failure
    calls = len(fsyncs.calls)
    with pytest.raises(StorageFailedError, match="read-only") as refused:
        store.spool(HEADER)
    assert refused.value.remedy
    assert len(fsyncs.calls) == calls  # never tried again
    with store.open(earlier.key) as file:
        assert file.read().endswith(b"earlier")


def test_the_first_reason_for_stopping_stays(store: LocalStore) -> None:
    store.fail("the first")
    store.fail("the second")
    assert store.failure == "the first"


def test_what_was_begun_before_the_failure_of_another_may_end(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=NOTHING)
    spool = store.spool(HEADER)
    store.fail("broken")
    spool.discard()
    assert names(tmp_path / "objects") == []


def test_a_full_disk_at_fsync_is_no_broken_disk(tmp_path: Path) -> None:
    """Delayed allocation: some file systems tell only here that there is no room."""
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsyncs)
    keep(store, b"first")
    for number in (errno.ENOSPC, errno.EDQUOT):
        fsyncs.fail_at = {len(fsyncs.calls) + 1: OSError(number, os.strerror(number))}
        with pytest.raises(StorageFullError):
            keep(store, b"abc")
    assert store.failure == ""
    keep(store, b"def")
    assert len(names(tmp_path / "objects")) == 2


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_too_many_open_files_do_not_stop_the_archive(tmp_path: Path, number: int) -> None:
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsyncs)
    fsyncs.fail_at[2] = OSError(number, os.strerror(number))
    with pytest.raises(UnavailableError) as refused:
        store.spool(HEADER)
    assert not isinstance(refused.value, StorageFailedError)
    assert store.failure == ""
    keep(store, b"abc")


def test_running_out_of_descriptors_for_real_passes(store: LocalStore) -> None:
    kept = keep(store, b"first")
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
            if len(held) > 100_000:
                pytest.skip("this machine has no limit on open files")
    except OSError:
        with pytest.raises(UnavailableError):
            store.spool(HEADER)
        with pytest.raises(UnavailableError) as busy:
            store.open(kept.key)
        assert not isinstance(busy.value, StorageFailedError)  # says nothing about the object
    finally:
        for descriptor in held:
            os.close(descriptor)
    keep(store, b"second")


def test_a_new_volume_that_found_the_disk_full_is_made_later(tmp_path: Path) -> None:
    """It was made, its name was not durable: the next object comes to it again."""
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=fsyncs)
    fsyncs.fail_at[2] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageFullError):
        store.spool(HEADER)
    blob = keep(store, b"abc")
    assert blob.key.startswith("000001/")
    assert fsyncs.calls[2] == "folder"


def test_below_the_reserve_nothing_is_begun_and_reading_goes_on(tmp_path: Path) -> None:
    blob = keep(LocalStore(tmp_path / "objects", reserve=0), b"abc")
    store = LocalStore(tmp_path / "objects", reserve=1 << 62)
    with pytest.raises(StorageFullError, match="reserve"):
        store.spool(HEADER)
    assert names(tmp_path / "objects") == [blob.key]
    assert store.failure == ""
    with store.open(blob.key) as file:
        assert file.read() == HEADER + b"abc"


def test_a_discarded_object_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    spool = store.spool(HEADER)
    spool.write(b"abc")
    spool.discard()
    spool.discard()
    assert names(tmp_path / "objects") == []


def test_discarding_what_was_kept_removes_it(store: LocalStore, tmp_path: Path) -> None:
    spool = store.spool(HEADER)
    spool.keep()
    spool.discard()
    assert names(tmp_path / "objects") == []


def test_no_existing_file_is_ever_replaced(store: LocalStore) -> None:
    spool = store.spool(HEADER)
    final = Path(spool._final)
    final.write_bytes(b"was here before")
    with pytest.raises(StorageFailedError):
        spool.keep()
    assert final.read_bytes() == b"was here before"
    assert store.failure


def test_descriptors_are_given_back(store: LocalStore) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    keep(store, b"abc")
    spool = store.spool(HEADER)
    with spool.view():
        pass
    spool.discard()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_volume_takes_so_many_files_and_no_more(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=3, fsync=NOTHING)
    keys = [keep(store, bytes([i])).key for i in range(7)]
    assert [key.partition("/")[0] for key in keys] == ["000001"] * 3 + ["000002"] * 3 + ["000003"]
    again = LocalStore(root, reserve=0, volume_files=3, fsync=NOTHING)
    more = [keep(again, bytes([i])).key.partition("/")[0] for i in range(3)]
    assert more == ["000003", "000003", "000004"]


def test_recovery_looks_at_the_newest_volumes_only(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=0, volume_files=1, fsync=NOTHING)
    keys = [keep(store, bytes([i])).key for i in range(5)]
    (store.path(keys[-1]).parent / "README").write_text("not an object")
    assert sorted(store.recent()) == sorted(keys[2:])


@pytest.mark.parametrize("others", [2, 3, 4, 40])
def test_a_slow_object_is_swept_after_however_many_others(tmp_path: Path, others: int) -> None:
    """It began, many volumes of others came and went, then the power was cut."""
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    slow, slower = store.spool(HEADER), store.spool(HEADER)
    slow.discard()
    slower.write(b"half")
    kept = [keep(store, bytes([i])).key for i in range(others)]
    again = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    assert again.sweep() == 1
    assert not list(root.rglob("*.part"))
    again.settled()
    assert names(root) == sorted(kept)
    assert len(list(LocalStore(root, reserve=0, fsync=NOTHING).recent())) <= 3


def test_a_slow_object_that_was_just_kept_is_found_in_its_old_volume(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    keep(store, b"before it")
    slow = store.spool(HEADER)
    others = [keep(store, bytes([i])).key for i in range(20)]
    key = slow.keep().key
    again = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    assert list(again.recent()) == [key, *others]


def test_how_far_back_a_start_has_to_look_is_durable_before_it_counts(tmp_path: Path) -> None:
    fsyncs = Fsyncs()
    store = LocalStore(tmp_path / "objects", reserve=0, volume_files=1, fsync=fsyncs)
    slow = store.spool(HEADER)
    keep(store, b"a")
    before = len(fsyncs.calls)
    fsyncs.fail_at[before + 1] = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageFullError):
        store.spool(HEADER)
    assert not (tmp_path / "objects" / "000003").exists()
    store.spool(HEADER).discard()
    assert fsyncs.calls[before:] == ["file", "file", "folder"]
    slow.discard()


def test_without_slow_objects_nothing_has_to_be_noted(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=2, fsync=NOTHING)
    kept = []
    for number in range(20):
        other = store.spool(HEADER)
        kept.append(keep(store, bytes([number])).key)
        other.discard()
    assert names(root) == kept


def test_a_note_that_cannot_be_read_makes_a_start_look_everywhere(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    keys = [keep(store, bytes([i])).key for i in range(5)]
    (root / "recent-from").write_bytes(b"\0\0")
    again = LocalStore(root, reserve=0, volume_files=1, fsync=NOTHING)
    assert list(again.recent()) == keys


def test_what_is_set_aside_is_no_object_and_is_not_destroyed(
    store: LocalStore, tmp_path: Path
) -> None:
    blob = keep(store, b"abc")
    store.set_aside(blob.key)
    store.set_aside(blob.key)  # by two at once
    with pytest.raises(NotFoundError):
        store.open(blob.key)
    assert list(store.recent()) == []
    assert names(tmp_path / "objects") == [f"{blob.key}.damaged"]
    assert (tmp_path / "objects" / f"{blob.key}.damaged").read_bytes() == HEADER + b"abc"
    (tmp_path / "objects" / blob.key).write_bytes(b"another")
    with pytest.raises(StorageFailedError, match="one lies there"):
        store.set_aside(blob.key)


def test_many_threads_never_share_a_name(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=0, volume_files=10, fsync=NOTHING)
    keys: list[str] = []

    def work(number: int) -> None:
        keys.extend(keep(store, bytes([number, i])).key for i in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 160
    (tmp_path / "objects" / "recent-from").unlink(missing_ok=True)  # if one of them was slow
    assert names(tmp_path / "objects") == sorted(keys)
    assert all(len(list(v.iterdir())) == 10 for v in (tmp_path / "objects").iterdir())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../../etc/passwd",
        "000001/../../x",
        "000001/" + "0" * 31,
        "000001/" + "0" * 33,
        "000001/" + "G" * 32,
        "000001/" + "A" * 32,
        "/000001/" + "0" * 32,
        "000001/" + "0" * 32 + "\n",
        "000001/" + "0" * 32 + ".part",
        "00001/" + "0" * 32,
    ],
)
def test_what_is_no_key_is_never_a_path(store: LocalStore, key: str) -> None:
    for use in (store.open, store.path, store.remove):
        with pytest.raises(NotFoundError):
            use(key)


def test_a_missing_object_is_said_to_be_missing(store: LocalStore) -> None:
    key = "000001/" + "0" * 32
    for use in (store.open, store.path):
        with pytest.raises(NotFoundError, match="missing"):
            use(key)


def test_removing_twice_is_no_error(store: LocalStore, tmp_path: Path) -> None:
    blob = keep(store, b"abc")
    store.remove(blob.key)
    store.remove(blob.key)
    assert names(tmp_path / "objects") == []


def test_what_cannot_be_read_or_removed_is_said_in_words(store: LocalStore, tmp_path: Path) -> None:
    blob = keep(store, b"abc")
    path = store.path(blob.key)
    path.unlink()
    path.mkdir()  # no file any more
    with pytest.raises(StorageFailedError, match="opening a stored file failed"):
        store.open(blob.key)
    with pytest.raises(StorageFailedError, match="removing a file failed"):
        store.remove(blob.key)


def test_a_place_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailedError, match="Not a directory"):
        LocalStore(tmp_path / "file" / "objects", reserve=0)


def test_a_lost_folder_stops_storing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=NOTHING)
    blob = keep(store, b"abc")
    path = store.path(blob.key)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(StorageFailedError, match="creating a file"):
        store.spool(HEADER)
    assert store.failure


def test_a_disk_that_does_not_answer_is_no_full_disk(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects", reserve=0, fsync=NOTHING)
    (tmp_path / "objects").rmdir()
    with pytest.raises(StorageFailedError, match="free space"):
        store.spool(HEADER)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_nothing_and_recovers_by_itself(small_disk: Path) -> None:
    store = LocalStore(small_disk / "objects", reserve=0)
    kept: list[StoredBlob] = []
    with pytest.raises(StorageFullError):
        while True:
            kept.append(keep(store, os.urandom(30_000)))
    assert kept
    assert names(small_disk / "objects") == sorted(blob.key for blob in kept)
    assert store.failure == ""
    for blob in kept:
        with store.open(blob.key) as file:
            file.read(blob.header_size)
            assert hashlib.sha256(file.read()).digest() == blob.dataset_sha256
    store.remove(kept.pop().key)
    kept.append(keep(store, b"room again"))
    assert len(names(small_disk / "objects")) == len(kept)


def test_a_header_that_finds_no_room_leaves_nothing(small_disk: Path) -> None:
    store = LocalStore(small_disk / "objects", reserve=0)
    with pytest.raises(StorageFullError):
        store.spool(bytes(400_000))
    assert names(small_disk / "objects") == []


def test_all_refusals_are_errors_of_ours() -> None:
    assert issubclass(StorageFullError, TuipacsError)
