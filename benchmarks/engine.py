"""The association engine beside Debian's DCMTK and Orthanc: everything, in one run and one table.

    python benchmarks/engine.py [--json] [--long] [--quick] [--repeats 3] [--only PART,PART]

Receiving over one association and over four, from a sender without and with Nagle's algorithm;
C-FIND over 20,000 studies; sending; one object of 2 GB; very many tiny objects (10,000, with --long
100,000). What is compared takes turns, so that a disturbance meets all. Each figure is the median
of three runs; the large object and the tiny ones come once. About a quarter of an hour on a machine
that does nothing else; --quick takes few of everything, to see that it works, and its figures mean
nothing. Needs Debian's ``dcmtk``; without ``orthanc`` its column stays empty. What was not run is
said, and why.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import find
import large
import receive
import retrieve
import rig
import send
from servers import SERVERS, missing
from table import OURS, Measure, show


@dataclass(frozen=True)
class Size:
    """How much of each."""

    ct: int = 600
    small: int = 2000
    default_sender: int = 200
    studies: int = 20_000
    gigabytes: float = 2.0
    tiny: int = 10_000
    repeats: int = 3

    @property
    def counts(self) -> dict[str, int]:
        """Objects of each of `receive.SIZES`."""
        return dict(zip(receive.SIZES, (self.ct, self.small), strict=True))


QUICK = Size(ct=20, small=40, default_sender=4, studies=200, gigabytes=0.1, tiny=200, repeats=1)
LONG_TINY = 100_000


def receiving(scratch: Path, size: Size) -> list[Measure]:
    """`benchmarks/receive.py`."""
    return receive.run(scratch, size.counts, size.default_sender, size.repeats)


def memory(scratch: Path, size: Size) -> list[Measure]:
    """`benchmarks/large.py`."""
    return [*large.large(scratch, size.gigabytes, 1), *large.tiny(scratch, size.tiny)]


def finding(scratch: Path, size: Size) -> list[Measure]:
    """`benchmarks/find.py`."""
    return find.run(scratch, size.studies, size.repeats)


def sending(scratch: Path, size: Size) -> list[Measure]:
    """`benchmarks/send.py`."""
    return send.run(scratch, size.counts, size.gigabytes, size.repeats)


def retrieving(scratch: Path, size: Size) -> list[Measure]:
    """`benchmarks/retrieve.py`."""
    return retrieve.run(scratch, size.counts, size.repeats)


PARTS: dict[str, Callable[[Path, Size], list[Measure]]] = {
    "receive": receiving,
    "find": finding,
    "send": sending,
    "retrieve": retrieving,
    "memory": memory,
}


def run(parts: Sequence[str], size: Size, folder: Path | None) -> list[Measure]:
    """The parts one after the other, each in a folder of its own."""
    with contextlib.ExitStack() as stack:
        measures = []
        for part in parts:
            measures += PARTS[part](stack.enter_context(rig.scratch(folder)), size)
        return measures


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, by comma")
    parser.add_argument("--long", action="store_true", help=f"{LONG_TINY:,} tiny objects")
    parser.add_argument("--repeats", type=int, default=Size.repeats)
    parser.add_argument("--quick", action="store_true", help="few of everything; no figures")
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    size = QUICK if options.quick else Size(repeats=options.repeats)
    if options.long:
        size = replace(size, tiny=LONG_TINY)
    rig.tell_machine()
    not_run = [f"{name}: {SERVERS[name][0]} is not installed" for name in missing()]
    not_run += [f"{part}: left out by --only" for part in PARTS if part not in parts]
    if not options.long:
        not_run.append(f"{LONG_TINY:,} tiny objects: {size.tiny:,} were sent instead; use --long")
    not_run.append("C-FIND in 1,000,000 instances: benchmarks/find.py --index FOLDER")
    if options.quick:
        not_run.append("the full size of anything (--quick): these figures mean nothing")
    if OURS in missing():  # nothing sends
        print("DCMTK's storescu is not installed: nothing can be measured", file=sys.stderr)
        return 1
    here, began = rig.machine(), time.monotonic()
    measures = run(parts, size, options.folder)
    here["seconds"] = round(time.monotonic() - began)
    here["load_afterwards"] = rig.machine()["load"]
    show(measures, not_run, options.json, here)
    return 0


if __name__ == "__main__":
    sys.exit(main())
