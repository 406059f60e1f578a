"""The literal parts of a pattern: what a text must hold to match it, for SQL to look for."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from tuipacs.domain.query import fold

MAX_PARTS = 4
_WILDCARDS = re.compile(r"[*?]+")


class Parts(NamedTuple):
    """What a folded name begins with, and what is inside it; either may be missing."""

    start: str
    inside: tuple[str, ...]


def literal_start(pattern: str, *, folded: bool) -> str:
    """What every text begins with that matches the pattern."""
    start = _WILDCARDS.split(pattern, maxsplit=1)[0]
    return _whole(fold(start)) if folded else start


def literal_parts(pattern: str) -> tuple[str, ...]:
    """What is in every text that matches the pattern: the longest parts between wildcards."""
    parts = sorted({part for part in _WILDCARDS.split(pattern) if part}, key=len, reverse=True)
    return tuple(parts[:MAX_PARTS])


def name_parts(group: str) -> Parts:
    """Of one component group of a name, in the form of the index's folded names.

    Without the trailing carets that a pattern such as ``DOE^*`` does not insist on.
    """
    pieces = [_whole(fold(piece)) for piece in _WILDCARDS.split(group)]
    inside = sorted({piece for piece in pieces if piece}, key=len, reverse=True)
    return Parts(pieces[0], tuple(inside[:MAX_PARTS]))


def _whole(text: str) -> str:
    """Without combining marks at the ends: the next character could change their order."""
    while text and unicodedata.combining(text[-1]):
        text = text[:-1]
    while text and unicodedata.combining(text[0]):
        text = text[1:]
    return text.strip()
