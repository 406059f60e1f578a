"""Send jobs, side by side with Orthanc: a study that is asked to be sent, until all of it is there.

    python benchmarks/send_jobs.py [--ct 600] [--small 2000] [--many 10000] [--repeats 3] [--json]

Both archives are filled by C-STORE with the same objects; then each is asked in turn to send the
study to a storescp that drops what it gets: ours by `send.submit` until the job has ended, Orthanc
by `POST /modalities/x/store` until it answers. Before, each has sent to a storescp that writes, and
every object has to be there. ``TCP_NODELAY=1`` for all that is made of DCMTK. The processor time is
that of the archive's whole process, and does not depend on what else the machine does.

Of a job of ``--many`` objects the time from asking to the first object at the receiver is told too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rig
from receive import SIZES, expect, send
from servers import Server, orthanc, start
from table import ORTHANC, OURS, Goal, Measure, show

from tuipacs.client.connection import Connection
from tuipacs.domain.job import JobState
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.query import SortKey
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import SendRequest
from tuipacs.schema.messages import ImportRequest, JobRequest, PageRequest
from tuipacs.schema.node_messages import NodeAddRequest

FIRST_OBJECT = 1.0  # seconds; the goal
DROPS, WRITES = "DROPS", "WRITES"
_POLL = 0.01  # seconds


@dataclass(frozen=True)
class Sender:
    """An archive that has the objects. ``send(title)``: the seconds until all were sent."""

    server: Server
    send: Callable[[str], float]


@contextlib.contextmanager
def receivers(scratch: Path) -> Iterator[dict[str, int]]:
    """A storescp that drops what it gets, and one that writes: their ports, by title."""
    ports = {DROPS: rig.free_port(), WRITES: rig.free_port()}
    with contextlib.ExitStack() as stack:
        for title, how in ((DROPS, ["--ignore"]), (WRITES, ["-od", str(scratch)])):
            words = ("storescp", *how, "-aet", title, str(ports[title]))
            process = start(*words, folder=scratch, nagle=False)
            stack.enter_context(rig.ended(process))
            rig.wait_for_port(process, ports[title])
        yield ports


def add_nodes(link: Connection, ports: dict[str, int]) -> None:
    """Let our archive know whom to send to."""
    for title, port in ports.items():
        call = NodeCall(host="127.0.0.1", port=port, services=(CallService.SEND,))
        link.call(op.NODE_ADD, NodeAddRequest(ae_title=title, address="", services=(), call=call))


def study_of(link: Connection) -> str:
    """The newest study."""
    page = PageRequest(sort=SortKey.RECEIVED, limit=1)
    return link.call(op.STUDIES, page).rows[0].study_instance_uid


def ended(link: Connection, key: int) -> float:
    """When a job ended, in seconds since the epoch; all of it has to be done."""
    while not (job := link.call(op.JOB, JobRequest(key=key))).state.ended:
        time.sleep(_POLL)
    if job.state is not JobState.DONE or job.finished_at is None:
        raise SystemExit(f"our job is {job.state.value}: {job.message}")
    return job.finished_at


@contextlib.contextmanager
def ours(folder: Path, ports: dict[str, int]) -> Iterator[Sender]:
    """Our daemon."""
    with rig.running_daemon(rig.make_archive(folder / "a")) as daemon:
        link = daemon.connect()
        add_nodes(link, ports)

        def work(title: str) -> float:
            study = study_of(link)
            began = time.time()
            key = link.call(op.SEND, SendRequest(uids=(study,), ae_title=title)).key
            return ended(link, key) - began

        count = lambda: rig.instances(link)  # noqa: E731
        yield Sender(Server(daemon.process, daemon.health.port, "TUIPACS", count), work)
        link.close()


@contextlib.contextmanager
def theirs(folder: Path, ports: dict[str, int]) -> Iterator[Sender]:
    """Orthanc."""
    modalities = {title: [title, "127.0.0.1", port] for title, port in ports.items()}
    with orthanc(folder, False, {"DicomModalities": modalities}) as server:

        def work(title: str) -> float:
            study = server.get("/studies")[-1]
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.http}/modalities/{title}/store",
                data=json.dumps({"Resources": [study], "Synchronous": True}).encode(),
            )
            began = time.perf_counter()
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - on loopback
                said = json.load(answer)
            seconds = time.perf_counter() - began
            if said.get("FailedInstancesCount"):
                raise SystemExit(f"Orthanc could not send: {said}")
            return seconds

        yield Sender(server, work)


SENDERS = {OURS: ours, ORTHANC: theirs}


def measure(scratch: Path, folder: Path, name: str, count: int, repeats: int) -> list[Measure]:
    """Objects a second, and processor time, of both."""
    speed = Measure(f"send job, {count:,} {name}", "objects/s", [Goal(ORTHANC)])
    work = Measure(f"processor time for it, {name}", "ms/object")
    with contextlib.ExitStack() as stack:
        place = rig.new_folder(scratch, "receiver")
        ports = stack.enter_context(receivers(place))
        senders = {}
        for program, begin in SENDERS.items():
            if program == ORTHANC and shutil.which("Orthanc") is None:
                continue
            sender = stack.enter_context(begin(rig.new_folder(scratch, "server"), ports))
            send(sender.server, [folder], nagle=False)
            expect(sender.server, count)
            before = sum(1 for _ in place.iterdir())
            sender.send(WRITES)
            arrived = sum(1 for _ in place.iterdir())
            if arrived < count or (program == OURS and arrived - before != count):
                raise SystemExit(f"{program} sent {arrived} of {count}")
            senders[program] = sender
        for _ in range(repeats):
            for program, sender in senders.items():
                os.sync()
                pid = sender.server.process.pid
                worked = rig.cpu_seconds(pid)
                seconds = sender.send(DROPS)
                worked = rig.cpu_seconds(pid) - worked
                speed.add(program, count / seconds)
                work.add(program, 1000 * worked / count)
    return [speed, work]


def first_object(scratch: Path, count: int, repeats: int) -> Measure:
    """From asking for a large job to its first object at the receiver."""
    result = Measure(f"first object of a job of {count:,}", "s", [Goal(below=FIRST_OBJECT)])
    folder = scratch / "many"
    rig.write_series(folder, count, 8)
    with rig.running_daemon(rig.make_archive(rig.new_folder(scratch, "server") / "a")) as daemon:
        link = daemon.connect()
        ended(link, link.call(op.IMPORT, ImportRequest(paths=(str(folder),))).key)
        study = study_of(link)
        for number in range(repeats):
            place = rig.new_folder(scratch, "receiver")
            with receivers(place) as ports:
                title = f"FIRST{number}"
                add_nodes(link, {title: ports[WRITES]})
                began = time.perf_counter()
                answer = link.call(op.SEND, SendRequest(uids=(study,), ae_title=title))
                asked = time.perf_counter() - began
                while not any(place.iterdir()):
                    time.sleep(0.002)
                result.add(OURS, time.perf_counter() - began, answered=round(asked, 3))
                ended(link, answer.key)
        link.close()
    shutil.rmtree(folder)
    return result


def run(scratch: Path, counts: dict[str, int], many: int, repeats: int) -> list[Measure]:
    """All measures; nothing without DCMTK."""
    if shutil.which("storescp") is None:
        return []
    results = []
    for name, rows in SIZES.items():
        if count := counts[name]:
            folder = scratch / "objects"
            rig.write_series(folder, count, rows)
            results += measure(scratch, folder, name, count, repeats)
            shutil.rmtree(folder)
    return results + ([first_object(scratch, many, repeats)] if many else [])


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="which disk is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rig.tell_machine()
    with rig.scratch(options.folder) as scratch:
        counts = dict(zip(SIZES, (options.ct, options.small), strict=True))
        results = run(scratch, counts, options.many, options.repeats)
    not_run = [] if results else ["send jobs: storescp is not installed"]
    if results and shutil.which("Orthanc") is None:
        not_run.append("Orthanc is not installed")
    show(results, not_run, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
