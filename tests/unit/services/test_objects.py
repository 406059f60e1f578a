"""Looking at stored objects: recorded once a study, verified, and never damaged or disguised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_dataset, make_study, part10_bytes
from tests.unit.services.parts import Parts, actor
from tuipacs.dicom.pixels.process import PixelWorker, PixelWorkers
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.level import Level
from tuipacs.domain.permissions import Role
from tuipacs.errors import (
    DecodeError,
    NotFoundError,
    StorageFailedError,
    StorageFullError,
    TuipacsError,
    UsageError,
)
from tuipacs.schema import messages as m
from tuipacs.services.objects import Objects

RADIOLOGIST = actor(Role.RADIOLOGIST, session_key=1)


@pytest.fixture
def objects(parts: Parts) -> Iterator[Objects]:
    pictures = PixelWorkers([PixelWorker()])
    yield Objects(parts.index, parts.clock, parts.store, pictures)
    pictures.close()


def look(objects: Objects, key: int = 1, session: int = 1) -> None:
    viewer = actor(Role.RADIOLOGIST, session_key=session)
    objects.elements(viewer, m.InstanceRequest(key=key))


def damage(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x01
    path.write_bytes(data)


def accesses(parts: Parts) -> list[tuple[str, str]]:
    records = [r for r in parts.records() if r.operation.startswith("objects.")]
    return [(r.outcome.value, r.detail) for r in records]


def test_looking_through_a_study_is_one_record_for_each_session_and_way(
    parts: Parts, objects: Objects
) -> None:
    for dataset in make_study(1, 4):
        parts.send(dataset)
    parts.send(make_dataset())
    for key in (1, 2, 3, 4, 1):
        look(objects, key)
    assert accesses(parts) == [("success", "data elements")]
    look(objects, 5)  # another study
    look(objects, 1, session=2)  # somebody else
    objects.document(RADIOLOGIST, m.InstanceRequest(key=1))  # in another way
    assert len(accesses(parts)) == 4
    parts.clock.now += 601
    look(objects, 2)
    assert len(accesses(parts)) == 5


def test_a_view_whose_record_could_not_be_written_is_not_taken_for_recorded(
    parts: Parts, objects: Objects
) -> None:
    parts.send()
    connection = parts.index.database.connection()
    with parts.index.write() as tx:
        tx.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'x'); END")
    with pytest.raises(Exception, match="x"):
        look(objects)
    with parts.index.write() as tx:
        tx.execute("DROP TRIGGER full")
    look(objects)
    assert accesses(parts) == [("success", "data elements")]
    assert connection.getautocommit()


@pytest.mark.parametrize("where", ["header", "dataset"])
def test_one_flipped_bit_is_never_shown_nor_handed_out(
    parts: Parts, objects: Objects, where: str
) -> None:
    parts.send()
    (path,) = parts.files()
    damage(path, 200 if where == "header" else -5)
    viewer = RADIOLOGIST
    calls = (
        lambda: objects.elements(viewer, m.InstanceRequest(key=1)),
        lambda: objects.document(viewer, m.InstanceRequest(key=1)),
        lambda: objects.frame(viewer, m.FrameRequest(key=1)),
        lambda: objects.open_document(viewer, 1),
        lambda: b"".join(objects.open_object(viewer, 1).chunks),
    )
    for call in calls:
        with pytest.raises(StorageFailedError, match="damaged"):
            call()
    assert accesses(parts)[0] == (
        "failure",
        "data elements: the stored file of object 1 is damaged",
    )


def test_a_damaged_file_is_cut_before_its_last_piece(parts: Parts, objects: Objects) -> None:
    """Who fetches it cannot take it for whole."""
    dataset = make_dataset(ImageComments="x" * 1_000)
    dataset.add_new(0x00091010, "OB", bytes(1_000_000))
    parts.bring(dataset)
    (path,) = parts.files()
    damage(path, 300_000)
    stream = objects.open_object(RADIOLOGIST, 1)
    fetched = 0
    with pytest.raises(StorageFailedError):
        for chunk in stream.chunks:
            fetched += len(chunk)
    assert fetched < stream.size


def test_a_file_that_was_cut_or_lost_is_told(parts: Parts, objects: Objects) -> None:
    parts.send()
    parts.send()
    cut, lost = parts.files()
    keys = {p.name: k for p, k in ((cut, 0), (lost, 0))}
    for key, blob in parts.rows("SELECT id, blob_key FROM instance"):
        keys[blob.partition("/")[2]] = key
    cut.write_bytes(cut.read_bytes()[:-1])
    lost.unlink()
    with pytest.raises(StorageFailedError):
        look(objects, keys[cut.name])
    for call in (look, lambda o, k: objects.open_object(RADIOLOGIST, k)):
        with pytest.raises(NotFoundError, match="missing"):
            call(objects, keys[lost.name])


def test_a_file_lost_since_it_was_verified_is_told(parts: Parts, objects: Objects) -> None:
    parts.send()
    look(objects)
    parts.files()[0].unlink()
    with pytest.raises(NotFoundError, match="missing"):
        look(objects)
    with pytest.raises(NotFoundError, match="missing"):
        objects.frame(RADIOLOGIST, m.FrameRequest(key=1))


def test_what_goes_out_is_what_came_in(parts: Parts, objects: Objects) -> None:
    whole = part10_bytes(make_dataset())
    parts.bring(whole)
    stream = objects.open_object(RADIOLOGIST, 1)
    data = b"".join(stream.chunks)
    assert data == whole
    assert stream.size == len(whole)
    assert accesses(parts) == [("success", "")]


@pytest.mark.parametrize("start", [b"MZ\x90", b"\x7fELF", b"#!/bin/sh\n", b"II*\0"])
def test_a_preamble_that_is_a_program_leaves_as_zeros(
    parts: Parts, objects: Objects, start: bytes
) -> None:
    """A dual-purpose TIFF preamble is no program and stays."""
    whole = part10_bytes(make_dataset())
    odd = start.ljust(128, b"\x01") + whole[128:]
    parts.bring(odd)
    assert parts.files()[0].read_bytes() == odd
    data = b"".join(objects.open_object(RADIOLOGIST, 1).chunks)
    assert data == (odd if start.startswith(b"II") else whole)


def test_an_export_names_each_object_once_in_order(parts: Parts, objects: Objects) -> None:
    for dataset in make_study(2, 2):
        parts.send(dataset)
    parts.send()
    study = parts.rows("SELECT study_instance_uid FROM study WHERE id = 1")[0][0]
    series = parts.rows("SELECT series_instance_uid FROM series WHERE id = 2")[0][0]
    instance = parts.rows("SELECT sop_instance_uid FROM instance WHERE id = 5")[0][0]
    plan = objects.export_plan(RADIOLOGIST, m.ExportRequest(uids=(instance, series, study)))
    assert [entry.key for entry in plan.entries] == [5, 3, 4, 1, 2]
    sizes = dict(parts.rows("SELECT id, dataset_size FROM instance"))
    assert all(entry.size_bytes > sizes[entry.key] for entry in plan.entries)
    assert "5 objects of 3 UIDs" in parts.last_record().detail


@pytest.mark.parametrize("uids", [(), ("1.2.3",), ("",), ("1",) * 10_001])
def test_an_export_of_nothing_is_refused(
    parts: Parts, objects: Objects, uids: tuple[str, ...]
) -> None:
    parts.send()
    with pytest.raises((UsageError, NotFoundError)):
        objects.export_plan(RADIOLOGIST, m.ExportRequest(uids=uids))


def test_a_picture_and_what_stands_for_a_row(parts: Parts, objects: Objects) -> None:
    parts.send()
    found = objects.representative(RADIOLOGIST, m.RepresentativeRequest(level=Level.STUDY, key=1))
    assert found.instance is not None
    assert (found.instance.key, found.position, found.count, found.frame_number) == (1, 1, 1, 1)
    frame = objects.frame(RADIOLOGIST, m.FrameRequest(key=found.instance.key))
    assert (frame.rows, frame.columns) == (8, 8)
    nothing = m.RepresentativeRequest(level=Level.STUDY, key=9)
    assert objects.representative(RADIOLOGIST, nothing).instance is None


def test_what_is_no_picture_or_document_says_why_and_is_recorded(
    parts: Parts, objects: Objects
) -> None:
    parts.send(pixels=False)
    with pytest.raises(TuipacsError) as refused:
        objects.frame(RADIOLOGIST, m.FrameRequest(key=1))
    assert refused.value.message
    with pytest.raises(DecodeError):
        objects.open_document(RADIOLOGIST, 1)
    assert [r.outcome for r in parts.records()][-1] is AuditOutcome.FAILURE
    for call in (objects.open_object, objects.open_document):
        with pytest.raises(NotFoundError):
            call(RADIOLOGIST, 99)


def test_a_full_disk_is_no_reason_not_to_look(parts: Parts, objects: Objects) -> None:
    parts.send()
    parts.store.fail("broken")
    look(objects)
    with pytest.raises((StorageFailedError, StorageFullError)):
        parts.send()
