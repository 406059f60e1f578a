"""What the archive costs while nothing happens: processor and memory of the daemon.

    python benchmarks/idle.py [--seconds 60] [--stores 200] [--folder DIR]

A new archive, with nobody attached and with a client on the event stream; then the same after some
objects were stored over one association. The figures are those of the daemon and its children.
Goal: under 1 % of one processor and 150 MB.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import rig
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from tuipacs.client.connection import Connection
from tuipacs.domain.uid import new_uid
from tuipacs.errors import DaemonUnreachableError

CALM = 3.0  # seconds before each measurement


class Listener:
    """A client that follows the event stream, as each open screen does."""

    def __init__(self, connection: Connection) -> None:
        self.lines = 0
        self._connection = connection
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def _follow(self) -> None:
        with contextlib.suppress(DaemonUnreachableError):  # the daemon ends first
            for _ in self._connection.events():
                self.lines += 1

    def start(self) -> None:
        """Listen until the daemon ends."""
        self._thread.start()

    def join(self) -> None:
        """After the daemon ended."""
        self._thread.join(10)
        self._connection.close()


def measure(name: str, pid: int, seconds: float) -> tuple[str, ...]:
    """One line of the table."""
    time.sleep(CALM)
    worked, began = rig.cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    share = (rig.cpu_seconds(pid) - worked) / (time.monotonic() - began)
    resident, proportional = rig.memory_mb(pid)
    processes = len(rig.process_tree(pid))
    return (
        name,
        f"{share * 100:.2f} %",
        f"{resident:.0f} MB",
        f"{proportional:.0f} MB",
        str(processes),
    )


def store(port: int, count: int) -> None:
    """Send ``count`` objects of 33 kB over one association; each has to be accepted."""
    dataset = rig.ct_dataset(128)
    dataset.file_meta = rig.file_meta()
    entity = AE("IDLE")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="TUIPACS")
    if not association.is_established:
        raise SystemExit("the archive refused the association")
    for number in range(count):
        dataset.SOPInstanceUID, dataset.InstanceNumber = new_uid(), number + 1
        status = association.send_c_store(dataset)
        if status.get("Status") != 0x0000:
            raise SystemExit(f"object {number + 1} was not stored: {status}")
    association.release()


@contextlib.contextmanager
def attached(daemon: rig.Daemon) -> Iterator[Listener]:
    """A listener from here on; it ends with the daemon, so end that inside."""
    listener = Listener(daemon.connect())
    listener.start()
    try:
        yield listener
    finally:
        with rig.ended(daemon.process):
            pass
        listener.join()


def run(folder: Path, seconds: float, stores: int) -> list[tuple[str, ...]]:
    """One daemon: alone, after the stores, then both with a listener."""
    rows = []
    for listening in (False, True):
        words = "event stream attached" if listening else "nobody attached"
        paths = rig.make_archive(folder / ("b" if listening else "a"))
        with contextlib.ExitStack() as stack:
            daemon = stack.enter_context(rig.running_daemon(paths))
            listener = stack.enter_context(attached(daemon)) if listening else None
            pid = daemon.process.pid
            rows.append(measure(f"{words}, after the start", pid, seconds))
            store(daemon.health.port, stores)
            rows.append(measure(f"{words}, after {stores} stores", pid, seconds))
            if listener is not None:
                print(f"the listener heard {listener.lines} lines\n")
    return rows


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stores", type=int, default=200)
    options = parser.parse_args()
    rig.tell_machine()
    with rig.scratch(options.folder) as folder:
        rows = run(folder, options.seconds, options.stores)
    print(f"Idle over {options.seconds:.0f} s; goal: under 1 % of one processor and 150 MB")
    rig.print_table(("daemon", "processor", "resident", "proportional", "processes"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
