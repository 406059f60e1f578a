"""Ports for programs that cannot be given a listening socket."""

from __future__ import annotations

import itertools
import os
import socket
import time

_FIRST, _OF_A_WORKER = 20_000, 400  # below the ports that the system gives to anyone who asks
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = itertools.count(os.getpid())


def unused_port() -> int:
    """A port on loopback that nobody listens on, and that nobody is given by chance meanwhile."""
    for number in _numbers:
        port = _FIRST + _worker % 30 * _OF_A_WORKER + number % _OF_A_WORKER
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("counting does not end")


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    """Wait until somebody listens on a port of loopback."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")
