"""A window of the day in local time: "22:00-06:00", over midnight if it must; empty is always."""

from __future__ import annotations

import datetime as dt
import re

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY = 24 * 60  # minutes


def opens_at(window: str, now: float) -> float | None:
    """When a window that is closed ``now`` opens; None if it is open.

    One that cannot be read never opens: a day from now is as good as any time to look again.
    """
    if not window:
        return None
    found = _WINDOW.fullmatch(window)
    if found is None:
        return now + 86400.0
    first_hour, first_minute, last_hour, last_minute = (int(part) for part in found.groups())
    first = first_hour * 60 + first_minute
    length = (last_hour * 60 + last_minute - first) % _DAY
    local = _local(now)
    if (local.hour * 60 + local.minute - first) % _DAY < length:
        return None
    return _next(local, first_hour, first_minute)


def closes_at(window: str, now: float) -> float | None:
    """When a window that is open ``now`` closes; None for no window: never."""
    found = _WINDOW.fullmatch(window)
    return None if found is None else _next(_local(now), int(found[3]), int(found[4]))


def _local(now: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(now)  # noqa: DTZ006 - the clock on the wall is what counts


def _next(local: dt.datetime, hour: int, minute: int) -> float:
    """The next time that the clock on the wall shows this, whatever is done to it at night."""
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (at if at > local else at + dt.timedelta(days=1)).timestamp()
