"""kill -9 in the middle of receiving and importing: what was promised is there after a restart."""

from __future__ import annotations

import random
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.e2e import ledger_sender
from tests.e2e.daemon_fixture import PATIENCE, ArchiveFactory, RunningArchive
from tests.e2e.ledger_sender import ACKNOWLEDGED, OFFERED
from tests.e2e.proof import Stored, check_whole, finished, in_background, run
from tuipacs.schema import operations
from tuipacs.schema.job_messages import JobsRequest


def receive_and_kill(
    archive: RunningArchive, folder: Path, senders: int, chance: random.Random
) -> list[Path]:
    """Let ``senders`` send, kill the daemon at a random moment, start it again; the ledgers."""
    ledgers = [folder / f"{secrets.token_hex(4)}.ledger" for _ in range(senders)]
    running = [
        ledger_sender.start(archive.port, ledger, chance.randrange(1 << 30), 10_000)
        for ledger in ledgers
    ]
    deadline = time.monotonic() + 60
    while not all(ledger_sender.read(ledger, ACKNOWLEDGED) for ledger in ledgers):
        assert time.monotonic() < deadline, "the senders do not get on"
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 0.6))
    archive.kill()
    assert [sender.wait(PATIENCE) for sender in running] == [1] * senders
    archive.start()
    return ledgers


def compare(kept: list[Stored], ledgers: list[Path]) -> int:
    """Ledger against archive; the number of acknowledged objects."""
    acknowledged: dict[str, str] = {}
    offered: dict[str, str] = {}
    for ledger in ledgers:
        acknowledged |= ledger_sender.read(ledger, ACKNOWLEDGED)
        offered |= ledger_sender.read(ledger, OFFERED)
    there = {stored.sop_instance_uid: stored.dataset_sha256 for stored in kept}
    assert len(there) == len(kept), "an object is there twice"
    assert acknowledged.items() <= there.items(), "an acknowledged object is lost or changed"
    assert there.items() <= offered.items(), "there is an object that nobody sent"
    return len(acknowledged)


@pytest.mark.parametrize(
    ("senders", "kills"), [(2, 3), pytest.param(4, 40, marks=pytest.mark.long)]
)
@pytest.mark.timeout(1800)
def test_no_acknowledged_object_is_lost_when_the_daemon_is_killed(
    running_archive: ArchiveFactory, tmp_path: Path, senders: int, kills: int
) -> None:
    """The ledger of independent senders against all that can be exported afterwards."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest with a failure
    chance = random.Random(seed)  # noqa: S311
    archive = running_archive()
    ledgers: list[Path] = []
    for _ in range(kills):
        ledgers += receive_and_kill(archive, tmp_path, senders, chance)
    kept = check_whole(archive, tmp_path / "out")
    assert compare(kept, ledgers) >= kills * senders
    assert not list(archive.paths.objects.rglob("*.part"))


@pytest.mark.long
@pytest.mark.dcmtk
@pytest.mark.timeout(600)
def test_dcmtk_reads_every_object_exported_after_kills(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """A second reader: DCMTK parses each file whole and finds the UID that the ledger has."""
    chance = random.Random(secrets.randbits(32))  # noqa: S311
    archive = running_archive()
    ledgers = [p for _ in range(5) for p in receive_and_kill(archive, tmp_path, 4, chance)]
    kept = check_whole(archive, tmp_path / "out")
    compare(kept, ledgers)
    for start in range(0, len(kept), 200):
        batch = kept[start : start + 200]
        told = subprocess.run(
            ["dcmdump", "-q", "+P", "0008,0018", *(str(stored.path) for stored in batch)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = re.findall(r"\(0008,0018\) UI \[([0-9.]+)\]", told.stdout)
        assert found == [stored.sop_instance_uid for stored in batch]


def make_offer(folder: Path, count: int) -> tuple[int, int, int]:
    """A folder to import; how many of its files are (new, copies, no DICOM)."""
    folder.mkdir()
    for number in range(count):
        whole = part10_bytes(make_dataset(InstanceNumber=number))
        (folder / f"{number:05}.dcm").write_bytes(whole)
        if number % 5 == 0:
            (folder / f"{number:05}.copy").write_bytes(whole)
        if number % 7 == 0:
            (folder / f"{number:05}.txt").write_text("a letter, not a picture\n" * 10)
    return count, len(range(0, count, 5)), len(range(0, count, 7))


@pytest.mark.parametrize(
    ("count", "kills"), [(150, 2), pytest.param(3000, 20, marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
def test_an_import_goes_on_after_kills_and_counts_every_file_once(
    running_archive: ArchiveFactory, tmp_path: Path, count: int, kills: int
) -> None:
    """The command that waits for it outlives the daemon too, and tells the right numbers."""
    archive = running_archive()
    new, copies, others = make_offer(tmp_path / "offer", count)
    command = in_background(archive, "import", str(tmp_path / "offer"), "--json")
    offered = new + copies + others
    for number in range(1, kills + 1):
        _wait_until_done(archive, number * offered // (kills + 1))
        archive.kill()
        archive.start()
    result = finished(command, 300)
    assert result.code == 0, result
    told = result.json
    # A kill between an object's file and its row: the next start adopts it, and the job, which is
    # at that file again, finds it there already.
    adopted = new - told["stored"]
    assert 0 <= adopted <= kills
    assert (told["duplicate"], len(told["refused"])) == (copies + adopted, others)
    assert {Path(row["path"]).suffix for row in told["refused"]} == {".txt"}
    (job,) = run(archive, "jobs", "list", "--json").json
    assert (job["state"], job["done"], job["total"]) == ("done", offered, offered)
    assert len(check_whole(archive, tmp_path / "out")) == new
    shutil.rmtree(tmp_path / "offer")


def _wait_until_done(archive: RunningArchive, count: int) -> None:
    connection = archive.connect()
    deadline = time.monotonic() + 60
    while True:
        jobs = connection.call(operations.JOBS, JobsRequest()).jobs
        if jobs and jobs[0].done >= count:
            assert not jobs[0].state.ended, "it was too quick to be killed"
            return
        assert time.monotonic() < deadline, "the import does not get on"
        time.sleep(0.005)
