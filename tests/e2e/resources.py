"""What a process holds, from /proc."""

from __future__ import annotations

import contextlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"  # a state in /proc/net/tcp


@dataclass(frozen=True)
class Resources:
    """Memory in MiB; ``connections``: sockets at the given ports that do not listen."""

    connections: int
    threads: int
    descriptors: int
    resident: int
    peak: int


def resources_of(pid: int, ports: Container[int]) -> Resources:
    """Of a process that serves these TCP ports."""
    process = Path(f"/proc/{pid}")
    status = (process / "status").read_text()
    held = _open_files(process / "fd")
    connections = 0
    for line in (process / "net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if int(local.rpartition(":")[2], 16) in ports and state != _LISTENING:
            connections += f"socket:[{inode}]" in held
    return Resources(
        connections,
        len(list((process / "task").iterdir())),
        len(held),
        _mebibytes(status, "VmRSS:"),
        _mebibytes(status, "VmHWM:"),
    )


def _open_files(folder: Path) -> list[str]:
    """What each descriptor is; some may close while this looks."""
    held = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.append(str(path.readlink()))
    return held


def _mebibytes(status: str, name: str) -> int:
    return int(status.partition(name)[2].split()[0]) >> 10
