"""Objects on their way in: large ones lie on the disk while they come, and nothing stays behind."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from msgspec.structs import replace

from tests.builders import dataset_bytes, make_dataset
from tests.unit.services.parts import PEER, Parts, Sent, opened, received, take
from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import EXPLICIT_LE
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.ingest import IngestResult
from tuipacs.errors import (
    ForbiddenError,
    InvalidObjectError,
    StorageFailedError,
    StorageFullError,
    UidMismatchError,
)
from tuipacs.services.reception import IN_MEMORY, Reception
from tuipacs.storage.local import LocalStore


def object_of(size: int, **keywords: object) -> bytes:
    """A dataset of exactly ``size`` bytes (even)."""
    dataset = make_dataset(pixels=False, **keywords)  # type: ignore[arg-type]
    dataset.EncapsulatedDocument = b""
    bare = len(dataset_bytes(dataset))
    dataset.EncapsulatedDocument = os.urandom(size - bare)
    data = dataset_bytes(dataset)
    assert len(data) == size
    return data


def sent(data: bytes, **command: object) -> Sent:
    """As a peer sends it that names in the command what the dataset says."""
    own = read_attributes(data, EXPLICIT_LE).instance
    words = {"sop_class_uid": own.sop_class_uid, "sop_instance_uid": own.sop_instance_uid}
    return received(data, **(words | command))


def part_files(parts: Parts) -> list[Path]:
    return list((parts.folder / "objects").rglob("*.part"))


@pytest.mark.parametrize("size", [4000, IN_MEMORY - 2, IN_MEMORY, IN_MEMORY + 2, 3_000_000])
def test_objects_of_all_sizes_are_kept_byte_for_byte(parts: Parts, size: int) -> None:
    data = object_of(size)
    assert take(parts.ingest, sent(data), piece=100_001) is IngestResult.STORED
    (path,) = parts.files()
    ((header, length, digest),) = parts.rows(
        "SELECT header_size, dataset_size, dataset_sha256 FROM instance"
    )
    assert path.read_bytes()[header:] == data
    assert (length, digest) == (size, hashlib.sha256(data).digest())
    assert pydicom.dcmread(path).file_meta.SourceApplicationEntityTitle == "CT1"
    assert take(parts.ingest, sent(data)) is IngestResult.DUPLICATE
    assert parts.files() == [path]


def test_a_large_object_lies_on_the_disk_while_it_comes_and_a_small_one_does_not(
    parts: Parts,
) -> None:
    told = sent(object_of(3_000_000))
    reception = parts.ingest.receive(PEER, told.announced)
    reception.write(told.dataset[: IN_MEMORY - 1])
    assert part_files(parts) == []
    reception.write(told.dataset[IN_MEMORY - 1 : 2_000_000])
    (part,) = part_files(parts)
    assert part.read_bytes().endswith(told.dataset[1_999_000:2_000_000])
    reception.discard()
    reception.discard()
    assert part_files(parts) == parts.files() == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about the long UID
@pytest.mark.parametrize("size", [4000, 3_000_000])
def test_a_uid_that_was_cut_in_the_command_is_whole_in_the_file(parts: Parts, size: int) -> None:
    """DCMTK cuts UIDs of more than 64 characters in the command and sends the dataset as it is."""
    uid = "1.2." + "3" * 63
    data = object_of(size, SOPInstanceUID=uid)
    assert take(parts.ingest, sent(data, sop_instance_uid=uid[:64])) is IngestResult.STORED
    (path,) = parts.files()
    assert pydicom.dcmread(path).file_meta.MediaStorageSOPInstanceUID == uid
    assert part_files(parts) == []


def test_a_large_object_in_another_syntax_than_claimed_has_the_true_one_in_its_header(
    parts: Parts,
) -> None:
    data = object_of(1_000_000)
    told = sent(data, transfer_syntax_uid="1.2.840.10008.1.2")
    assert take(parts.ingest, told) is IngestResult.STORED
    (path,) = parts.files()
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert path.read_bytes().endswith(data)


@pytest.mark.parametrize("size", [4000, 3_000_000])
@pytest.mark.parametrize("uid", ["1.2.3", "no uid at all"])
def test_a_refused_object_lies_whole_in_quarantine(parts: Parts, size: int, uid: str) -> None:
    data = object_of(size)
    with pytest.raises(UidMismatchError):
        take(parts.ingest, sent(data, sop_instance_uid=uid))
    (kept,) = (parts.folder / "quarantine").glob("*.bin")
    assert kept.read_bytes() == data
    assert part_files(parts) == parts.files() == []
    assert parts.last_record().outcome is AuditOutcome.FAILURE


def test_bytes_that_are_no_dataset_are_refused_whatever_their_size(parts: Parts) -> None:
    for size in (0, 1000, 1_000_000):
        with pytest.raises(InvalidObjectError):
            take(parts.ingest, received(bytes(size), sop_class_uid="1.2", sop_instance_uid="1.2"))
    assert part_files(parts) == parts.files() == []


class Filling(LocalStore):
    """A disk whose free space is what the test says."""

    left = 1 << 40

    def free(self) -> tuple[int, int]:
        return self.left, 1 << 40


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[Parts]:
    store = Filling(tmp_path / "objects", reserve=1 << 20, fsync=lambda _: None)
    with opened(tmp_path, store) as parts:
        yield parts


@pytest.mark.parametrize("after", [0, 2 << 20], ids=["before it", "in the middle of it"])
def test_a_full_disk_is_told_at_the_end_of_the_object_and_leaves_nothing(
    filling: Parts, after: int
) -> None:
    """The peer cannot be told earlier (PS3.7 9.3.1): the rest is read and dropped."""
    assert isinstance(filling.store, Filling)
    told = sent(object_of(20 << 20))
    reception = filling.ingest.receive(PEER, told.announced)
    for start in range(0, len(told.dataset), 1 << 20):
        if start >= after:
            filling.store.left = 0
        reception.write(told.dataset[start : start + (1 << 20)])
    assert part_files(filling) == []  # given back at once, not when the peer is through
    with pytest.raises(StorageFullError):
        filling.ingest.store(PEER, reception)
    record = filling.last_record()
    assert (record.outcome, record.operation) == (AuditOutcome.FAILURE, "ingest.store")
    assert record.sop_instance_uid == told.announced.sop_instance_uid
    filling.store.left = 1 << 40
    assert take(filling.ingest, told) is IngestResult.STORED


def test_a_disk_that_fails_in_the_middle_of_an_object_stops_storing(parts: Parts) -> None:
    told = sent(object_of(1_000_000))
    reception = parts.ingest.receive(PEER, told.announced)
    reception.write(told.dataset[:500_000])
    spool = reception._spool
    assert spool is not None
    os.close(spool._descriptor)  # type: ignore[attr-defined]
    reception.write(told.dataset[500_000:])
    with pytest.raises(StorageFailedError, match=os.strerror(errno.EBADF)):
        parts.ingest.store(PEER, reception)
    assert parts.store.failure
    with pytest.raises(StorageFailedError, match="read-only"):
        take(parts.ingest, told)


def test_who_may_not_store_may_not_begin(parts: Parts) -> None:
    stranger = replace(PEER, permissions=frozenset())
    with pytest.raises(ForbiddenError):
        parts.ingest.receive(stranger, sent(object_of(4000)).announced)
    assert parts.last_record().outcome is AuditOutcome.REFUSED


def test_what_was_discarded_cannot_be_stored(parts: Parts) -> None:
    told = sent(object_of(1_000_000))
    reception: Reception = parts.ingest.receive(PEER, told.announced)
    reception.write(told.dataset)
    reception.discard()
    with pytest.raises(InvalidObjectError):
        parts.ingest.store(PEER, reception)
    assert parts.files() == []
