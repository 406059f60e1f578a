"""Retrieving, side by side with Orthanc and DCMTK's dcmqrscp: C-MOVE to a storescp, and C-GET.

    python benchmarks/retrieve.py [--ct 600] [--small 2000] [--repeats 3] [--json]

Every archive is filled by C-STORE with the same objects; then movescu has all of them sent to a
storescp that drops what it gets, and getscu gets them and drops them, in turns. Before, each of
them has written what came once, and every object has to be there. The time is that of the whole
movescu or getscu process. ``TCP_NODELAY=1`` for all that is made of DCMTK.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rig
from pydicom.filereader import dcmread
from receive import LONGEST, SIZES, expect, send
from servers import Server, environment, orthanc, start
from table import DCMTK, ORTHANC, OURS, Goal, Measure, show

from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.permissions import NodeService
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeAddRequest

ASKER, SINK = "ASKER", "SINK"


@dataclass(frozen=True)
class Sink:
    """A storescp that drops what it gets, and one that writes it."""

    drops: int
    writes: int
    folder: Path


@contextlib.contextmanager
def sinks(scratch: Path) -> Iterator[Sink]:
    """Both, until the block ends; titled SINK0 and SINK1."""
    folder = rig.new_folder(scratch, "sink")
    ports = rig.free_port(), rig.free_port()
    with contextlib.ExitStack() as stack:
        for port, how in zip(ports, (["--ignore"], ["-od", str(folder)]), strict=True):
            process = start("storescp", *how, str(port), folder=scratch, nagle=False)
            stack.enter_context(rig.ended(process))
            rig.wait_for_port(process, port)
        yield Sink(*ports, folder)


@contextlib.contextmanager
def _ours(folder: Path, sink: Sink) -> Iterator[Server]:
    with rig.running_daemon(rig.make_archive(folder / "a")) as daemon:
        link = daemon.connect()
        services = (NodeService.ECHO, NodeService.STORE, NodeService.MOVE, NodeService.GET)
        link.call(op.NODE_ADD, NodeAddRequest(ae_title=ASKER, address="", services=services))
        for number, port in enumerate((sink.drops, sink.writes)):
            call = NodeCall(host="127.0.0.1", port=port, services=(CallService.SEND,))
            node = NodeAddRequest(
                ae_title=f"{SINK}{number}", address="", services=(NodeService.ECHO,), call=call
            )
            link.call(op.NODE_ADD, node)
        yield Server(daemon.process, daemon.health.port, "TUIPACS", lambda: rig.instances(link))
        link.close()


@contextlib.contextmanager
def _orthanc(folder: Path, sink: Sink) -> Iterator[Server]:
    more = {
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {
            f"sink{number}": [f"{SINK}{number}", "127.0.0.1", port]
            for number, port in enumerate((sink.drops, sink.writes))
        },
    }
    with orthanc(folder, False, more) as server:
        yield server


_CONFIG = """\
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
sink0 = (SINK0, 127.0.0.1, {drops})
sink1 = (SINK1, 127.0.0.1, {writes})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
DCMQR {objects} RW (100, 64gb) ANY
AETable END
"""


@contextlib.contextmanager
def _dcmqrscp(folder: Path, sink: Sink) -> Iterator[Server]:
    """DCMTK's archive: an index file, no fsync, a process an association."""
    objects, port = folder / "objects", rig.free_port()
    objects.mkdir()
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        _CONFIG.format(port=port, objects=objects, drops=sink.drops, writes=sink.writes)
    )
    process = start("dcmqrscp", "-c", str(config), folder=folder, nagle=False)
    with rig.ended(process):
        rig.wait_for_port(process, port)
        yield Server(process, port, "DCMQR", lambda: sum(1 for _ in objects.glob("*.dcm")))


Serve = Callable[[Path, Sink], contextlib.AbstractContextManager[Server]]
SERVERS: dict[str, tuple[str, Serve]] = {
    OURS: ("movescu", _ours),
    DCMTK: ("dcmqrscp", _dcmqrscp),
    ORTHANC: ("Orthanc", _orthanc),
}


def missing() -> list[str]:
    """Those that cannot be run here."""
    return [name for name, (program, _) in SERVERS.items() if shutil.which(program) is None]


def ask(server: Server, study: str, *words: str) -> float:
    """Run movescu or getscu for a study; the seconds that it took."""
    program, *options = words
    titles = ("-aet", ASKER, "-aec", server.ae_title)
    keys = ("-k", "0008,0052=STUDY", "-k", f"0020,000d={study}")
    began = time.perf_counter()
    done = subprocess.run(
        [program, "-S", *titles, *options, *keys, "127.0.0.1", str(server.port)],
        env=environment(False),
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    taken = time.perf_counter() - began
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode or "E: " in said or "W: " in said:
        raise SystemExit(f"{program} from {server.ae_title} failed: {said[-500:]}")
    return taken


def check(server: Server, study: str, sink: Sink, count: int, scratch: Path) -> None:
    """Every object comes, both ways."""
    ask(server, study, "movescu", "-aem", f"{SINK}1")
    got = rig.new_folder(scratch, "got")
    ask(server, study, "getscu", "-od", str(got))
    for folder in (sink.folder, got):
        if (came := sum(1 for _ in folder.iterdir())) != count:
            raise SystemExit(f"{came} of {count} objects came from {server.ae_title}")
        for path in folder.iterdir():
            path.unlink()


def run(scratch: Path, counts: dict[str, int], repeats: int) -> list[Measure]:
    """All measures of retrieving; nothing without DCMTK's clients."""
    if any(shutil.which(program) is None for program in ("movescu", "getscu", "storescp")):
        return []
    return [
        measure
        for name, rows in SIZES.items()
        if counts[name]
        for measure in _measures(scratch, name, rows, counts[name], repeats)
    ]


def _measures(scratch: Path, name: str, rows: int, count: int, repeats: int) -> list[Measure]:
    series = rig.new_folder(scratch, "series")
    rig.write_series(series, count, rows)
    study = str(dcmread(next(series.iterdir()), stop_before_pixels=True).StudyInstanceUID)
    goals = [Goal(ORTHANC)]
    moved = Measure(f"C-MOVE of {count:,} {name}", "objects/s", goals)
    got = Measure(f"C-GET of {count:,} {name}", "objects/s", goals)
    ways = ((moved, ("movescu", "-aem", f"{SINK}0")), (got, ("getscu", "--ignore")))
    with sinks(scratch) as sink, contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for program, (_, serve) in SERVERS.items():
            if program in missing():
                continue
            server = stack.enter_context(serve(rig.new_folder(scratch, "server"), sink))
            send(server, [series], nagle=False)
            expect(server, count)
            check(server, study, sink, count, scratch)
            servers[program] = server
        os.sync()
        for _ in range(repeats):
            for measure, words in ways:
                for program, server in servers.items():
                    pid = server.process.pid
                    rig.forget_peak(pid)
                    before = rig.cpu_seconds(pid)
                    seconds = ask(server, study, *words)
                    spent = round(rig.cpu_seconds(pid) - before, 2)
                    peak = round(rig.peak_mb(pid))
                    measure.add(program, count / seconds, cpu_s=spent, peak_mb=peak)
    shutil.rmtree(series)
    return [moved, got]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="which disk is used")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rig.tell_machine()
    with rig.scratch(options.folder) as scratch:
        counts = dict(zip(SIZES, (options.ct, options.small), strict=True))
        results = run(scratch, counts, options.repeats)
    show(results, [f"{name}: not installed" for name in missing()], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
