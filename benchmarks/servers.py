"""The archives that are measured side by side, each on an empty folder of the same disk.

What they promise differs: tuipacs answers a C-STORE after fsync of the file and the commit of the
index row; Orthanc writes its SQLite index and does not fsync the file; storescp writes the file.
Programs made of DCMTK (also Orthanc) read ``TCP_NODELAY``: with it neither they nor their answers
wait for Nagle's algorithm.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rig


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, and how many objects it has."""

    process: subprocess.Popen[bytes]
    port: int
    ae_title: str
    count: Callable[[], int]


Start = Callable[[Path, bool], contextlib.AbstractContextManager[Server]]
"""Run a server in an empty folder; whether the DCMTK in it keeps Nagle's algorithm."""


def environment(nagle: bool) -> dict[str, str]:
    """For programs made of DCMTK, which read TCP_NODELAY."""
    kept = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    return kept if nagle else kept | {"TCP_NODELAY": "1"}


def start(*words: str, folder: Path, nagle: bool) -> subprocess.Popen[bytes]:
    """Start a quiet program in a folder; end it with `rig.ended`."""
    return subprocess.Popen(
        words,
        cwd=folder,
        env=environment(nagle),
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
    """DCMTK's receiver: a process an association, files, no index, no fsync."""
    objects, port = folder / "objects", rig.free_port()
    objects.mkdir()
    process = start(
        "storescp", "--fork", "-od", str(objects), str(port), folder=folder, nagle=nagle
    )
    with rig.ended(process):
        rig.wait_for_port(process, port)
        yield Server(process, port, "STORESCP", lambda: sum(1 for _ in objects.iterdir()))


@dataclass(frozen=True)
class Orthanc(Server):
    """Orthanc has a REST API too."""

    http: int

    def get(self, path: str) -> Any:
        """GET of the REST API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}") as answer:
            return json.load(answer)


@contextlib.contextmanager
def orthanc(
    folder: Path, nagle: bool, more: Mapping[str, object] = MappingProxyType({})
) -> Iterator[Orthanc]:
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
    (folder / "orthanc.json").write_text(json.dumps(settings | dict(more)))
    process = start("Orthanc", "orthanc.json", folder=folder, nagle=nagle)
    with rig.ended(process):
        rig.wait_for_port(process, http)
        rig.wait_for_port(process, dicom)
        server = Orthanc(
            process, dicom, "ORTHANC", lambda: server.get("/statistics")["CountInstances"], http
        )
        yield server


SERVERS: Mapping[str, tuple[str, Start]] = {
    "tuipacs": ("storescu", tuipacs),
    "DCMTK": ("storescp", storescp),
    "Orthanc": ("Orthanc", orthanc),
}
"""Name, the program it cannot be measured without, and how to start it."""


def missing() -> list[str]:
    """Those of the servers whose program is not installed here."""
    return [name for name, (program, _) in SERVERS.items() if shutil.which(program) is None]


def installed() -> list[str]:
    """Those that can be run, in the order of the table."""
    return [name for name in SERVERS if name not in missing()]
