"""Opening a port, and saying in words why it cannot be had."""

from __future__ import annotations

import errno
import socket

from tuipacs.errors import UnavailableError

BACKLOG = 128


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket, not blocking. ``setting`` is the port's, for the remedy.

    Raises `UnavailableError`, with a remedy, when the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise UnavailableError(
            f"{host!r} is no address that can be listened on",
            remedy="set dicom.host to an address of this machine",
        ) from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _cannot_listen(host, port, setting, error) from None
    return listening


def _cannot_listen(host: str, port: int, setting: str, error: OSError) -> UnavailableError:
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(
            f"port {port} is in use (by another archive?)",
            remedy=f"stop the other program, or set another {setting}",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnavailableError(
            f"this user may not listen on port {port}",
            remedy="take a port above 1023 (usual are 11112, and 2762 for TLS), or give the"
            " program CAP_NET_BIND_SERVICE",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UnavailableError(
            f"{host} is not an address of this machine",
            remedy="set dicom.host to one that is, or to 0.0.0.0 for all",
        )
    return UnavailableError(f"cannot listen on {host} port {port}: {error.strerror}")
