"""Memory while much comes in: one object of 2 GB, and very many tiny ones.

    python benchmarks/large.py [--gigabytes 2] [--tiny 10000] [--repeats 1]

The large object is a multi-frame secondary capture whose file is sparse (its pixels are zeros; what
is received is written in full). Its peak is the most the server was resident in (VmHWM, counted
from before the object); for programs that fork, that of the first process only. The tiny ones come
over four associations at once from ``storescu --repeat``, which invents UIDs; the daemon's resident
memory is read each half second. Nothing is left out by a sampling peak: VmHWM is told beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import rig
from pydicom.filewriter import dcmwrite
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage
from receive import SENDERS, expect, send
from servers import SERVERS, environment, installed
from table import OURS, Goal, Measure, show

FRAME = 512 * 512 * 2  # bytes
MEMORY_GOAL = 200.0  # MB
FLAT_GOAL = 10.0  # MB more at the end than after a tenth
SAMPLE = 0.5  # seconds


def write_multi_frame(path: Path, gigabytes: float) -> int:
    """Write a sparse Part 10 file with so many GiB of pixels; returns the number of frames."""
    frames = max(1, int(gigabytes * (1 << 30)) // FRAME)
    dataset = rig.ct_dataset(512)
    del dataset.PixelData
    dataset.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    dataset.NumberOfFrames, dataset.PixelRepresentation = frames, 0
    dataset.file_meta = rig.file_meta()
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + (frames * FRAME).to_bytes(4, "little"))
        file.truncate(file.tell() + frames * FRAME)
    return frames


def large(scratch: Path, gigabytes: float, repeats: int) -> list[Measure]:
    """Receive one large object: how fast, and in how much memory."""
    source = scratch / "large"
    frames = write_multi_frame(source / "large.dcm", gigabytes)
    megabytes = frames * FRAME / 1e6
    name = f"one object of {megabytes:,.0f} MB ({frames:,} frames)"
    speed = Measure(f"receive {name}", "MB/s")
    memory = Measure("peak memory of the server meanwhile", "MB", [Goal(below=MEMORY_GOAL)])
    memory.note = "of DCMTK's storescp the process that listens, not the one that it forks"
    for _ in range(repeats):
        for program in installed():
            folder = scratch / "server"
            folder.mkdir()
            with SERVERS[program][1](folder, False) as server:
                os.sync()
                rig.forget_peak(server.process.pid)
                speed.add(program, megabytes / send(server, [source], nagle=False))
                expect(server, 1)
                memory.add(program, rig.peak_mb(server.process.pid))
            shutil.rmtree(folder)
    shutil.rmtree(source)
    return [speed, memory]


def tiny(scratch: Path, count: int) -> list[Measure]:
    """Receive very many tiny objects over four associations; the daemon's memory meanwhile."""
    each = count // SENDERS
    source = scratch / "tiny"
    rig.write_series(source, 1, 16)
    folder = scratch / "server"
    folder.mkdir()
    with SERVERS[OURS][1](folder, False) as server:
        pid = server.process.pid
        send(server, [source], nagle=False)
        expect(server, 1)
        os.sync()
        rig.forget_peak(pid)
        words = ["storescu", "-R", "-aec", server.ae_title, "--repeat", str(each)]
        words += ["+IR", "100", "+IS", "5", "+IP", "4", "127.0.0.1", str(server.port)]
        began = time.perf_counter()
        samples = [_sample(pid, 0)]
        with contextlib.ExitStack() as stack:
            senders = [_sender([*words, str(source / "00001.dcm")]) for _ in range(SENDERS)]
            for sender in senders:
                stack.enter_context(rig.ended(sender))
            while any(sender.poll() is None for sender in senders):
                time.sleep(SAMPLE)
                samples.append(_sample(pid, server.count()))
            seconds = time.perf_counter() - began
            if any(sender.returncode for sender in senders):
                raise SystemExit("a storescu failed")
        expect(server, SENDERS * each + 1)
        peak = rig.peak_mb(pid)
    shutil.rmtree(folder)
    shutil.rmtree(source)
    name = f"receive {SENDERS * each:,} tiny objects, {SENDERS} associations at once"
    speed = Measure(name, "objects/s")
    speed.add(OURS, SENDERS * each / seconds)
    growth = Measure("growth of the daemon from a tenth of them to the end", "MB")
    growth.goals = [Goal(below=FLAT_GOAL)]
    last = samples[-1][1]
    growth.add(OURS, last - _after_a_tenth(samples), start_mb=samples[0][1], end_mb=last)
    growth.further[f"{OURS}, (objects, MB)"] = samples
    growth.note = f"{samples[0][1]:.0f} MB before, {last:.0f} MB after, peak {peak:.0f} MB"
    return [speed, growth]


def _sender(words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        env=environment(nagle=False),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _sample(pid: int, count: int) -> tuple[int, float]:
    return count, round(rig.memory_mb(pid)[0], 1)


def _after_a_tenth(samples: Sequence[tuple[int, float]]) -> float:
    tenth = samples[-1][0] / 10
    return next(size for count, size in samples if count >= tenth)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--tiny", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rig.tell_machine()
    if OURS not in installed():
        return 1
    with rig.scratch(options.folder) as scratch:
        results = large(scratch, options.gigabytes, options.repeats) if options.gigabytes else []
        results += tiny(scratch, options.tiny) if options.tiny else []
    show(results, [], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
