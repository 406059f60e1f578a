"""A peer made of bytes, for what no well-behaved library would send."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuipacs.domain.uid import new_uid

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG2000 = "1.2.840.10008.1.2.4.90"

Proposal = tuple[int, str, Sequence[str]]
ECHO_CONTEXT: Proposal = (1, VERIFICATION, [IMPLICIT])
CT_CONTEXT: Proposal = (3, CT, [EXPLICIT])


def item(kind: int, data: bytes) -> bytes:
    """One variable item."""
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data


def pdu(kind: int, body: bytes) -> bytes:
    """One PDU."""
    return bytes((kind, 0)) + len(body).to_bytes(4, "big") + body


def context_item(context_id: int, abstract: str, transfer: Sequence[str]) -> bytes:
    """A proposed presentation context."""
    syntaxes = b"".join(item(0x40, uid.encode("latin-1")) for uid in transfer)
    return item(
        0x20, bytes((context_id, 0, 0, 0)) + item(0x30, abstract.encode("latin-1")) + syntaxes
    )


def role_item(uid: str, scu: int, scp: int) -> bytes:
    """A role selection sub-item."""
    return item(0x54, len(uid).to_bytes(2, "big") + uid.encode() + bytes((scu, scp)))


def associate_rq(
    contexts: Sequence[Proposal] = (ECHO_CONTEXT,),
    *,
    calling: bytes = b"PEER",
    called: bytes = b"TUIPACS",
    user: bytes = b"",
    application_context: str = APPLICATION_CONTEXT,
    version: int = 1,
    max_length: int = 16384,
    items: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ."""
    body = version.to_bytes(2, "big") + b"\0\0" + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application_context.encode())
    body += b"".join(context_item(*context) for context in contexts) + items
    body += item(0x50, item(0x51, max_length.to_bytes(4, "big")) + item(0x52, b"1.2.3") + user)
    return pdu(1, body)


def element(number: int, value: bytes) -> bytes:
    """One element of a command set."""
    value += b"\0" * (len(value) % 2)
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def us(value: int) -> bytes:
    """Two bytes."""
    return value.to_bytes(2, "little")


def command(field: int, sop_class: str, *, dataset: bool, instance: str = "") -> bytes:
    """A request's command set."""
    body = element(0x0002, sop_class.encode()) + element(0x0100, us(field))
    body += element(0x0110, us(7)) + element(0x0700, us(0))
    body += element(0x0800, us(0x0001 if dataset else 0x0101))
    if instance:
        body += element(0x1000, instance.encode())
    return element(0, len(body).to_bytes(4, "little")) + body


def p_data(context_id: int, header: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one PDV."""
    return pdu(4, (len(fragment) + 2).to_bytes(4, "big") + bytes((context_id, header)) + fragment)


@dataclass
class Reply:
    """The answer to an association request."""

    kind: str  # "accept", "reject", "abort", "closed"
    detail: tuple[int, ...] = ()  # of a rejection or an abort
    contexts: dict[int, tuple[int, str]] = field(default_factory=dict)
    roles: dict[str, tuple[int, int]] = field(default_factory=dict)
    max_length: int = 0
    has_confirmed: bool = False  # the user identity


class Wire:
    """One end of a connection, PDU by PDU."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                return b""
            if not part:
                return b""
            data += part
        return data

    def read(self) -> tuple[int, bytes]:
        """The next PDU's type and body; (0, b"") when the other side has closed."""
        header = self._exactly(6)
        if not header:
            return 0, b""
        return header[0], self._exactly(int.from_bytes(header[2:6], "big"))


class RawPeer(Wire):
    """One connection, from ``address``. Reads end with an error after five seconds."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), 5, (address, 0)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(self, *args: object, **kwargs: object) -> Reply:
        """Send an A-ASSOCIATE-RQ and read the answer."""
        self.send(associate_rq(*args, **kwargs))  # type: ignore[arg-type]
        return self.reply()

    def reply(self) -> Reply:
        kind, body = self.read()
        if kind == 2:
            return _parse_accept(body)
        if kind == 3:
            return Reply("reject", tuple(body[1:4]))
        if kind == 7:
            return Reply("abort", tuple(body[2:4]))
        assert kind == 0, kind
        return Reply("closed")

    def request(self, context_id: int, data: bytes, dataset: bytes | None = None) -> None:
        """Send one message, the dataset in fragments of 8 kB."""
        self.send(p_data(context_id, 3, data))
        if dataset is None:
            return
        parts = [dataset[at : at + 8192] for at in range(0, len(dataset), 8192)] or [b""]
        for number, part in enumerate(parts, start=1):
            self.send(p_data(context_id, 2 if number == len(parts) else 0, part))

    def answer(self) -> dict[int, bytes]:
        """The next response's elements of group 0000."""
        kind, body = self.read()
        assert kind == 4, (kind, body)
        return read_elements(body[6:])

    def status(self) -> int:
        """The next response's status."""
        return int.from_bytes(self.answer()[0x0900], "little")

    def echo(self, context_id: int = 1) -> int:
        """C-ECHO."""
        self.request(context_id, command(0x0030, VERIFICATION, dataset=False))
        return self.status()

    def store(
        self,
        dataset: bytes,
        *,
        context_id: int = 3,
        sop_class: str = CT,
        instance: str | None = None,
    ) -> int:
        """C-STORE; its status."""
        uid = new_uid() if instance is None else instance
        self.request(context_id, command(0x0001, sop_class, dataset=True, instance=uid), dataset)
        return self.status()

    def release(self) -> int:
        """Release; the type of the answer."""
        self.send(pdu(5, bytes(4)))
        return self.read()[0]


def _parse_accept(body: bytes) -> Reply:
    reply = Reply("accept")
    for kind, data in read_items(body[68:]):
        if kind == 0x21:
            syntax = dict(read_items(data[4:]))[0x40].decode()
            reply.contexts[data[0]] = (data[2], syntax)
        elif kind == 0x50:
            for sub_kind, sub in read_items(data):
                if sub_kind == 0x51:
                    reply.max_length = int.from_bytes(sub, "big")
                elif sub_kind == 0x59:
                    assert sub == b"\0\0"  # PS3.7 Table D.3-15: types 1 and 2 get no more
                    reply.has_confirmed = True
                elif sub_kind == 0x54:
                    reply.roles[sub[2:-2].decode()] = (sub[-2], sub[-1])
    return reply


def read_elements(data: bytes) -> dict[int, bytes]:
    """The elements of a command set, by their number in group 0000."""
    elements, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        elements[int.from_bytes(data[at + 2 : at + 4], "little")] = data[at + 8 : at + 8 + size]
        at += 8 + size
    return elements


def read_items(data: bytes) -> list[tuple[int, bytes]]:
    """The variable items of a PDU: their types and contents."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at], data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found
