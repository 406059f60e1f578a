"""What may stand in the record of a node: each check returns the canonical form.

They raise `UsageError` with what is wrong and what would be right. Screens ask them while a person
still looks at the field; `tuipacs.services.nodes` asks them again.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from tuipacs.domain.ae_title import check_ae_title
from tuipacs.domain.node import CallService, NodeCall
from tuipacs.domain.transfer_syntaxes import check_preferred
from tuipacs.errors import UsageError

MAX_HOST = 253  # characters (RFC 1035 2.3.4)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_WINDOW = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-3]):([0-5][0-9])")

LIMITS: dict[str, tuple[float, float, str]] = {  # of NodeCall: least, most, what it is
    "port": (1, 65535, "the port"),
    "max_associations": (1, 32, "the number of jobs at once"),
    "max_pdu": (4096, 1 << 20, "the PDU length in bytes"),
    "connect_timeout": (1, 300, "the time for a connection in seconds"),
    "acse_timeout": (1, 600, "the time for an association in seconds"),
    "dimse_timeout": (1, 3600, "the time for an answer in seconds"),
    "kib_per_second": (0, 10_000_000, "the rate in KiB/s"),
}
MAX_RESULTS = 10_000_000
MIN_RATE = 16  # KiB/s for each job: a block of 256 KiB then leaves before peers stop waiting (30 s)


def check_host(text: str) -> str:
    """An IP address or a host name; empty stays empty."""
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host:
        return ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.removesuffix(".").split(".")
    if ":" in host or "/" in host:
        remedy = "write only 192.0.2.17 or pacs.example.org; the port has a place of its own"
    elif labels[-1].isdecimal():
        remedy = "an IPv4 address has four numbers from 0 to 255"
    elif len(host) <= MAX_HOST and all(_LABEL.fullmatch(label) for label in labels):
        return host.lower()
    else:
        remedy = "write 192.0.2.17, 2001:db8::5 or pacs.example.org"
    raise UsageError("the host is neither an IP address nor a host name", remedy=remedy)


def check_window(text: str) -> str:
    """``22:00-06:00``: from when to when jobs run, in local time; empty stays empty."""
    if not text.strip():
        return ""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            "the time window is not from one time to another", remedy="write 22:00-06:00"
        )
    first, last = (f"{int(h):02}:{m}" for h, m in (found.groups()[:2], found.groups()[2:]))
    if first == last:
        raise UsageError("the time window is empty", remedy="leave it empty for always")
    return f"{first}-{last}"


def check_limit(name: str, value: float) -> None:
    """A number of `NodeCall` has to be within `LIMITS`."""
    least, most, what = LIMITS[name]
    if not least <= value <= most:  # not even NaN is
        raise UsageError(f"{what} is from {least:g} to {most:,.0f}")


def check_max_results(value: int) -> int:
    """How many answers a query gets at most; 0: as many as the archive gives."""
    if not 0 <= value <= MAX_RESULTS:
        raise UsageError(f"the number of answers is from 0 to {MAX_RESULTS:,}")
    return value


def check_call(call: NodeCall) -> NodeCall:
    """How a node is called, each field in its canonical form."""
    host = check_host(call.host)
    services = tuple(service for service in CallService if service in call.services)
    for name in LIMITS:
        check_limit(name, getattr(call, name))
    if 0 < call.kib_per_second < MIN_RATE * call.max_associations:
        each = " for each of its jobs at once" if call.max_associations > 1 else ""
        raise UsageError(
            f"the rate is at least {MIN_RATE} KiB/s{each}, or 0 for no limit",
            remedy="with less the peer takes the pauses for a lost connection",
        )
    if services and not host:
        raise UsageError(
            "a node without a host cannot be asked for anything",
            remedy="say which host and port it is called at, or that nothing is asked of it",
        )
    if host and not services:
        raise UsageError(
            "a node with a host that is asked for nothing is never called",
            remedy="say what it may be asked for, such as echo and send, or give no host",
        )
    title = call.calling_ae_title
    return msgspec.structs.replace(
        call,
        host=host,
        services=services,
        calling_ae_title=check_ae_title(title) if title.strip(" \0") else "",
        preferred_syntaxes=check_preferred(call.preferred_syntaxes),
        window=check_window(call.window),
    )
