"""Receiving, side by side with DCMTK's storescp and Orthanc; DCMTK's storescu sends.

    python benchmarks/receive.py [--ct 600] [--small 2000] [--default-sender 200] [--repeats 3]

CT slices of 0.5 MB and objects of 33 kB: over one association and over four at once with Nagle's
algorithm off on both sides (``TCP_NODELAY=1``; without it DCMTK's answers wait too), and over one
as all are by default (fewer objects: each can wait 40 ms and more). Each run has a new server on an
empty folder, which first receives one other object, so that no run meets objects it knows; the
servers take turns; afterwards every object has to be there. The time is that of the storescu
processes from the first start to the last end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rig
from servers import SERVERS, Server, environment, installed, missing
from table import ORTHANC, OURS, Goal, Measure, show

SIZES = {"CT of 0.5 MB": 512, "of 33 kB": 128}
SENDERS = 4  # associations at once
LONGEST = 1800  # seconds for one storescu


@dataclass(frozen=True)
class Work:
    """Folders that are sent at the same time, each over an association of its own."""

    name: str
    folders: Sequence[Path]
    count: int  # in all of them
    nagle: bool = False
    goals: Sequence[Goal] = ()


def send(server: Server, folders: Sequence[Path], nagle: bool) -> float:
    """Send folders at the same time; returns the seconds until the last storescu has ended."""
    words = ("storescu", "-R", "-aec", server.ae_title, "+sd", "127.0.0.1", str(server.port))
    began = time.perf_counter()
    senders = [
        subprocess.Popen(
            [*words, str(folder)],
            env=environment(nagle),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for folder in folders
    ]
    failures = []
    for sender in senders:
        _, said = sender.communicate(timeout=LONGEST)
        if sender.returncode:
            failures.append(said.decode(errors="replace")[-500:])
    taken = time.perf_counter() - began
    if failures:
        raise SystemExit(f"storescu to {server.ae_title} failed: {failures[0]}")
    return taken


def expect(server: Server, count: int) -> None:
    """Every object has arrived, or the benchmark ends here."""
    if server.count() != count:
        raise SystemExit(f"{server.ae_title} has {server.count()} of {count} objects")


def measure(work: Work, names: Sequence[str], repeats: int, scratch: Path) -> Measure:
    """Objects a second in each server, the servers taking turns."""
    result = Measure(work.name, "objects/s", work.goals)
    first = scratch / "first"
    if not first.exists():
        rig.write_series(first, 1, 128)
    for _ in range(repeats):
        for name in names:
            folder = rig.new_folder(scratch, "server")
            with SERVERS[name][1](folder, work.nagle) as server:
                send(server, [first], work.nagle)
                expect(server, 1)
                os.sync()  # what others left unwritten is not this server's to pay
                pid = server.process.pid
                rig.forget_peak(pid)
                before = rig.cpu_seconds(pid)
                seconds = send(server, work.folders, work.nagle)
                spent = rig.cpu_seconds(pid) - before
                expect(server, work.count + 1)
                peak = rig.peak_mb(pid)
            result.add(name, work.count / seconds, cpu_s=round(spent, 2), peak_mb=round(peak))
    return result


def _series(scratch: Path, count: int, rows: int) -> Path:
    folder = rig.new_folder(scratch, "series")
    rig.write_series(folder, count, rows)
    return folder


def works(scratch: Path, counts: dict[str, int], default_sender: int, four: bool) -> Iterator[Work]:
    """All that is sent."""
    for name, rows in SIZES.items():
        if count := counts[name]:
            files = [_series(scratch, count, rows)]
            words = f"receive {count:,} {name}, one association"
            yield Work(words, files, count, goals=[Goal(ORTHANC, 2)])
    for name, rows in SIZES.items():
        if count := min(default_sender, counts[name]):
            files = [_series(scratch, count, rows)]
            words = f"receive {count:,} {name}, default sender (Nagle on)"
            yield Work(words, files, count, nagle=True, goals=[Goal(ORTHANC, 20)])
    for name, rows in SIZES.items():
        if four and (count := counts[name] // SENDERS):
            files = [_series(scratch, count, rows) for _ in range(SENDERS)]
            words = f"receive {SENDERS} x {count:,} {name}, {SENDERS} associations at once"
            yield Work(words, files, SENDERS * count, goals=[Goal(ORTHANC, 2)])


def run(
    scratch: Path, counts: dict[str, int], default_sender: int, repeats: int, four: bool = True
) -> list[Measure]:
    """All measures of receiving."""
    names = installed()
    if OURS not in names:  # nothing sends
        return []
    results = []
    for work in works(scratch, counts, default_sender, four):
        results.append(measure(work, names, repeats, scratch))
    return results


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--default-sender", type=int, default=200, help="objects with Nagle on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rig.tell_machine()
    with rig.scratch(options.folder) as scratch:
        counts = dict(zip(SIZES, (options.ct, options.small), strict=True))
        results = run(scratch, counts, options.default_sender, options.repeats)
    show(results, [f"{name}: not installed" for name in missing()], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
