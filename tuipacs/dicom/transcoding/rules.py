"""Which transfer syntax can be made from which, without looking at an object."""

from __future__ import annotations

from collections.abc import Iterable

from tuipacs.dicom.encoding import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tuipacs.dicom.pixels.codes import CODESTREAMS, RLE, VIDEO

DEFLATED_LE = "1.2.840.10008.1.2.1.99"
#: What can be written, the best first: Explicit VR keeps the VRs of private elements.
TARGETS = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE, EXPLICIT_BE)
#: What every peer is asked for besides what is stored (PS3.5 10.1: the default is one of them).
FALLBACKS = (EXPLICIT_LE, IMPLICIT_LE)

_FROM = frozenset(TARGETS) | CODESTREAMS | {RLE}


def targets_of(stored: str, preferred: Iterable[str] = ()) -> tuple[str, ...]:
    """What an object stored in a transfer syntax can be made into, in the order of choice.

    Nothing for videos, for what is only a reference to pixels, and for what there is no decoder
    for. ``preferred``: transfer syntax UIDs that go first, as far as they can be written.
    """
    if stored not in _FROM:
        return ()
    wanted = dict.fromkeys([*(uid for uid in preferred if uid in TARGETS), *TARGETS])
    return tuple(uid for uid in wanted if uid != stored)


def why_not(stored: str) -> str:
    """Why `targets_of` is empty, in words."""
    if stored in VIDEO:
        return "a video is never decompressed"
    return "there is no decoder for it"
