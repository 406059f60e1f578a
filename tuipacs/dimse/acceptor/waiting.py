"""How many connections may be open without an association, before it and after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tuipacs.dimse.acceptor.slots import counted_address
from tuipacs.dimse.contract import Expects, ListenerSettings

_KEPT = 4  # a quarter of the places is for the addresses of known nodes


def too_many_waiting(
    addresses: Iterable[str], address: str, settings: ListenerSettings, expects: Expects
) -> str:
    """Why one more from ``address`` may not wait, in words; empty if it may.

    ``addresses`` of all that wait. A crowd of unknown addresses cannot take the last quarter.
    """
    waiting = Counter(map(counted_address, addresses))
    total = waiting.total()
    most = settings.max_waiting
    if total >= most - most // _KEPT and not expects(address):
        most -= most // _KEPT
    if total >= most:
        return f"{most} connections wait to associate"
    of_one = settings.max_waiting_per_address
    if waiting[counted_address(address)] >= of_one:
        return f"{of_one} connections of this address wait to associate"
    return ""
