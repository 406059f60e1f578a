"""The A-ASSOCIATE-RQ read with care, and the answers to it written (PS3.8 9.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.dimse.acceptor.identity import parse_identity
from tuipacs.dimse.contract import IdentityClaim
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.pdu import (
    FIXED_SIZE,
    ContextAnswer,
    PduType,
    ProposedContext,
    encode_pdu,
    read_items,
    read_max_length,
    read_role,
    read_text,
    read_uid,
)
from tuipacs.dimse.syntaxes import APPLICATION_CONTEXT

MAX_REQUEST = 512 << 10  # bytes of an A-ASSOCIATE-RQ; 128 contexts of 40 syntaxes take 150 kB
MAX_ITEMS = 10_000  # of a whole request; those 128 contexts have 5,400. Reading costs by the item
MAX_USER_ITEMS = 1_000  # of user information: three kinds for each of 128 contexts are 384
MAX_SYNTAXES = 100  # transfer syntaxes of a context: twice as many as the standard has


@dataclass(frozen=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ says that we use. Texts are Latin-1, so that nothing fails to decode.

    ``roles``: SOP class to the (SCU, SCP) roles that the requestor proposes for itself;
    ``extended``: SOP class to the application information of its extended negotiation.
    """

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    echoed: bytes  # both titles and the reserved field after them, 64 bytes as they came
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_length: int = 0  # of a PDU body that it takes; 0: any
    implementation: str = ""  # version name, or the class UID of one that has no name (hostile)
    roles: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity: IdentityClaim | None = None


def parse_associate_request(body: memoryview) -> AssociateRequest:
    """Read the PDU after its header. Raises `PduError`, and nothing else, for malformed input."""
    if len(body) < FIXED_SIZE:
        raise PduError("an association request shorter than its fixed fields")
    contexts: list[ProposedContext] = []
    application_context = ""
    user: dict[int, list[bytes]] = {}
    items = _Items()
    for kind, data in items.read(body[FIXED_SIZE:]):
        if kind == 0x10:
            application_context = application_context or read_uid(data)
        elif kind == 0x20:
            contexts.append(_context(data, items))
        elif kind == 0x50:
            for sub_kind, sub_data in items.read_user(data):
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
        extended=dict(_extended(item) for item in user.get(0x56, [])),
        identity=_identity(user.get(0x58, [])),
    )


class _Items:
    """Counts the items of one request, on all levels. Raises `PduError` for too many."""

    def __init__(self) -> None:
        self._count = 0
        self._of_user = 0

    def read(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        for item in read_items(data):
            self._count += 1
            if self._count > MAX_ITEMS:
                raise PduError(f"an association request of more than {MAX_ITEMS} items")
            yield item

    def read_user(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        for item in self.read(data):
            self._of_user += 1
            if self._of_user > MAX_USER_ITEMS:
                raise PduError(f"more than {MAX_USER_ITEMS} items of user information")
            yield item


def _context(data: memoryview, items: _Items) -> ProposedContext:
    if len(data) < 4:
        raise PduError("a presentation context without an ID")
    context_id = data[0]
    if context_id % 2 == 0:
        raise PduError("an even presentation context ID")
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, value in items.read(data[4:]):
        if kind == 0x30:
            abstract.append(_syntax(value, "abstract"))
        elif kind == 0x40:
            if len(transfer) == MAX_SYNTAXES:
                raise PduError(
                    f"a presentation context of more than {MAX_SYNTAXES} transfer syntaxes"
                )
            transfer.append(_syntax(value, "transfer"))
    if len(abstract) != 1:
        raise PduError("a presentation context without exactly one abstract syntax")
    return ProposedContext(context_id, abstract[0], tuple(transfer))


def _syntax(value: memoryview, kind: str) -> str:
    uid = read_uid(value)
    if not uid:
        raise PduError(f"an empty {kind} syntax")
    return uid


def _implementation(names: Sequence[bytes]) -> str:
    return next((name for name in (read_uid(data)[:64] for data in names) if name), "")


def _identity(items: Sequence[bytes]) -> IdentityClaim | None:
    if len(items) > 1:
        raise PduError("a user identity twice")
    return parse_identity(items[0]) if items else None


def _extended(data: bytes) -> tuple[str, bytes]:
    """A SOP class extended negotiation sub-item (PS3.7 D.3.3.5)."""
    start = 2 + int.from_bytes(data[0:2], "big")
    if len(data) < start or start == 2:
        raise PduError("an extended negotiation of the wrong length")
    return read_uid(data[2:start]), data[start:]


def _title(data: bytes | memoryview) -> str:
    return read_text(data).strip(" \0")


def encode_associate_accept(
    request: AssociateRequest,
    contexts: Sequence[ContextAnswer],
    roles: Mapping[str, tuple[bool, bool]],
    max_pdu: int,
    *,
    extended: Mapping[str, bytes] = MappingProxyType({}),
    confirm_identity: bool = False,
) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 9.3.3). ``roles`` as accepted for the requestor.

    ``extended``: our answers to what it asked by extended negotiation, by SOP class.
    """
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
    for sop_class_uid, information in extended.items():
        uid = sop_class_uid.encode("latin-1")
        user.append(_item(0x56, len(uid).to_bytes(2, "big") + uid + information))
    if confirm_identity:  # PS3.7 Table D.3-15: types 1 and 2 are answered by an empty field
        user.append(_item(0x59, bytes(2)))
    items.append(_item(0x50, b"".join(user)))
    fixed = b"\0\x01\0\0" + request.echoed
    return encode_pdu(PduType.ASSOCIATE_AC, fixed + b"".join(items))


def encode_associate_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return encode_pdu(PduType.ASSOCIATE_RJ, bytes((0, result, source, reason)))


def _item(kind: int, data: bytes) -> bytes:
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data
