"""Sizes as people read them: one way on the screens and on the command line."""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes in decimal units with two or three significant digits: ``161 MB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            break
        value /= 1000
    if unit == "B" or value >= 99.95:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}"
