"""IP addresses of nodes: what may be written down, and whether a caller's address fits it."""

from __future__ import annotations

import ipaddress

from tuipacs.errors import UsageError

_NO_MATCH = -1


def check_node_address(text: str) -> str:
    """``text`` in its canonical form: an IP address, a CIDR network, or empty for any address.

    Raises `UsageError` for host names (a name server would decide who is trusted) and for a network
    with host bits, which is usually a slip.
    """
    text = text.strip()
    if not text:
        return ""
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(
            "the address is neither an IP address nor a network",
            remedy="write 192.0.2.17, 192.0.2.0/24, 2001:db8::5, or nothing for any address",
        ) from None


def caller_address(text: str) -> str:
    """A socket's peer address as nodes are written: no zone, no IPv4 inside IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def match_length(rule: str, caller: str) -> int:
    """How closely ``rule`` (of `check_node_address`) names ``caller``; -1 when it does not.

    0 for the empty rule, else the prefix length in bits + 1: the longest match is the closest one.
    """
    if not rule:
        return 0
    network = ipaddress.ip_network(rule)
    address = ipaddress.ip_address(caller)
    if address.version != network.version or address not in network:
        return _NO_MATCH
    return network.prefixlen + 1
