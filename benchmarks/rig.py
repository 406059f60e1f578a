"""What the benchmarks of a running archive share: folders, daemons, synthetic files, /proc.

Nothing here measures. A benchmark makes everything in a folder of its own, listens on loopback
only, and ends every process that it started.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tuipacs.bootstrap import create_archive
from tuipacs.client.connection import Connection
from tuipacs.config import Config, DicomSettings
from tuipacs.domain.system import Health
from tuipacs.domain.uid import new_uid
from tuipacs.domain.user import ClientKind
from tuipacs.errors import DaemonUnreachableError
from tuipacs.paths import ArchivePaths
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Empty, LoginRequest

ADMIN = "ada"
PASSWORD = "four clear words together"  # noqa: S105 - of throw-away archives
PATIENCE = 60.0  # seconds for a server to start; a cold disk is slow
_TICKS = os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, str | float | int | None]:
    """What all figures depend on; the load average is that of the last minute."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def tell_machine() -> None:
    """Print what the figures depend on. A loaded machine makes all of them worthless."""
    here = machine()
    load = os.getloadavg()[0]
    busy = "  <- other work runs here: do not keep these figures" if load > 0.5 else ""
    print(
        f"{here['time']}  {here['system']}  Python {here['python']}  {here['cpus']} CPUs\n"
        f"load average before the run {load:.2f}{busy}\n",
        file=sys.stderr,
    )


@contextlib.contextmanager
def scratch(parent: Path | None) -> Iterator[Path]:
    """A short folder (a socket's path is limited) that is removed afterwards.

    Its folders are spread over the disk as those at the top of a file system are: ext4 looks for
    free inodes near a folder, and some minutes long passes by those that were deleted there. What
    one server leaves must not make the next one slower, so nothing is removed in between, either.
    """
    folder = Path(tempfile.mkdtemp(prefix="tb", dir=parent))
    if chattr := shutil.which("chattr"):
        subprocess.run([chattr, "+T", folder], capture_output=True, check=False)  # ext4 only
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def new_folder(scratch: Path, name: str) -> Path:
    """``name``, or with a number if that is taken."""
    number = 1
    while True:
        folder = scratch / (name if number == 1 else f"{name}{number}")
        if not folder.exists():
            folder.mkdir()
            return folder
        number += 1


def make_archive(folder: Path) -> ArchivePaths:
    """An archive that stores from anyone on loopback, on a port the daemon picks."""
    paths = ArchivePaths(folder)
    create_archive(
        paths, Config(dicom=DicomSettings(port=0, unknown_callers="store")), ADMIN, PASSWORD
    )
    return paths


@dataclass(frozen=True)
class Daemon:
    """A running ``tuipacs serve``."""

    paths: ArchivePaths
    process: subprocess.Popen[bytes]
    health: Health

    def connect(self) -> Connection:
        """A connection with a session; close it."""
        connection = Connection(self.paths.socket)
        request = LoginRequest(user=ADMIN, password=PASSWORD, client=ClientKind.COMMAND)
        connection.token = connection.call(op.LOGIN, request).token
        return connection


def instances(connection: Connection) -> int:
    """How many objects the archive says it has."""
    return connection.call(op.STATUS, Empty()).totals.instances


@contextlib.contextmanager
def running_daemon(paths: ArchivePaths) -> Iterator[Daemon]:
    """``tuipacs serve`` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuipacs", "--archive", str(paths.root), "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ended(process):
        yield Daemon(paths, process, _health(paths, process))


def _health(paths: ArchivePaths, process: subprocess.Popen[bytes]) -> Health:
    connection = Connection(paths.socket)
    try:
        for _ in _attempts(process):
            if not paths.socket.exists():
                continue
            with contextlib.suppress(DaemonUnreachableError):
                health = connection.call(op.HEALTH, Empty())
                if health.pid == process.pid:  # not another one that runs there already
                    return health
    finally:
        connection.close()
    raise SystemExit(f"the daemon did not start, or another one runs there; see {paths.log}")


def _attempts(process: subprocess.Popen[bytes]) -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        yield
        time.sleep(0.05)


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server accepts connections."""
    for _ in _attempts(process):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise SystemExit(f"{process.args!r} does not listen on port {port}")


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process when the block ends, at the latest by force."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- synthetic objects


def ct_dataset(rows: int, seed: int = 1) -> Dataset:
    """A square CT slice of noise, 16 bits: 512 rows make 0.5 MB, 128 rows 33 kB."""
    noise = np.random.default_rng(seed).normal(0, 300, (rows, rows))
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = new_uid()
    dataset.StudyDate, dataset.StudyTime = "20240131", "093000"
    dataset.AccessionNumber = "BENCH1"
    dataset.Modality = "CT"
    dataset.StudyDescription, dataset.SeriesDescription = "BENCHMARK", "NOISE"
    dataset.PatientName, dataset.PatientID = "BENCHMARK^SYNTHETIC", "BENCH"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = rows
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = noise.astype("<i2").tobytes()
    return dataset


def file_meta() -> FileMetaDataset:
    """Explicit VR little endian; the rest is filled in from the dataset."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def write_series(folder: Path, count: int, rows: int) -> int:
    """Write one series of ``count`` slices as Part 10 files; return the size of one in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = ct_dataset(rows)
    path = folder
    for number in range(1, count + 1):
        dataset.SOPInstanceUID, dataset.InstanceNumber = new_uid(), number
        dataset.file_meta = file_meta()
        path = folder / f"{number:05d}.dcm"
        dcmwrite(path, dataset, enforce_file_format=True)
    return path.stat().st_size


# --- what /proc says of a process and its children


def process_tree(pid: int) -> list[int]:
    """The process and all that it started and that still run."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree so far."""
    total = 0
    for one in process_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """(resident, proportional) memory of a process tree in MB of 1,000,000 bytes."""
    sizes = {"Rss": 0, "Pss": 0}
    for one in process_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sizes:
                    sizes[name] += int(rest.split()[0]) * 1024
    return sizes["Rss"] / 1e6, sizes["Pss"] / 1e6


def forget_peak(pid: int) -> None:
    """Let `peak_mb` count from here on (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """The most memory that one process was resident in, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


# --- output


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A Markdown table; the first ``left`` columns are texts, the others figures."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    line = "|".join("-" * (w + 1) + ("-" if i < left else ":") for i, w in enumerate(widths))
    for row in (heads, *rows):
        cells = (
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print(f"| {' | '.join(cells)} |")
        if row is heads:
            print(f"|{line}|")
    print(flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
