"""How the bytes of a dataset are really laid out, whatever its transfer syntax claims."""

from __future__ import annotations

from typing import NamedTuple

from tuipacs.dicom.encoding import EXPLICIT_BE, Buffer, is_vr_letters, looks_big_endian
from tuipacs.errors import InvalidObjectError


class Form(NamedTuple):
    """Where the first element starts, and how elements are written (PS3.5 7.1, 7.3)."""

    start: int
    implicit: bool
    big_endian: bool


def form_of(data: Buffer, start: int, claimed: str) -> Form:
    """The form of the dataset at ``start``: as claimed, unless its first element says otherwise.

    Elements of group 0000 before it are passed. Raises :class:`InvalidObjectError` if there is no
    dataset, or a whole file with preamble in its place.
    """
    if bytes(data[start + 128 : start + 132]) == b"DICM":
        raise InvalidObjectError("the dataset is a whole file with preamble, not a dataset")
    start = _skip_command_elements(data, start)
    first = bytes(data[start : start + 8])
    if len(first) < 8:
        raise InvalidObjectError("the dataset is empty")
    implicit = not is_vr_letters(first[4:6])
    big_endian = claimed == EXPLICIT_BE
    if not implicit and looks_big_endian(first):
        big_endian = True
    elif big_endian and first[1] == 0 and first[0] != 0:
        big_endian = False
    return Form(start, implicit, big_endian)


def _skip_command_elements(data: Buffer, position: int) -> int:
    """Offset behind elements of group 0000, always implicit VR little endian (PS3.7 6.3)."""
    for _ in range(64):
        header = bytes(data[position : position + 8])
        if len(header) < 8 or header[:2] != b"\0\0" or is_vr_letters(header[4:6]):
            break
        position += 8 + int.from_bytes(header[4:8], "little")
    return position
