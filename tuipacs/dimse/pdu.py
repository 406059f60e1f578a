"""Protocol data units as bytes (PS3.8 9.3): what both sides of an association read and write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from tuipacs.dimse.faults import AbortReason, PduError

HEADER_SIZE = 6
FIXED_SIZE = 68  # bytes of an A-ASSOCIATE-RQ or -AC after its header, before the first item
BY_USER, BY_PROVIDER = 0, 2  # who aborts (PS3.8 9.3.8)
_LONGEST = 131072  # bytes of a PDU of ours, also for a peer that takes any length
_NO_LIMIT_NAMED = 16384  # the maximum length item is mandatory; who forgets it gets short PDUs
_BEFORE = 6  # bytes of a P-DATA-TF's body before the fragment
_HEADER = Struct(">BxLLBB")  # PDU type and length, PDV length, context ID, message control header
_SLACK = 16  # bytes by which some senders miss the maximum length that they agreed to
_SHORT = 1024  # bytes of what is no P-DATA, once there is an association


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


@dataclass(frozen=True)
class ProposedContext:
    """PS3.8 9.3.2.2; syntaxes in the requestor's order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class ContextAnswer:
    """One presentation context in an A-ASSOCIATE-AC: result 0 accepted, 1 to 4 refused."""

    context_id: int
    result: int
    transfer_syntax: str


def read_type(header: bytes | memoryview) -> PduType:
    """The type of a PDU. Raises `PduError` for an unknown one."""
    try:
        return PduType(header[0])
    except ValueError:
        raise PduError(
            f"a PDU of the unknown type 0x{header[0]:02X}", AbortReason.UNRECOGNIZED_PDU
        ) from None


def read_length(header: bytes | memoryview, kind: PduType, max_pdu: int) -> int:
    """The length of a PDU's body once there is an association. Raises `PduError` if too long."""
    length = int.from_bytes(header[2:6], "big")
    if length > (max_pdu + _SLACK if kind is PduType.P_DATA else _SHORT):
        raise PduError(f"a PDU of {length} bytes, more than was agreed")
    return length


def read_items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The items of a variable field: their types and contents (PS3.8 9.3.2)."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise PduError("an item cut off in its header")
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise PduError("an item longer than what holds it")
        yield data[at], data[at + 4 : end]
        at = end


def read_max_length(items: Sequence[bytes]) -> int:
    """The longest PDU body that the peer takes, 0 for any (PS3.8 D.1.1), of its sub-items."""
    if not items:
        return _NO_LIMIT_NAMED
    length = int.from_bytes(items[0], "big") if len(items[0]) == 4 else -1
    if length < 0 or 0 < length < 16:  # a PDV's own header takes six bytes
        raise PduError("a maximum length that leaves no room for data")
    return length


def read_role(data: bytes) -> tuple[str, tuple[bool, bool]]:
    """A role selection sub-item (PS3.7 D.3.3.4): SOP class, and whether SCU and SCP."""
    length = int.from_bytes(data[0:2], "big")
    if len(data) != length + 4:
        raise PduError("a role selection of the wrong length")
    return read_uid(data[2 : 2 + length]), (data[-2] == 1, data[-1] == 1)


def read_text(data: bytes | memoryview) -> str:
    """Latin-1, so that nothing fails to decode."""
    return bytes(data).decode("latin-1")


def read_uid(data: bytes | memoryview) -> str:
    """A UID without the padding that it must not have."""
    return read_text(data).rstrip("\0 ")


def encode_release_response() -> bytes:
    """An A-RELEASE-RP (PS3.8 9.3.7)."""
    return encode_pdu(PduType.RELEASE_RP, bytes(4))


def encode_abort(source: int, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """An A-ABORT (PS3.8 9.3.8): ``source`` is one of BY_USER and BY_PROVIDER."""
    return encode_pdu(PduType.ABORT, bytes((0, 0, source, reason if source == BY_PROVIDER else 0)))


def abort_words(body: memoryview) -> str:
    """Short, for the incoming screen on 80 columns: codes (PS3.8 9.3.8), and no sentence."""
    if len(body) < 4:
        return "the peer aborted"
    return f"the peer aborted (source {body[2]}, reason {body[3]})"


def room_of(max_length: int) -> int:
    """Bytes of one fragment for a peer that takes PDU bodies of ``max_length``; 0 is any."""
    longest = min(max_length or _LONGEST, _LONGEST)
    return max(2, (longest - _BEFORE) // 2 * 2)


def fragments(
    context_id: int, block: memoryview, room: int, *, is_last: bool, is_command: bool = False
) -> list[bytes | memoryview]:
    """``block`` of a message as P-DATA-TF PDUs of one PDV of at most ``room`` bytes each.

    Headers and data alternate; ``is_last``: the command set or dataset ends with this block
    (PS3.8 9.3.5, E.2).
    """
    parts: list[bytes | memoryview] = []
    rest = max(0, len(block) - 1) // room * room  # where the last PDU begins
    if rest:
        head = _HEADER.pack(PduType.P_DATA, room + _BEFORE, room + 2, context_id, is_command)
        for at in range(0, rest, room):
            parts += (head, block[at : at + room])
    size = len(block) - rest
    control = is_command | (2 if is_last else 0)
    parts.append(_HEADER.pack(PduType.P_DATA, size + _BEFORE, size + 2, context_id, control))
    parts.append(block[rest:])
    return parts


def encode_data(context_id: int, data: bytes, max_length: int, *, is_command: bool) -> bytes:
    """A whole command set or dataset as P-DATA-TF PDUs; see `room_of` and `fragments`."""
    whole = memoryview(data)
    room = room_of(max_length)
    return b"".join(fragments(context_id, whole, room, is_last=True, is_command=is_command))


def encode_pdu(kind: PduType, body: bytes) -> bytes:
    """A PDU: header and body (PS3.8 9.3.1)."""
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


def data_values(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The PDVs of a P-DATA-TF: context ID, message control header, fragment (PS3.8 9.3.5.1)."""
    if not body:
        raise PduError("data without a presentation data value")
    at = 0
    while at < len(body):
        if at + 6 > len(body):
            raise PduError("a presentation data value cut off in its header")
        length = int.from_bytes(body[at : at + 4], "big")
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise PduError("a presentation data value of impossible length")
        yield body[at + 4], body[at + 5], body[at + 6 : end]
        at = end
