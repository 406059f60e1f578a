"""What storing one received object costs in the handler: parse, hash, fsync, commit.

    PYTHONPATH=. python benchmarks/ingest.py [--folder DIR] [--objects 500] [--size 33000]

The figure is the service's own time, without the network: `Ingest.store` as the C-STORE handler
calls it, fully durable. DIR decides which disk is measured. Beside it stands the floor: the same
bytes written, fsynced and renamed, and one SQLite commit, with nothing else done.

On ext4 without a journal a new file costs 0.3 ms more where thousands were deleted in the last five
minutes (it looks for inodes that are safe to use): measure in a folder that is new, right below the
root of the file system, or wait.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.builders import dataset_bytes, make_dataset
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.ingest import AnnouncedObject
from tuipacs.domain.permissions import Permission
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.services.ingest import Ingest
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.local import LocalStore, fsync_folder
from tuipacs.storage.quarantine import Quarantine

PDU = 128 << 10
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
PEER = Actor(kind=ActorKind.PEER, name="CT1", permissions=frozenset({Permission.DICOM_STORE}))


class Sent(NamedTuple):
    """What the command says, and the dataset."""

    announced: AnnouncedObject
    dataset: bytes


def objects(count: int, size: int) -> list[Sent]:
    """Distinct objects of one series, as a modality sends them."""
    dataset = make_dataset(Modality="CT", Rows=128, Columns=size // 256, BitsAllocated=16)
    dataset.PixelData = os.urandom(128 * (size // 256) * 2)
    made = []
    for number in range(count):
        dataset.SOPInstanceUID = f"2.25.{time.time_ns()}{number}"
        dataset.InstanceNumber = number + 1
        announced = AnnouncedObject(
            transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            calling_ae_title="CT1",
            called_ae_title="TUIPACS",
        )
        made.append(Sent(announced, dataset_bytes(dataset, EXPLICIT_LITTLE_ENDIAN)))
    return made


def receive(ingest: Ingest, sent: Sent) -> None:
    """Receive one object as the association's thread does, in PDUs of 128 KiB."""
    reception = ingest.receive(PEER, sent.announced)
    whole = memoryview(sent.dataset)
    for start in range(0, len(whole), PDU):
        reception.write(whole[start : start + PDU])
    ingest.store(PEER, reception)
    reception.discard()


def floor(folder: Path, index: Index, payload: bytes, number: int) -> None:
    """The least that a durable store can do."""
    part, final = folder / f"{number}.part", folder / f"{number}"
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(descriptor, payload)
    os.fsync(descriptor)
    os.close(descriptor)
    part.rename(final)
    fsync_folder(folder)
    with index.write() as tx:
        tx.execute("UPDATE total SET bytes = bytes + 1")


def report(name: str, acts: list[Callable[[], object]]) -> float:
    """Time each act; print and return the median in milliseconds."""
    times = []
    processor = time.process_time()
    for act in acts:
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    processor = (time.process_time() - processor) * 1000 / len(acts)
    times.sort()
    median = statistics.median(times)
    p95 = times[len(times) * 95 // 100]
    print(f"{name:<28} median {median:6.3f} ms   p95 {p95:6.3f} ms   processor {processor:6.3f} ms")
    return median


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--size", type=int, default=33_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        index = Index(folder / "index.sqlite")
        migrate(index)
        store = LocalStore(folder / "objects", reserve=0)
        ingest = Ingest(index, time.time, store, Quarantine(folder / "quarantine"), Wakeups())
        received = objects(options.objects + 20, options.size)
        for one in received[:20]:
            receive(ingest, one)
        print(f"{options.objects} objects of {len(received[0].dataset):,} bytes")
        stored = report(
            "store, durable", [lambda one=one: receive(ingest, one) for one in received[20:]]
        )
        again = received[20:]
        report("the same again", [lambda one=one: receive(ingest, one) for one in again])
        payload = bytes(received[0].dataset)
        least = report(
            "floor: fsync and commit only",
            [lambda n=n: floor(folder, index, payload, n) for n in range(options.objects)],
        )
        print(f"own cost above the floor     {stored - least:13.3f} ms, ratio {stored / least:.2f}")
        index.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
