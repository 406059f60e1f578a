"""The identifier of a last answer to C-MOVE or C-GET: what failed (PS3.4 C.4.2.1.4.2)."""

from __future__ import annotations

import struct

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

_GROUP, _ELEMENT = 0x0008, 0x0058
_LONGEST = 0xFFFE  # bytes of a UI with a length of 16 bits


def encode_failed_list(uids: bytes | bytearray, transfer_syntax_uid: str) -> bytes:
    """A dataset with Failed SOP Instance UID List; ``uids`` are joined by backslashes.

    A list that is too long for its VR is an UN, as PS3.5 6.2.2 has it.
    """
    order = ">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    value = bytes(uids) + b"\0" * (len(uids) % 2)
    tag = struct.pack(f"{order}HH", _GROUP, _ELEMENT)
    if transfer_syntax_uid == ImplicitVRLittleEndian:
        return tag + struct.pack("<I", len(value)) + value
    if len(value) <= _LONGEST:
        return tag + b"UI" + struct.pack(f"{order}H", len(value)) + value
    return tag + b"UN\0\0" + struct.pack(f"{order}I", len(value)) + value
