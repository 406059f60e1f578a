"""The order of the system calls on the way of an object, and death at each of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import dataset_bytes, make_dataset
from tests.dimse.raw_peer import CT_CONTEXT, RawPeer
from tests.e2e.daemon_fixture import PATIENCE, ArchiveFactory, RunningArchive
from tests.e2e.proof import check_index, check_whole, sha256

CALLS = "openat,write,fsync,rename,pwrite64,fdatasync,sendto,sync_file_range"
"""What the thread of an association calls on the way from the first byte to the answer."""

INSTANTS = [  # the process dies before one of the store path's own calls; counted in its thread
    ("write", 2),  # of header and dataset, after the log's line
    ("fsync", 1),  # of the .part file
    ("rename", 1),
    ("fsync", 2),  # of the folder
    ("fdatasync", 1),  # the commit
    ("sendto", 2),  # after the commit, before the answer; the first is the acceptance
]
LARGE = 1 << 20  # bytes; it is written while it comes
INSTANTS_OF_A_LARGE_ONE = [
    ("write", 4),  # in the middle of it
    ("sync_file_range", 2),
    ("rename", 1),
]
_UNPROVEN = "strace is not there or may not attach: the system calls of the store path are unproven"


@contextmanager
def traced(archive: RunningArchive, output: Path, *options: str) -> Iterator[None]:
    """strace on the daemon while the block runs; the test is skipped where that is not allowed."""
    if shutil.which("strace") is None:
        pytest.skip(_UNPROVEN)
    command = ["strace", "-f", "-y", "-s", "0", "-o", str(output), *options]
    tracer = subprocess.Popen(
        [*command, "-p", str(archive.pid)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert tracer.stderr is not None
    try:
        if b"attached" not in tracer.stderr.readline():
            pytest.skip(_UNPROVEN)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=PATIENCE)


def send(archive: RunningArchive, uid: str, data: bytes) -> bool:
    """Whether one object sent on an association of its own was acknowledged."""
    try:
        with RawPeer(archive.port) as peer:
            assert peer.associate([CT_CONTEXT]).kind == "accept"
            return peer.store(data, instance=uid) == 0
    except (OSError, AssertionError):  # the archive died
        return False


def whole_calls(lines: Iterable[str]) -> Iterator[str]:
    """The calls of one thread; strace breaks a line where another thread's call comes between."""
    begun = ""
    for line in lines:
        if line.endswith(" <unfinished ...>"):
            begun = line.removesuffix(" <unfinished ...>")
        elif begun:
            yield begun + line.partition(" resumed>")[2]
            begun = ""
        else:
            yield line


def test_an_object_is_durable_before_it_is_acknowledged(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """File, its fsync, its name, the folder's fsync, the rows, their sync: then the answer.

    This order is what a power cut leaves intact; kill -9 alone would not show a missing fsync.
    """
    archive = running_archive()
    trace = tmp_path / "trace"
    dataset = make_dataset()
    with traced(archive, trace, "-e", f"trace={CALLS},mkdir"):
        assert send(archive, str(dataset.SOPInstanceUID), dataset_bytes(dataset))
        archive.stop()
    lines = trace.read_text().splitlines()
    thread = next(line.split()[0] for line in lines if ".part" in line)
    calls = list(whole_calls(line for line in lines if line.split()[0] == thread))
    steps = [
        r"mkdir\(\S+/objects/000001\"",
        r"fsync\(\S+/objects>\)",
        r"openat\(.*/objects/000001/[0-9a-f]{32}\.part\", \S*O_EXCL\S*, 0600",
        r"write\(\S+/objects/000001/[0-9a-f]{32}\.part>",
        r"fsync\(\S+/objects/000001/[0-9a-f]{32}\.part>\) += 0",
        r"rename\(\S+\.part\"",
        r"fsync\(\S+/objects/000001>\) += 0",
        r"pwrite64\(\S+/index\.sqlite-wal>",
        r"fdatasync\(\S+/index\.sqlite-wal>\) += 0",
    ]
    if not any("index.sqlite-wal" in line for line in calls):
        pytest.skip("this strace does not name files")
    at = 0
    for step in steps:
        found = [n for n, line in enumerate(calls[at:], at) if re.search(step, line)]
        assert found, f"{step} is missing after {calls[at - 1 : at + 3]}"
        at = found[0] + 1
    synced = max(n for n, line in enumerate(calls) if "index.sqlite-wal>)" in line)
    written = max(n for n, line in enumerate(calls) if "pwrite64" in line)
    answers = [n for n, line in enumerate(calls) if re.search(r"sendto\(\d+<(TCP|socket)", line)]
    assert written < synced, "something was written after the last sync"
    assert [n for n in answers if n > synced], "there is no answer after the last sync"
    large = [n for n in answers if int(calls[n].rsplit("=", 1)[1]) > 100]
    assert len(large) == 2, "the acceptance and one answer"
    assert large[1] > synced, "the answer was sent before the commit was on the disk"


def die_at(
    archive: RunningArchive, trace: Path, injection: str, size: int = 0
) -> tuple[bool, str, str]:
    """Send one object while the daemon is to die at ``injection``: (it did not, UID, SHA-256).

    ``size``: bytes of a document that makes it a large one.
    """
    dataset = make_dataset()
    if size:
        dataset.EncapsulatedDocument = bytes(size)
    uid, data = str(dataset.SOPInstanceUID), dataset_bytes(dataset)
    options = ("-e", f"trace={CALLS}", "-e", f"inject={injection}")
    with traced(archive, trace, *options):
        acknowledged = send(archive, uid, data)
        assert archive.process is not None
        # Something after the answer may be what kills; a lost answer means it is dying already.
        deadline = time.monotonic() + (0.5 if acknowledged else PATIENCE)
        while archive.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        survived = archive.process.poll() is None
    if survived:
        archive.kill()
    else:
        archive.end()
    archive.start()
    there = dict(check_index(archive))
    if acknowledged:
        assert there.get(uid) == sha256(data), f"lost at {injection}"
    assert there.get(uid, sha256(data)) == sha256(data)
    assert send(archive, uid, data), f"cannot be sent again after {injection}"
    return survived, uid, sha256(data)


@pytest.mark.timeout(300)
def test_death_at_a_decisive_system_call_loses_nothing(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """Before the file, its sync, its name, the folder's sync, the commit, and the answer."""
    archive = running_archive()
    sent = {}
    first = make_dataset()  # makes the volume's folder, so that the counts below hold
    sent[str(first.SOPInstanceUID)] = sha256(dataset_bytes(first))
    assert send(archive, str(first.SOPInstanceUID), dataset_bytes(first))
    instants = [(call, when, 0) for call, when in INSTANTS]
    instants += [(call, when, LARGE) for call, when in INSTANTS_OF_A_LARGE_ONE]
    for number, (call, when, size) in enumerate(instants):
        injection = f"{call}:signal=SIGKILL:when={when}"
        survived, uid, digest = die_at(archive, tmp_path / f"trace{number}", injection, size)
        assert not survived, f"{injection} was never reached: has the path changed?"
        sent[uid] = digest
    kept = check_whole(archive, tmp_path / "out")
    assert {stored.sop_instance_uid: stored.dataset_sha256 for stored in kept} == sent
    assert len(kept) == len(sent)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_death_at_every_system_call_loses_nothing(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """SIGKILL at the first, second, ... of all system calls, until an object passes unharmed."""
    archive = running_archive()
    sent = {}
    for when in range(1, 300):
        injection = f"{CALLS}:signal=SIGKILL:when={when}"
        survived, uid, digest = die_at(archive, tmp_path / "trace", injection)
        sent[uid] = digest
        if survived:
            break
    else:
        pytest.fail("it dies without an end")
    assert when > 30, "the injection did not reach the store path"
    kept = check_whole(archive, tmp_path / "out")
    assert {stored.sop_instance_uid: stored.dataset_sha256 for stored in kept} == sent
    assert len(kept) == len(sent)
