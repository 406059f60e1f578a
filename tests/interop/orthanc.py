"""Orthanc as a client: told by its REST API what to do with the archive."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.ports import unused_port

PATIENCE = 20.0  # seconds to start


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc, by the port of its REST API; ``dicom_port``: where it takes objects."""

    port: int
    dicom_port: int = 0

    def ask(self, method: str, path: str, body: object = b"") -> Any:
        """One request; ``body`` is sent as it is, or as JSON. Raises `httpx.HTTPStatusError`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = httpx.request(method, url, content=data, timeout=60).raise_for_status()
        return answer.json() if answer.content.strip() else None

    def fetch(self, path: str) -> bytes:
        """The bytes of an answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(url, timeout=60).raise_for_status().content

    def know(self, name: str, ae_title: str, port: int, *, tls: bool = False) -> None:
        """Add a modality."""
        node = {"AET": ae_title, "Host": "127.0.0.1", "Port": port, "UseDicomTls": tls}
        self.ask("PUT", f"/modalities/{name}", node)


@contextmanager
def running_orthanc(folder: Path, settings: Mapping[str, object]) -> Iterator[Orthanc]:
    """Orthanc on a folder until the block ends."""
    ports = [int(str(settings.get(name, 0))) or unused_port() for name in ("HttpPort", "DicomPort")]
    standard = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": ports[0],
        "DicomPort": ports[1],
        "DicomAet": "ORTHANC",
    }
    (folder / "orthanc.json").write_text(json.dumps(standard | dict(settings)))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", "orthanc.json"], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(ports[0]):
            assert process.poll() is None, (folder / "orthanc.log").read_text()
            assert time.monotonic() < deadline, "Orthanc does not answer"
            time.sleep(0.02)
        yield Orthanc(*ports)
    finally:
        process.kill()  # its own end takes three seconds
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
