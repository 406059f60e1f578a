"""Value representations by the dictionary (PS3.6), and what they mean for bytes (PS3.5 6.2)."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import get_entry

TEXT = frozenset(
    (
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UI",
        "UR",
        "UT",
    )
)
BYTES = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
#: Bytes that change places between the byte orders; a VR that is not here has none.
UNITS = {
    "AT": 2,
    "FD": 8,
    "FL": 4,
    "OD": 8,
    "OF": 4,
    "OL": 4,
    "OV": 8,
    "OW": 2,
    "SL": 4,
    "SS": 2,
    "SV": 8,
    "UL": 4,
    "US": 2,
    "UV": 8,
}


@lru_cache(maxsize=8192)
def dictionary_vrs(tag: int) -> tuple[str, ...]:
    """The VRs that the standard allows for a tag; none for private and unknown elements."""
    if tag >> 16 & 1:
        return ("LO",) if 0x10 <= tag & 0xFFFF <= 0xFF else ()
    try:
        found: str = get_entry(tag)[0]
    except KeyError:
        return ()
    return () if found in ("NONE", "") else tuple(found.split(" or "))


def is_said_by_dictionary(tag: int, vr: str) -> bool:
    """Whether bytes of a VR mean the same to one who only knows the dictionary's.

    Without an entry nobody reads them anyhow but who knows better. Texts are texts, and words of
    two bytes are words; an UL where the dictionary has US would be two other numbers.
    """
    known = dictionary_vrs(tag)
    if not known or vr in known or vr == "UN":
        return True
    if vr in TEXT:
        return any(one in TEXT for one in known)
    if vr in BYTES:
        return any(one in BYTES for one in known)
    unit = UNITS.get(vr)
    return vr in ("US", "SS") and any(UNITS.get(one) == unit and one != "AT" for one in known)


class Context:
    """What decides between two VRs (PS3.5 A.1): attributes of a dataset, or of those around it."""

    def __init__(self, above: Context | None = None) -> None:
        self.signed: bool = above.signed if above else False
        self.bits_allocated: int = above.bits_allocated if above else 16
        self.waveform_bits: int = above.waveform_bits if above else 16


PIXEL_DATA = 0x7FE00010
_WAVEFORM = frozenset((0x54000110, 0x54000112, 0x5400100A, 0x54001010))


def vr_of(tag: int, context: Context) -> str:
    """The VR that an implicit VR element gets, UN where only its maker knows."""
    known = dictionary_vrs(tag)
    if len(known) == 1:
        return known[0]
    if tag == PIXEL_DATA:
        return "OB" if context.bits_allocated <= 8 else "OW"
    if tag in _WAVEFORM:
        return "OB" if context.waveform_bits <= 8 else "OW"
    if "OW" in known:
        return "OW"
    if "SS" in known:
        return "SS" if context.signed else "US"
    return "UN"
