"""How long to wait before something that failed is tried again."""

from __future__ import annotations


def doubling(first: float, longest: float, attempt: int) -> float:
    """Seconds after failed attempt 1, 2, ...: ``first``, then twice as long each time."""
    return min(first * 2.0 ** min(attempt - 1, 60), longest)
