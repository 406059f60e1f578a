"""Sending to DCMTK's storescp: our requestor beside DCMTK's storescu, one association each.

    python benchmarks/send.py [--ct 600] [--small 2000] [--gigabytes 2] [--repeats 3]

CT slices of 0.5 MB, objects of 33 kB, and one object of 2 GB. ``TCP_NODELAY=1`` for DCMTK's
programs; ours needs no such setting. The senders take turns, each run with a new storescp on an
empty folder, and afterwards every object has to be there.

storescu is timed as a whole process. Ours is timed from the call of `store_objects` to its last
outcome, in a process of its own, without the start of the interpreter and without looking into the
files first: an archive runs already, and knows from its index what it sends.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rig
from large import FRAME, MEMORY_GOAL, write_multi_frame
from receive import LONGEST, SIZES, expect, send
from servers import Server, installed, storescp
from table import DCMTK, OURS, Goal, Measure, show

from tuipacs.scu.c_store import store_objects
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import file_source

GOALS = dict(zip(SIZES, (365, 1400), strict=True))  # objects a second

Sent = tuple[float, dict[str, float]]
"""Seconds, and further figures."""


def ours(server: Server, folder: Path) -> Sent:
    """Send a folder from a new process of our own."""
    words = [sys.executable, __file__, "--sender", str(folder), server.ae_title, str(server.port)]
    done = subprocess.run(words, capture_output=True, timeout=LONGEST, check=False)
    if done.returncode:
        raise SystemExit(f"our sender failed: {done.stderr.decode(errors='replace')[-500:]}")
    figures = json.loads(done.stdout)
    return figures.pop("seconds"), figures


def sender(folder: Path, ae_title: str, port: int) -> None:
    """What runs in the process of `ours`."""
    sources = [file_source(path) for path in sorted(folder.iterdir())]
    contexts = sorted({source.context for source in sources})
    peer = Peer("127.0.0.1", port, ae_title, "TUIPACS")
    pid = os.getpid()
    rig.forget_peak(pid)
    worked, began = time.process_time(), time.perf_counter()
    outcomes = list(store_objects(peer, sources, contexts))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    if failed := [outcome for outcome in outcomes if not outcome.stored]:
        raise SystemExit(f"{len(failed)} were not stored: {failed[0].comment}")
    json.dump(
        {"seconds": seconds, "cpu_s": round(worked, 3), "peak_mb": round(rig.peak_mb(pid))},
        sys.stdout,
    )


def storescu(server: Server, folder: Path) -> Sent:
    """Send a folder with DCMTK's sender."""
    return send(server, [folder], nagle=False), {}


SENDERS: dict[str, Callable[[Server, Path], Sent]] = {OURS: ours, DCMTK: storescu}


def measure(
    scratch: Path, folder: Path, count: int, repeats: int
) -> list[tuple[str, float, dict[str, float]]]:
    """(program, seconds, further figures) of each run."""
    runs = []
    for _ in range(repeats):
        for program, work in SENDERS.items():
            place = rig.new_folder(scratch, "server")
            with storescp(place, False) as server:
                os.sync()
                seconds, further = work(server, folder)
                expect(server, count)
            runs.append((program, seconds, further))
    return runs


def run(scratch: Path, counts: dict[str, int], gigabytes: float, repeats: int) -> list[Measure]:
    """All measures of sending; nothing without DCMTK."""
    if DCMTK not in installed():
        return []
    results = []
    for name, rows in SIZES.items():
        if count := counts[name]:
            folder = scratch / "objects"
            rig.write_series(folder, count, rows)
            result = Measure(f"send {count:,} {name}, one association", "objects/s")
            result.goals = [Goal(at_least=GOALS[name])]
            for program, seconds, further in measure(scratch, folder, count, repeats):
                result.add(program, count / seconds, **further)
            shutil.rmtree(folder)
            results.append(result)
    return results + (large(scratch, gigabytes) if gigabytes else [])


def large(scratch: Path, gigabytes: float) -> list[Measure]:
    """One large object: how fast, and in how much memory."""
    folder = scratch / "large"
    frames = write_multi_frame(folder / "large.dcm", gigabytes)
    megabytes = frames * FRAME / 1e6
    speed = Measure(f"send one object of {megabytes:,.0f} MB ({frames:,} frames)", "MB/s")
    memory = Measure("peak memory of our sender meanwhile", "MB", [Goal(below=MEMORY_GOAL)])
    for program, seconds, further in measure(scratch, folder, 1, 1):
        speed.add(program, megabytes / seconds, **further)
        if program == OURS:
            memory.add(OURS, further["peak_mb"])
    shutil.rmtree(folder)
    return [speed, memory]


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    if arguments[:1] == ["--sender"]:
        folder, ae_title, port = arguments[1:]
        sender(Path(folder), ae_title, int(port))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rig.tell_machine()
    with rig.scratch(options.folder) as scratch:
        counts = dict(zip(SIZES, (options.ct, options.small), strict=True))
        results = run(scratch, counts, options.gigabytes, options.repeats)
    show(results, [] if results else ["sending: storescp is not installed"], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
