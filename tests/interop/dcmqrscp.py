"""DCMTK's image archive: another one to query and retrieve from."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import unused_port

TITLE = "QRSCP"
PATIENCE = 20.0  # seconds to start


@contextmanager
def running_dcmqrscp(folder: Path, knows: tuple[str, int]) -> Iterator[int]:
    """It on an empty folder until the block ends; its port. ``knows``: AE title and port."""
    port = unused_port()
    (folder / "db").mkdir(parents=True)
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\narchive = ({knows[0]}, 127.0.0.1, {knows[1]})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{TITLE} {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "dcmqrscp.log").open("wb") as log:
        process = subprocess.Popen(
            ["dcmqrscp", "-c", "dcmqrscp.cfg"],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, (folder / "dcmqrscp.log").read_text()
            assert time.monotonic() < deadline, "dcmqrscp does not answer"
            time.sleep(0.02)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it serves each association in a child
        process.wait()


def store(port: int, files: Sequence[Path]) -> None:
    """Put files into it."""
    command = ["storescu", "-aec", TITLE, "127.0.0.1", str(port), *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
