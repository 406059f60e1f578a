"""Whether a destination is this archive itself: objects sent there would come back for ever."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import NamedTuple

from tuipacs.domain.network import caller_address
from tuipacs.domain.node import NodeCall
from tuipacs.domain.node_words import endpoint
from tuipacs.errors import UsageError


class Listening(NamedTuple):
    """Where the archive receives: its host as in the settings, and its ports."""

    host: str
    ports: tuple[int, ...]


def refuse_ourselves(call: NodeCall, own: Listening, *, resolve: bool) -> None:
    """Raise `UsageError` if ``call`` leads here.

    ``resolve``: ask for the addresses of a host name, which may take its time.
    """
    if call.port not in own.ports or not call.host:
        return
    own_addresses = list(_addresses(own.host, resolve=True, is_own=True)) if own.host else []
    for address in _addresses(call.host, resolve=resolve):
        for listened in own_addresses or [address]:
            is_any = listened.is_unspecified or not own_addresses
            if _is_local(address) if is_any else address == listened:
                raise UsageError(
                    f"{endpoint(call)} is this archive itself",
                    remedy="give the host and port of the other one",
                )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK = {  # where connecting to "any address" ends
    4: ipaddress.ip_address("127.0.0.1"),
    6: ipaddress.ip_address("::1"),
}


def _addresses(host: str, *, resolve: bool, is_own: bool = False) -> Iterator[_Address]:
    try:
        address = ipaddress.ip_address(caller_address(host))
        yield _LOOPBACK[address.version] if address.is_unspecified and not is_own else address
        return
    except ValueError:
        if not resolve and host != "localhost":
            return
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, socket_address in found:
        yield ipaddress.ip_address(caller_address(str(socket_address[0])))


def _is_local(address: _Address) -> bool:
    """Whether it is one of this machine: only then can a socket have it."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
