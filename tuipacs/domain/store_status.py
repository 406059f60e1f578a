"""What a peer's answer to a C-STORE means: in words, and whether the same may succeed later.

The statuses are those of PS3.4 B.2.3 and PS3.7 C. What is said of the object itself would be said
of it again: that is final. What is said of the peer, of us, or not at all is tried again, for a
try costs little and a lost object much; the tries are counted, so nothing goes on for ever.
"""

from __future__ import annotations

from tuipacs.domain.dimse_status import GENERAL
from tuipacs.domain.safe_text import clean

_EXACT = {
    **GENERAL,
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class (warning)",
}
_RANGES = (
    (range(0xA700, 0xA800), "out of resources"),
    (range(0xA900, 0xAA00), "data set does not match SOP class"),
    (range(0xB000, 0xC000), "warning"),
    (range(0xC000, 0xD000), "cannot understand"),
)

# Final: the peer speaks of this object, or of all objects of its class.
_FINAL = frozenset(
    (
        0x0105,  # no such attribute
        0x0106,  # a value in it is wrong
        0x0111,  # it has another one with this UID
        0x0112,
        0x0115,
        0x0117,
        0x0118,
        0x0119,
        0x0120,
        0x0121,
        0x0122,  # its SOP class is not stored there
        *range(0xA900, 0xAA00),  # it is not what its SOP class says
        *range(0xC000, 0xD000),  # it cannot be understood
    )
)


def is_final(status: int) -> bool:
    """Whether a failure status says that this object will not be taken later either.

    Not final: 0x0110 (the peer had an accident), 0x0124 (somebody has to let us in), 0x0210 to
    0x0213 (of the operation), 0xA7xx (its disk is full), and what the standard does not know.
    """
    return status in _FINAL


def status_words(status: int) -> str:
    """ "0xA700 out of resources"."""
    return f"0x{status:04X} {_meaning(status)}"


def _meaning(status: int) -> str:
    if status in _EXACT:
        return _EXACT[status]
    return next((words for codes, words in _RANGES if status in codes), "an unknown status")


def item_words(status: int | None, comment: str) -> str:
    """ "0xA700 out of resources: disk full"; a comment alone where there is no status; clean."""
    if status is None:
        return clean(comment)
    return status_words(status) + (f": {clean(comment)}" if comment else "")
