"""Headings and tables of a Markdown document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def heading(number: str, title: str) -> list[str]:
    """ "4.1 Implementation model": as deep as its number has parts."""
    return ["#" * (number.count(".") + 2) + f" {number} {title}", ""]


def paragraph(*sentences: str) -> list[str]:
    """One paragraph, on one line."""
    return [" ".join(sentences), ""]


def bullets(items: Iterable[str]) -> list[str]:
    """A list."""
    return [*(f"- {item}" for item in items), ""]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table; bars inside of cells are escaped."""
    lines = [_row(head), "|" + "---|" * len(head)]
    lines += [_row([str(cell) for cell in row]) for row in rows]
    return [*lines, ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
