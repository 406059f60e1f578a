"""Statuses of DIMSE answers (PS3.7 C): which are warnings, and what they say in words.

What C-STORE makes of some of them is in `store_status`.
"""

from __future__ import annotations

from types import MappingProxyType

SUCCESS = 0x0000
WARNINGS = (0x0001, 0x0107, 0x0116)
"""Done, with a remark; so are all of 0xBxxx."""

GENERAL = MappingProxyType(
    {
        SUCCESS: "success",
        0x0001: "requested optional attributes are not supported",
        0x0105: "no such attribute",
        0x0106: "invalid attribute value",
        0x0107: "attribute list warning",
        0x0110: "processing failure",
        0x0111: "duplicate SOP instance",
        0x0112: "no such SOP instance",
        0x0113: "no such event type",
        0x0115: "invalid argument value",
        0x0116: "attribute value out of range",
        0x0117: "invalid SOP instance",
        0x0118: "no such SOP class",
        0x0119: "class-instance conflict",
        0x0120: "missing attribute",
        0x0121: "missing attribute value",
        0x0122: "SOP class not supported",
        0x0123: "no such action",
        0x0124: "not authorized",
        0x0210: "duplicate invocation",
        0x0211: "unrecognized operation",
        0x0212: "mistyped argument",
        0x0213: "resource limitation",
        0xFE00: "cancelled",
    }
)
"""Those that mean the same in every service."""

_QUERY_RETRIEVE = {  # PS3.4 C.4.1.1.4, C.4.2.1.5, C.4.3.1.4
    0xA701: "out of resources: the matches cannot be counted",
    0xA702: "out of resources: nothing could be sent",
    0xA801: "the move destination is unknown",
    0xA900: "the identifier does not match the SOP class",
    0xB000: "some could not be sent",
}


def is_warning(status: int) -> bool:
    """Done, with a remark."""
    return status in WARNINGS or 0xB000 <= status <= 0xBFFF


def answer_words(status: int, comment: str) -> str:
    """What a peer answers to anything but C-STORE: ``0x0122 SOP class not supported: its comment``.

    ``comment`` is clean already.
    """
    meaning = GENERAL.get(status) or _QUERY_RETRIEVE.get(status, "")
    if not meaning and 0xA700 <= status <= 0xA7FF:
        meaning = "out of resources"
    if not meaning and 0xC000 <= status <= 0xCFFF:
        meaning = "unable to process"
    words = f"0x{status:04X} {meaning or 'an unknown status'}"
    return f"{words}: {comment}" if comment else words
