"""Stored objects on their way out: by key, in order, verified, one failure an object."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, JPEG2000Lossless, MRImageStorage

from tests.builders import dataset_bytes, make_dataset, make_study, part10_bytes
from tests.bundled import bundled_files
from tests.unit.services.parts import Parts
from tuipacs.dicom.transcoding.process import Transcoder, Transcoders
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.index import outgoing
from tuipacs.scu.requestor import Context
from tuipacs.scu.sources import SourceObject, opened
from tuipacs.services.outgoing_files import VERIFIED_BEFORE
from tuipacs.services.transfer import Transfer
from tuipacs.storage.local import LocalStore

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.fixture(scope="module")
def transcoders() -> Iterator[Transcoders]:
    pool = Transcoders([Transcoder()])
    yield pool
    pool.close()


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


@pytest.fixture
def transfer(parts: Parts, transcoders: Transcoders, tmp_path: Path) -> Transfer:
    """Not closed, which would end the processes for all tests; its threads are idle."""
    return Transfer(parts.index, parts.store, transcoders, folder=tmp_path)


def keys(parts: Parts) -> list[int]:
    return [row[0] for row in parts.rows("SELECT id FROM instance ORDER BY id")]


def content(source: SourceObject, syntax: str | None = None, *, piece: int = 1 << 18) -> bytes:
    """All that would be sent of an object."""
    file, dataset = opened(source, syntax)
    with file:
        out = bytearray()
        while dataset.left:
            block = memoryview(bytearray(min(piece, dataset.left)))
            dataset.read_into(block)
            out += block
    return bytes(out)


def stored_file(parts: Parts, key: int) -> Path:
    (row,) = parts.rows("SELECT blob_key FROM instance WHERE id = ?", key)
    path = parts.folder / "objects" / row[0]
    path.chmod(0o600)
    return path


def damage(parts: Parts, key: int) -> None:
    """Turn one bit in the middle of a stored dataset."""
    path = stored_file(parts, key)
    data = bytearray(path.read_bytes())
    data[-len(data) // 4] ^= 1
    path.write_bytes(data)


def send_large(parts: Parts, size: int, fill: int = 0) -> Dataset:
    """An object of about that many bytes, all alike."""
    dataset = make_dataset(pixels=False)
    dataset.add_new(0x7FE00010, "OB", bytes([fill]) * size)
    parts.send(dataset)
    return dataset


def test_objects_come_in_the_order_of_their_keys_byte_for_byte(
    parts: Parts, transfer: Transfer
) -> None:
    datasets = make_study(n_series=1, n_instances=3)
    for dataset in datasets:
        parts.send(dataset)
    wanted = list(reversed(keys(parts)))
    found = list(transfer.objects(wanted))
    assert [source.key for source in found] == wanted
    assert [content(source) for source in found] == [dataset_bytes(d) for d in reversed(datasets)]
    assert [source.sop_instance_uid for source in found] == [
        d.SOPInstanceUID for d in reversed(datasets)
    ]


def test_objects_of_the_size_that_is_read_ahead_are_the_right_ones(
    parts: Parts, transfer: Transfer
) -> None:
    """Also where one is left out in between, asked for twice, or the last."""
    datasets = [send_large(parts, 300_000, fill) for fill in range(5)]
    sources = list(transfer.objects(keys(parts)))
    for number in (0, 1, 1, 3, 2, 4):
        assert content(sources[number]) == dataset_bytes(datasets[number])


def test_a_key_that_is_gone_is_told_and_the_others_go(parts: Parts, transfer: Transfer) -> None:
    parts.send()
    (key,) = keys(parts)
    gone, there = transfer.objects([key + 1000, key])
    assert gone.key == key + 1000
    assert "not in the archive" in gone.fault
    with pytest.raises(SourceFailedError, match="not in the archive"):
        opened(gone)
    assert content(there)


def test_many_keys_are_read_in_batches(parts: Parts, transfer: Transfer) -> None:
    parts.send()
    (key,) = keys(parts)
    assert sum(1 for _ in transfer.objects([key] * 1203)) == 1203


def test_a_plan_names_what_is_stored_and_uncompressed_fallbacks(
    parts: Parts, transfer: Transfer
) -> None:
    (packed,) = bundled_files("JPEG2000.dcm")
    parts.bring(packed.read_bytes())
    parts.send()
    plan = transfer.plan(keys(parts))
    lossy = "1.2.840.10008.1.2.4.91"
    kind = parts.rows("SELECT sop_class_uid FROM instance ORDER BY id")[0][0]
    assert plan.contexts == (
        Context(kind, lossy),
        Context(kind, EXPLICIT),
        Context(kind, IMPLICIT),
        Context(CTImageStorage, EXPLICIT),
        Context(CTImageStorage, IMPLICIT),
    )
    assert plan.count == 2
    assert plan.size == parts.rows("SELECT sum(dataset_size) FROM instance")[0][0]


def test_a_node_may_prefer_another_fallback(parts: Parts, transfer: Transfer) -> None:
    """What cannot be made is not promised."""
    parts.send()
    plan = transfer.plan(keys(parts), [JPEG2000Lossless, IMPLICIT])
    assert [context.transfer_syntax for context in plan.contexts] == [EXPLICIT, IMPLICIT]


def test_an_object_in_another_syntax_is_the_same_object(parts: Parts, transfer: Transfer) -> None:
    dataset = make_dataset()
    parts.send(dataset)
    (source,) = transfer.objects(keys(parts))
    assert content(source, IMPLICIT) == dataset_bytes(dataset, IMPLICIT)


def test_nothing_is_left_of_what_was_made(parts: Parts, transfer: Transfer, tmp_path: Path) -> None:
    parts.send()
    (source,) = transfer.objects(keys(parts))
    before = sorted(tmp_path.rglob("*"))
    file, _ = opened(source, IMPLICIT)
    assert sorted(tmp_path.rglob("*")) == before
    file.close()


def test_a_damaged_object_is_not_opened_and_the_next_one_is(
    parts: Parts, transfer: Transfer
) -> None:
    parts.send()
    parts.send()
    damage(parts, keys(parts)[0])
    bad, good = transfer.objects(keys(parts))
    for syntax in (EXPLICIT, IMPLICIT):
        with pytest.raises(SourceFailedError, match="damaged"):
            opened(bad, syntax)
    assert content(good)


def test_damage_that_was_read_ahead_is_told_in_its_turn(parts: Parts, transfer: Transfer) -> None:
    for _ in range(3):
        send_large(parts, 300_000)
    damage(parts, keys(parts)[1])
    first, bad, last = transfer.objects(keys(parts))
    assert content(first)
    with pytest.raises(SourceFailedError, match="damaged"):
        opened(bad)
    assert content(last)


def test_damage_is_found_in_what_was_sent_a_moment_ago(parts: Parts, transfer: Transfer) -> None:
    """Nothing but the bytes tells that it is not what it was."""
    for size in (100, 300_000):
        send_large(parts, size)
        key = keys(parts)[-1]
        (source,) = transfer.objects([key])
        assert content(source) == content(source)
        path = stored_file(parts, key)
        before = path.stat()
        damage(parts, key)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(SourceFailedError, match="damaged"):
            content(source)
        damage(parts, key)  # the same bit once more
        assert content(source)


def test_damage_that_is_read_while_the_peer_is_busy_is_told_in_its_turn(
    parts: Parts, transfer: Transfer
) -> None:
    for fill in range(2):
        send_large(parts, 300_000, fill)
    for source in transfer.objects(keys(parts)):  # known from now on
        content(source)
    damage(parts, keys(parts)[1])
    first, second = transfer.objects(keys(parts))
    file, dataset = opened(first)
    with file:
        assert dataset.meanwhile is not None
        dataset.meanwhile()
    with pytest.raises(SourceFailedError, match="damaged"):
        opened(second)


@pytest.mark.parametrize("piece", [1 << 18, 1 << 20])
def test_a_large_damaged_object_never_gives_its_last_byte(
    parts: Parts, transfer: Transfer, piece: int
) -> None:
    dataset = send_large(parts, VERIFIED_BEFORE + 10)
    (source,) = transfer.objects(keys(parts))
    assert content(source, piece=piece) == dataset_bytes(dataset)
    damage(parts, source.key)
    file, out = opened(source)
    with file, pytest.raises(SourceFailedError, match="damaged"):
        while out.left:
            left = out.left
            out.read_into(memoryview(bytearray(min(piece, left))))
    assert left == out.left > 0


def test_a_file_that_grew_or_shrank_is_damaged(parts: Parts, transfer: Transfer) -> None:
    send_large(parts, VERIFIED_BEFORE + 10)
    parts.send()
    for key in keys(parts):
        path = stored_file(parts, key)
        path.write_bytes(path.read_bytes() + b"\0\0")
    for source in transfer.objects(keys(parts)):
        with pytest.raises(SourceFailedError, match="damaged"):
            content(source)


def test_a_missing_file_is_told(parts: Parts, transfer: Transfer) -> None:
    parts.send()
    parts.files()[0].unlink()
    (source,) = transfer.objects(keys(parts))
    with pytest.raises(SourceFailedError, match="missing"):
        opened(source)


def test_an_object_of_odd_length_goes_out_padded(parts: Parts, transfer: Transfer) -> None:
    """It came so in a file. Its value gets the padding that the standard asks for (PS3.5 6.2)."""
    data = part10_bytes(make_dataset(PatientComments="ABCD"))
    odd = data.replace(b"LT\x04\0ABCD", b"LT\x03\0ABC")
    assert len(odd) % 2
    parts.bring(odd)
    (source,) = transfer.objects(keys(parts))
    assert source.is_odd
    sent = content(source)
    assert sent == data.replace(b"ABCD", b"ABC ")[len(data) - len(sent) :]


def test_an_object_that_no_padding_can_mend_is_refused_in_words(
    parts: Parts, transfer: Transfer
) -> None:
    whole = part10_bytes(make_dataset())
    parts.bring(whole[:-1])
    (source,) = transfer.objects(keys(parts))
    with pytest.raises(SourceFailedError, match="ends inside an element"):
        opened(source)


CRASHING = """
import ctypes, sys
from tuipacs.dicom.transcoding import worker
worker.transcode = lambda *_: ctypes.string_at(0)
worker.main(sys.argv[1:])
"""
LYING = """
import sys
from tuipacs.dicom.transcoding import worker
def another(descriptor, wanted, write, tick, most):
    data = open(sys.argv[0] + ".other", "rb").read()
    write(data)
    return len(data)
worker.transcode = another
worker.main(sys.argv[1:])
"""


@pytest.mark.parametrize(("program", "words"), [(CRASHING, "crashed"), (LYING, "not the same")])
def test_a_decoder_that_crashes_or_lies_costs_that_object(
    parts: Parts, tmp_path: Path, program: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(program)
    (tmp_path / "bad.py.other").write_bytes(dataset_bytes(make_dataset(), IMPLICIT))
    pool = Transcoders([Transcoder(command=(sys.executable, str(tmp_path / "bad.py")))])
    transfer = Transfer(parts.index, parts.store, pool, folder=tmp_path)
    try:
        parts.send()
        (source,) = transfer.objects(keys(parts))
        with pytest.raises(SourceFailedError, match=words):
            opened(source, IMPLICIT)
        assert content(source), "as it is stored it still goes out"
    finally:
        pool.close()


def test_there_must_be_room_for_what_is_made(
    parts: Parts, transcoders: Transcoders, tmp_path: Path
) -> None:
    transfer = Transfer(parts.index, parts.store, transcoders, folder=tmp_path, reserve=1 << 60)
    parts.send()
    (source,) = transfer.objects(keys(parts))
    with pytest.raises(SourceFailedError, match="no room"):
        opened(source, IMPLICIT)


SLOW = """
import os, sys, time
from tuipacs.dicom.transcoding import worker
real = worker.transcode
log = os.open(sys.argv[0] + ".log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def slow(*args):
    os.write(log, b"(")
    time.sleep(0.4)
    os.write(log, b")")
    return real(*args)
worker.transcode = slow
worker.main(sys.argv[1:])
"""
ENDLESS = """
import sys, time
from tuipacs.dicom.transcoding import worker
def endless(descriptor, wanted, write, tick, most):
    while True:
        time.sleep(0.1)
        tick()
worker.transcode = endless
worker.main(sys.argv[1:])
"""


class Narrow(LocalStore):
    """On a disk with little room, whatever is written."""

    def free(self) -> tuple[int, int]:
        return 80 << 20, 1 << 40


def test_two_that_are_made_at_once_keep_the_reserve_together(parts: Parts, tmp_path: Path) -> None:
    """Where there is no room for two, one waits for the other."""
    (tmp_path / "slow.py").write_text(SLOW)
    command = (sys.executable, str(tmp_path / "slow.py"))
    pool = Transcoders([Transcoder(command=command), Transcoder(command=command)])
    store = Narrow(parts.folder / "objects", reserve=0)
    transfer = Transfer(parts.index, store, pool, folder=tmp_path)
    parts.send()
    parts.send()
    sizes: list[int] = []

    def go(source: SourceObject) -> None:
        sizes.append(len(content(source, IMPLICIT)))

    threads = [threading.Thread(target=go, args=(s,)) for s in transfer.objects(keys(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transfer.close()
    assert len(sizes) == 2
    assert (tmp_path / "slow.py.log").read_bytes() == b"()()"


def test_what_nobody_waits_for_is_not_decoded_to_its_end(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    one = Transcoder(command=(sys.executable, str(tmp_path / "endless.py")))
    transfer = Transfer(parts.index, parts.store, Transcoders([one]), folder=tmp_path)
    parts.send()

    def check() -> None:
        if one.process_id:
            raise SourceFailedError("it was cancelled")

    (source,) = transfer.objects(keys(parts), check)
    with pytest.raises(SourceFailedError, match="cancelled"):
        opened(source, IMPLICIT)
    assert one.process_id is None
    assert content(source), "as it is stored it still goes out"
    transfer.close()


# -- what UIDs name


def named(parts: Parts, **lists: object) -> list[int]:
    with parts.index.read() as reader:
        return outgoing.named(reader, **lists)  # type: ignore[arg-type]


def test_nothing_names_nothing(parts: Parts) -> None:
    parts.send()
    assert named(parts) == []
    assert named(parts, patients=[]) == []
    assert named(parts, studies=[], series=[], instances=[]) == []


def test_lists_restrict_and_their_values_are_alternatives(parts: Parts) -> None:
    first, second = make_study(n_series=2, n_instances=2), make_study(1, 1, PatientID="OTHER")
    for dataset in (*first, *second):
        parts.send(dataset)
    one, two, three, four, five = keys(parts)
    studies = [first[0].StudyInstanceUID, second[0].StudyInstanceUID]
    assert named(parts, studies=studies) == [one, two, three, four, five]
    assert named(parts, studies=studies[1:]) == [five]
    assert named(parts, series=[first[2].SeriesInstanceUID]) == [three, four]
    uids = [first[3].SOPInstanceUID, first[0].SOPInstanceUID, "1.2.3"]
    assert named(parts, instances=uids) == [one, four]
    assert named(parts, studies=studies[1:], instances=uids) == []
    patient = parts.rows("SELECT id FROM patient WHERE patient_id = 'OTHER'")[0][0]
    assert named(parts, patients=[patient]) == [five]
    assert named(parts, patients=[patient], studies=studies[:1]) == []


def test_of_several_versions_the_first_goes_out_once(parts: Parts) -> None:
    """As C-FIND answers; two with one UID would be a conflict at the other end."""
    dataset = make_dataset()
    parts.send(dataset)
    dataset.InstanceNumber = 99
    parts.send(dataset)
    dataset.SeriesInstanceUID = "1.2.3.4"
    parts.send(dataset)
    first, _second, third = keys(parts)
    assert named(parts, studies=[dataset.StudyInstanceUID]) == [first]
    assert named(parts, series=["1.2.3.4"]) == [third], "in that series it is the first"


def test_an_object_without_study_uid_goes_out_without_one(parts: Parts, transfer: Transfer) -> None:
    """It is filed under a made-up UID, which never leaves as if it were the object's."""
    dataset = make_dataset(StudyInstanceUID=None)
    parts.send(dataset)
    made_up = parts.rows("SELECT study_instance_uid FROM study")[0][0]
    assert made_up
    (key,) = named(parts, studies=[made_up])
    (source,) = transfer.objects([key])
    assert content(source) == dataset_bytes(dataset)
    for syntax in (EXPLICIT, IMPLICIT):
        assert made_up.encode() not in content(source, syntax)


def test_a_large_list_of_uids_is_no_trouble(parts: Parts) -> None:
    dataset = make_dataset()
    parts.send(dataset)
    uids = [f"1.2.{number}" for number in range(100_000)] + [str(dataset.SOPInstanceUID)]
    assert named(parts, instances=uids) == keys(parts)


def test_another_class_has_contexts_of_its_own(parts: Parts, transfer: Transfer) -> None:
    parts.send()
    parts.send(SOPClassUID=MRImageStorage)
    contexts = transfer.plan(keys(parts)).contexts
    assert {context.abstract_syntax for context in contexts} == {CTImageStorage, MRImageStorage}
