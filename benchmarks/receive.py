"""Receiving, side by side with DCMTK's storescp and Orthanc: one sender, one association.

    python benchmarks/receive.py [--ct 600] [--small 2000] [--default-sender 200] [--folder DIR]

DCMTK's storescu sends CT slices of 0.5 MB and objects of 33 kB: with Nagle's algorithm off in the
sender and in the servers built on DCMTK (``TCP_NODELAY=1``; without it their answers wait too), and
as all are by default (fewer objects: each can wait 40 ms and more). Each server starts anew on an
empty folder of the same disk, and afterwards has to have every object. The time is that of the
whole storescu process; ratios are against the tuipacs of this run.

What they promise differs: tuipacs answers after fsync of the file and the commit of the index row,
Orthanc writes its SQLite index and does not fsync the file, storescp only writes the file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import rig

SIZES = {"CT 0.5 MB": 512, "33 kB": 128}
LONGEST = 1800  # seconds for one storescu


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, and how many objects it has."""

    process: subprocess.Popen[bytes]
    port: int
    ae_title: str
    count: Callable[[], int]


def _environment(nagle: bool) -> dict[str, str]:
    """For programs made of DCMTK, which read TCP_NODELAY."""
    kept = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    return kept if nagle else kept | {"TCP_NODELAY": "1"}


def _start(*words: str, folder: Path, nagle: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        cwd=folder,
        env=_environment(nagle),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def tuipacs(folder: Path, _nagle: bool) -> Iterator[Server]:
    """Our daemon, with the default settings."""
    with rig.running_daemon(rig.make_archive(folder / "a")) as daemon:
        link = daemon.connect()
        yield Server(daemon.process, daemon.health.port, "TUIPACS", lambda: rig.instances(link))
        link.close()


@contextlib.contextmanager
def storescp(folder: Path, nagle: bool) -> Iterator[Server]:
    """DCMTK's receiver: writes files and keeps no index."""
    objects, port = folder / "objects", rig.free_port()
    objects.mkdir()
    process = _start("storescp", "-od", str(objects), str(port), folder=folder, nagle=nagle)
    with rig.ended(process):
        rig.wait_for_port(process, port)
        yield Server(process, port, "STORESCP", lambda: sum(1 for _ in objects.iterdir()))


@contextlib.contextmanager
def orthanc(folder: Path, nagle: bool) -> Iterator[Server]:
    """Orthanc with its default SQLite index, without plugins and on loopback."""
    http, dicom = rig.free_port(), rig.free_port()
    settings = {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [],
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "DicomAlwaysAllowStore": True,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    process = _start("Orthanc", "orthanc.json", folder=folder, nagle=nagle)

    def count() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/statistics") as answer:
            return int(json.load(answer)["CountInstances"])

    with rig.ended(process):
        rig.wait_for_port(process, http)
        rig.wait_for_port(process, dicom)
        yield Server(process, dicom, "ORTHANC", count)


SERVERS = {
    "tuipacs": ("storescu", tuipacs),
    "storescp": ("storescp", storescp),
    "Orthanc": ("Orthanc", orthanc),
}
"""Name, the program it cannot do without, and how to start it."""


@dataclass(frozen=True)
class Work:
    """What is sent, and how."""

    name: str
    files: Path
    count: int
    nagle: bool

    def send(self, server: Server) -> float:
        """Send all over one association; returns the seconds it took."""
        words = ("storescu", "-aec", server.ae_title, "+sd", "127.0.0.1", str(server.port))
        began = time.perf_counter()
        done = subprocess.run(
            [*words, str(self.files)],
            env=_environment(self.nagle),
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
        taken = time.perf_counter() - began
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")[-500:]
            raise SystemExit(f"storescu to {server.ae_title} failed: {said}")
        if server.count() != self.count:
            raise SystemExit(f"{server.ae_title} has {server.count()} of {self.count} objects")
        return taken


def measure(work: Work, name: str, scratch: Path) -> tuple[float, float, float]:
    """(seconds, processor seconds, peak MB) of one server for one work."""
    folder = scratch / "server"
    folder.mkdir()
    with SERVERS[name][1](folder, work.nagle) as server:
        rig.forget_peak(server.process.pid)
        before = rig.cpu_seconds(server.process.pid)
        seconds = work.send(server)
        processor = rig.cpu_seconds(server.process.pid) - before
        peak = rig.peak_mb(server.process.pid)
    shutil.rmtree(folder)
    return seconds, processor, peak


def works(scratch: Path, counts: dict[str, int], default_sender: int) -> list[Work]:
    """All that is sent; the files are written first."""
    found = []
    for nagle in (False, True):
        for name, rows in SIZES.items():
            count = min(default_sender, counts[name]) if nagle else counts[name]
            if count:
                files = scratch / f"{rows}-{nagle}"
                rig.write_series(files, count, rows)
                words = f"{count} x {name}, " + ("default sender" if nagle else "Nagle off")
                found.append(Work(words, files, count, nagle))
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--default-sender", type=int, default=200, help="objects with Nagle on")
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    options = parser.parse_args()
    rig.tell_machine()
    there = [name for name, (program, _) in SERVERS.items() if shutil.which(program)]
    for name in SERVERS.keys() - set(there):
        print(f"not run: {name} ({SERVERS[name][0]} is not installed)")
    if "tuipacs" not in there:
        return 1
    rows = []
    with rig.scratch(options.folder) as scratch:
        counts = dict(zip(SIZES, (options.ct, options.small), strict=True))
        for work in works(scratch, counts, options.default_sender):
            ours = 0.0
            for name in there:
                seconds, processor, peak = measure(work, name, scratch)
                ours = ours or seconds
                rows.append(
                    (
                        work.name,
                        name,
                        f"{seconds:.2f} s",
                        f"{work.count / seconds:,.0f}",
                        f"{seconds / ours:.2f}",
                        f"{processor:.2f} s",
                        f"{peak:.0f} MB",
                    )
                )
    heads = ("sent", "to", "time", "a second", "time / tuipacs", "server's CPU", "server's peak")
    rig.print_table(heads, rows, left=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
