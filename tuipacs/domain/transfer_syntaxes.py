"""Transfer syntaxes that a person may prefer for a node: those into which anything lossless goes.

A stored syntax needs no preference: it is what is offered first (PS3.5 Annex A).
"""

from __future__ import annotations

from collections.abc import Iterable

from tuipacs.errors import UsageError

NAMES = {  # the keywords of PS3.6 Table A-1
    "1.2.840.10008.1.2": "ImplicitVRLittleEndian",
    "1.2.840.10008.1.2.1": "ExplicitVRLittleEndian",
    "1.2.840.10008.1.2.1.99": "DeflatedExplicitVRLittleEndian",
    "1.2.840.10008.1.2.2": "ExplicitVRBigEndian",
}
_UIDS = {name.lower(): uid for uid, name in NAMES.items()}


def check_preferred(given: Iterable[str]) -> tuple[str, ...]:
    """UIDs of what is named by UID or keyword, each once and in the order given.

    Raises `UsageError` for what objects are not converted to.
    """
    found: dict[str, None] = {}
    for text in given:
        plain = "".join(text.split())
        uid = plain if plain in NAMES else _UIDS.get(plain.lower(), "")
        if not uid:
            raise UsageError(
                "objects are not converted to this transfer syntax",
                remedy=f"one of {', '.join(NAMES.values())}, or its UID",
            )
        found[uid] = None
    return tuple(found)
