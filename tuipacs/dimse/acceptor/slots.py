"""How many associations there may be: in all, for each calling AE, address, and for strangers."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter

from tuipacs.dimse.contract import Caller, ListenerSettings
from tuipacs.domain.admission import Admission
from tuipacs.domain.permissions import NodeService

_IPV6_NETWORK = 64  # bits; whoever has one address of such a network has all of them


def counted_address(address: str) -> str:
    """What the caps count ``address`` (of `caller_address`) as."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, _IPV6_NETWORK), strict=False))


class AssociationSlots:
    """Thread-safe counters against the caps of the settings."""

    def __init__(self, settings: ListenerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._total = 0
        self._strangers = 0
        # A title is a claim: a stranger's is not counted as the node's.
        self._by_title: Counter[tuple[str, bool]] = Counter()
        self._by_address: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Open associations."""
        return self._total

    def claim(self, caller: Caller, admission: Admission) -> str:
        """Take a slot, or say in words which cap is reached."""
        settings = self._settings
        title, address = _keys(caller, admission)
        share = _strangers_share(admission, settings.max_associations)
        with self._lock:
            if self._total >= settings.max_associations:
                return f"{settings.max_associations} associations are open, the most in all"
            if self._by_title[title] >= settings.max_associations_per_ae:
                return f"{settings.max_associations_per_ae} associations of this AE are open"
            if self._by_address[address] >= settings.max_associations_per_address:
                return (
                    f"{settings.max_associations_per_address} associations of this address are open"
                )
            if not admission.known and self._strangers >= share:
                return f"{share} associations of unknown callers are open"
            self._count(caller, admission, 1)
        return ""

    def give_back(self, caller: Caller, admission: Admission) -> None:
        """Return what `claim` took."""
        with self._lock:
            self._count(caller, admission, -1)

    def _count(self, caller: Caller, admission: Admission, step: int) -> None:
        title, address = _keys(caller, admission)
        self._total += step
        self._strangers += step * (not admission.known)
        self._by_title[title] += step
        if not self._by_title[title]:
            del self._by_title[title]
        self._by_address[address] += step
        if not self._by_address[address]:
            del self._by_address[address]


def _keys(caller: Caller, admission: Admission) -> tuple[tuple[str, bool], str]:
    return (caller.calling_ae_title, admission.known), counted_address(caller.address)


def _strangers_share(admission: Admission, slots: int) -> int:
    """How many of ``slots`` all strangers may have before this one: they cannot block the nodes.

    A quarter if it may only echo, else all but a quarter.
    """
    quarter = max(1, slots // 4)
    return quarter if NodeService.STORE not in admission.services else max(1, slots - quarter)
