"""sd_notify(3): telling systemd that the service is ready or ends."""

from __future__ import annotations

import os
import socket


def tell(state: str) -> None:
    """Send ``state`` ("READY=1") to the socket in ``NOTIFY_SOCKET``; without one do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # in the abstract name space
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode("ascii"), address)
