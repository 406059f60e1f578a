"""What the daemon and its transcoding process say to each other (framing as for pictures).

A request carries two open files: the stored one, and an empty one to be written. Answers that are
not final say that the work goes on: the daemon waits only so long for each.
"""

from __future__ import annotations

from msgspec import Struct

MAX_REQUEST = 4096
MAX_ANSWER = 4096


class TranscodeRequest(Struct, frozen=True, kw_only=True, array_like=True):
    """``start``: of the dataset in the file. ``most``: bytes that may be written."""

    start: int
    stored: str
    target: str
    most: int
    cpu_seconds: int  # between two answers


class TranscodeAnswer(Struct, frozen=True, kw_only=True, array_like=True):
    """``size``: bytes written, when it is done; ``error``: why it cannot be."""

    done: bool = False
    size: int = 0
    error: str = ""
