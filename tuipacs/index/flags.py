"""Flags as a bit mask in the index, as names outside."""

from __future__ import annotations

from tuipacs.domain.records import Flag

BIT: dict[Flag, int] = {
    Flag.CONFLICT: 1,
    Flag.PATIENT_MISMATCH: 2,
    Flag.UID_SHARED: 4,
    Flag.NO_PATIENT_ID: 8,
    Flag.REMARK: 16,
}


def flags_of(mask: int) -> tuple[Flag, ...]:
    """The names in a mask."""
    return tuple(flag for flag, bit in BIT.items() if mask & bit) if mask else ()
