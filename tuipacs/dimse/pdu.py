"""Protocol data units as bytes (PS3.8 9.3): the request read with care, the answers written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.dimse.acceptor.identity import parse_identity
from tuipacs.dimse.contract import IdentityClaim
from tuipacs.dimse.faults import AbortReason, PduError
from tuipacs.dimse.syntaxes import APPLICATION_CONTEXT

HEADER_SIZE = 6
MAX_REQUEST = 512 << 10  # bytes of an A-ASSOCIATE-RQ; 128 contexts of 40 syntaxes take 150 kB
BY_USER, BY_PROVIDER = 0, 2  # who aborts (PS3.8 9.3.8)
_ROOM = 16384  # for a peer that names no limit
_FIXED = 68  # bytes before the first variable item


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
class AssociateRequest:
    """What an A-ASSOCIATE-RQ says that we use. Texts are Latin-1, so that nothing fails to decode.

    ``roles``: SOP class to the (SCU, SCP) roles that the requestor proposes for itself.
    """

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    echoed: bytes  # both titles and the reserved field after them, 64 bytes as they came
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_length: int = 0  # 0: unlimited
    implementation: str = ""  # version name, or the class UID of one that has no name (hostile)
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    identity: IdentityClaim | None = None


@dataclass(frozen=True)
class ContextAnswer:
    """One presentation context in an A-ASSOCIATE-AC: result 0 accepted, 1 to 4 refused."""

    context_id: int
    result: int
    transfer_syntax: str


def parse_associate_request(body: memoryview) -> AssociateRequest:
    """Read the PDU after its header. Raises `PduError`, and nothing else, for malformed input."""
    if len(body) < _FIXED:
        raise PduError("an association request shorter than its fixed fields")
    contexts: list[ProposedContext] = []
    application_context = ""
    user: dict[int, list[bytes]] = {}
    for kind, data in read_items(body[_FIXED:]):
        if kind == 0x10:
            application_context = application_context or read_uid(data)
        elif kind == 0x20:
            contexts.append(_context(data))
        elif kind == 0x50:
            for sub_kind, sub_data in read_items(data):
                user.setdefault(sub_kind, []).append(bytes(sub_data))
    if not contexts:
        raise PduError("an association request with no presentation context")
    ids = [context.context_id for context in contexts]
    if len(set(ids)) != len(ids):
        raise PduError("a presentation context ID twice")
    return AssociateRequest(
        protocol_version=int.from_bytes(body[0:2], "big"),
        called_ae_title=_title(body[4:20]),
        calling_ae_title=_title(body[20:36]),
        echoed=bytes(body[4:68]),
        application_context=application_context,
        contexts=tuple(contexts),
        max_length=read_max_length(user.get(0x51, [])),
        implementation=_implementation([*user.get(0x55, []), *user.get(0x52, [])]),
        roles=dict(read_role(item) for item in user.get(0x54, [])),
        identity=_identity(user.get(0x58, [])),
    )


def read_items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise PduError("an item cut off in its header")
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise PduError("an item longer than what holds it")
        yield data[at], data[at + 4 : end]
        at = end


def _context(data: memoryview) -> ProposedContext:
    if len(data) < 4:
        raise PduError("a presentation context without an ID")
    context_id = data[0]
    if context_id % 2 == 0:
        raise PduError("an even presentation context ID")
    abstract, transfer = [], []
    for kind, value in read_items(data[4:]):
        if kind == 0x30:
            abstract.append(read_uid(value))
        elif kind == 0x40:
            transfer.append(read_uid(value))
    if len(abstract) != 1:
        raise PduError("a presentation context without exactly one abstract syntax")
    return ProposedContext(context_id, abstract[0], tuple(transfer))


def read_max_length(items: Sequence[bytes]) -> int:
    if not items:
        return 0
    length = int.from_bytes(items[0], "big") if len(items[0]) == 4 else -1
    if length < 0 or 0 < length < 16:  # a PDV's own header takes six bytes
        raise PduError("a maximum length that leaves no room for data")
    return length


def _implementation(names: Sequence[bytes]) -> str:
    return next((name for name in (read_uid(data)[:64] for data in names) if name), "")


def _identity(items: Sequence[bytes]) -> IdentityClaim | None:
    if len(items) > 1:
        raise PduError("a user identity twice")
    return parse_identity(items[0]) if items else None


def read_role(data: bytes) -> tuple[str, tuple[bool, bool]]:
    length = int.from_bytes(data[0:2], "big")
    if len(data) != length + 4:
        raise PduError("a role selection of the wrong length")
    return read_uid(data[2 : 2 + length]), (data[-2] == 1, data[-1] == 1)


def read_text(data: bytes | memoryview) -> str:
    return bytes(data).decode("latin-1")


def read_uid(data: bytes | memoryview) -> str:
    return read_text(data).rstrip("\0 ")


def _title(data: bytes | memoryview) -> str:
    return read_text(data).strip(" \0")


def encode_associate_accept(
    request: AssociateRequest,
    contexts: Sequence[ContextAnswer],
    roles: Mapping[str, tuple[bool, bool]],
    max_pdu: int,
    *,
    confirm_identity: bool = False,
) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3). ``roles`` as accepted for the requestor."""
    items = [_item(0x10, APPLICATION_CONTEXT.encode())]
    items += [
        _item(
            0x21,
            bytes((context.context_id, 0, context.result, 0))
            + _item(0x40, context.transfer_syntax.encode("latin-1")),
        )
        for context in contexts
    ]
    user = [
        _item(0x51, max_pdu.to_bytes(4, "big")),
        _item(0x52, IMPLEMENTATION_CLASS_UID.encode()),
    ]
    for sop_class_uid, (scu, scp) in roles.items():
        uid = sop_class_uid.encode("latin-1")
        user.append(_item(0x54, len(uid).to_bytes(2, "big") + uid + bytes((scu, scp))))
    user.append(_item(0x55, IMPLEMENTATION_VERSION_NAME.encode()))
    if confirm_identity:  # PS3.7 Table D.3-15: types 1 and 2 are answered by an empty field
        user.append(_item(0x59, bytes(2)))
    items.append(_item(0x50, b"".join(user)))
    fixed = b"\0\x01\0\0" + request.echoed
    return encode_pdu(PduType.ASSOCIATE_AC, fixed + b"".join(items))


def encode_associate_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return encode_pdu(PduType.ASSOCIATE_RJ, bytes((0, result, source, reason)))


def encode_release_response() -> bytes:
    """An A-RELEASE-RP (PS3.8 9.3.7)."""
    return encode_pdu(PduType.RELEASE_RP, bytes(4))


def encode_abort(source: int, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """An A-ABORT (PS3.8 9.3.8): ``source`` is one of BY_USER and BY_PROVIDER."""
    return encode_pdu(PduType.ABORT, bytes((0, 0, source, reason if source == BY_PROVIDER else 0)))


def encode_data(context_id: int, data: bytes, max_length: int, *, is_command: bool) -> bytes:
    """A command set or a dataset as P-DATA-TF PDUs of one PDV each (PS3.8 9.3.5, E).

    ``max_length``: the longest body that the peer takes, 0 for any.
    """
    room = max(2, ((max_length or _ROOM) - 6) // 2 * 2)
    pdus = []
    for at in range(0, len(data) or 1, room):
        part = data[at : at + room]
        header = is_command | (2 if at + room >= len(data) else 0)
        pdv = (len(part) + 2).to_bytes(4, "big") + bytes((context_id, header))
        pdus.append(encode_pdu(PduType.P_DATA, pdv + part))
    return b"".join(pdus)


def _item(kind: int, data: bytes) -> bytes:
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data


def encode_pdu(kind: PduType, body: bytes) -> bytes:
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
