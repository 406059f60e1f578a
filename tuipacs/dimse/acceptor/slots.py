"""How many associations there may be: in all, for each calling AE, address, and for strangers."""

from __future__ import annotations

import threading
from collections import Counter

from tuipacs.dimse.contract import Caller, ListenerSettings
from tuipacs.domain.admission import Admission
from tuipacs.domain.permissions import NodeService

_STRANGERS_SHARE = 4  # callers that may only echo get a quarter: they cannot block the nodes


class AssociationSlots:
    """Thread-safe counters against the caps of the settings."""

    def __init__(self, settings: ListenerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._total = 0
        self._strangers = 0
        self._by_title: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Open associations."""
        return self._total

    def claim(self, caller: Caller, admission: Admission) -> str:
        """Take a slot, or say in words which cap is reached."""
        settings = self._settings
        with self._lock:
            if self._total >= settings.max_associations:
                return f"{settings.max_associations} associations are open, the most in all"
            if self._by_title[caller.calling_ae_title] >= settings.max_associations_per_ae:
                return f"{settings.max_associations_per_ae} associations of this AE are open"
            if self._by_address[caller.address] >= settings.max_associations_per_address:
                return (
                    f"{settings.max_associations_per_address} associations of this address are open"
                )
            share = max(1, settings.max_associations // _STRANGERS_SHARE)
            if _is_stranger(admission) and self._strangers >= share:
                return f"{share} associations of unknown callers are open"
            self._count(caller, admission, 1)
        return ""

    def give_back(self, caller: Caller, admission: Admission) -> None:
        """Return what `claim` took."""
        with self._lock:
            self._count(caller, admission, -1)

    def _count(self, caller: Caller, admission: Admission, step: int) -> None:
        self._total += step
        self._strangers += step * _is_stranger(admission)
        for counter, key in (
            (self._by_title, caller.calling_ae_title),
            (self._by_address, caller.address),
        ):
            counter[key] += step
            if not counter[key]:
                del counter[key]


def _is_stranger(admission: Admission) -> bool:
    return not admission.known and NodeService.STORE not in admission.services
