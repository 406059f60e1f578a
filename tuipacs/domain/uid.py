"""Unique identifiers (PS3.5 9): what is valid, what an archive can live with, and new ones."""

from __future__ import annotations

import re
import uuid

MAX_UID_LENGTH = 64
MAX_KEPT_UID_LENGTH = 128  # objects with UIDs of some 70 characters exist, and cannot be lost

_DERIVED = uuid.UUID("7d3c1f0e-2b57-4f0a-9f0c-5d1c7f6a9b21")  # namespace of made-up UIDs
_VALID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_USABLE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


def is_valid_uid(text: str) -> bool:
    """Whether ``text`` follows PS3.5 9.1 to the letter.

    1 to 64 characters; components of digits joined by dots, none empty, none with a leading zero.
    Padding is not part of a UID: strip it first (:func:`strip_uid`).
    """
    return len(text) <= MAX_UID_LENGTH and _VALID.fullmatch(text) is not None


def is_usable_uid(text: str, *, longest: int = MAX_UID_LENGTH) -> bool:
    """Whether an archive can keep an object under this UID.

    Senders in the field make UIDs with leading zeros, empty components, letters, hyphens and
    underscores. They are kept as they are: 1 to ``longest`` of these characters after trailing
    padding is stripped, the first a digit or letter. Anything else (spaces, backslashes, wildcards,
    slashes, controls, other scripts) could not be matched, listed or sent again reliably.
    """
    uid = strip_uid(text)
    return len(uid) <= longest and _USABLE.fullmatch(uid) is not None


def strip_uid(text: str) -> str:
    """``text`` without its trailing padding: NUL by the standard, space by habit (PS3.5 6.2)."""
    return text.rstrip("\0 ")


def new_uid() -> str:
    """A new UID derived from a random UUID (PS3.5 B.2); at most 44 characters."""
    return f"2.25.{uuid.uuid4().int}"


def derived_uid(*parts: str) -> str:
    """The same UID for the same ``parts``, whenever and wherever it is made (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_DERIVED, chr(31).join(parts)).int}"
