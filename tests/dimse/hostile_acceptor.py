"""An acceptor made of bytes that plays a part: what no well-behaved library would answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from tests.dimse.raw_peer import (
    APPLICATION_CONTEXT,
    Wire,
    element,
    item,
    p_data,
    pdu,
    read_elements,
    read_items,
    us,
)
from tuipacs.dimse.requestor.loop import RequestorSettings
from tuipacs.scu.requestor import Peer, PeerTls, UserIdentity

QUICK = RequestorSettings(connect_timeout=5, acse_timeout=5, dimse_timeout=5)
IMPATIENT = RequestorSettings(connect_timeout=0.3, acse_timeout=0.3, dimse_timeout=0.3)


class Call(Wire):
    """The acceptor's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.proposed: dict[int, tuple[str, list[str]]] = {}
        self.user: dict[int, list[bytes]] = {}

    def request(self) -> None:
        """Read the A-ASSOCIATE-RQ."""
        kind, body = self.read()
        assert kind == 1
        for item_kind, data in read_items(body[68:]):
            if item_kind == 0x20:
                parts = read_items(data[4:])
                syntaxes = [value.decode() for sub, value in parts if sub == 0x40]
                self.proposed[data[0]] = (dict(parts)[0x30].decode(), syntaxes)
            elif item_kind == 0x50:
                for sub, value in read_items(data):
                    self.user.setdefault(sub, []).append(value)

    def accept(self, *, max_length: int = 16384, user: bytes = b"") -> None:
        """Read the request, and take all of its contexts."""
        self.request()
        answers = {number: (0, syntaxes[0]) for number, (_, syntaxes) in self.proposed.items()}
        self.send(accept(answers, max_length=max_length, user=user))

    def command(self) -> tuple[int, dict[int, bytes]]:
        """The next command: its context, and its elements of group 0000."""
        kind, body = self.read()
        assert kind == 4, kind
        length = int.from_bytes(body[:4], "big")
        self.rest = body[4 + length :]
        return body[4], read_elements(body[6 : 4 + length])

    def dataset(self) -> bytes:
        """The dataset that follows a command."""
        data = b""
        while True:
            kind, body = self.read()
            assert kind == 4, kind
            while body:
                length = int.from_bytes(body[:4], "big")
                data += body[6 : 4 + length]
                is_last = body[5] & 2
                body = body[4 + length :]
            if is_last:
                return data

    def answer(self, status: int = 0) -> None:
        """Read a C-ECHO, C-STORE or C-FIND request, and answer it."""
        context, command = self.command()
        if us(1) == command[0x0800]:
            self.dataset()
        self.send(p_data(context, 3, response(command, status)))

    def abort_seen(self) -> tuple[int, int]:
        """Source and reason of the A-ABORT that comes next."""
        kind, body = self.read()
        assert kind == 7, (kind, body)
        return body[2], body[3]

    def release(self) -> None:
        kind, _ = self.read()
        assert kind == 5, kind
        self.send(pdu(6, bytes(4)))

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Part = Callable[[Call], None]


class HostileAcceptor:
    """Listens, and plays its part with one caller after another."""

    def __init__(self, play: Part, tls: ssl.SSLContext | None = None) -> None:
        self._play = play
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self._play(Call(connection))
            except BaseException as error:  # noqa: BLE001 - told when the test ends
                self.fault = error
            connection.close()

    def peer(
        self,
        settings: RequestorSettings = QUICK,
        tls: PeerTls | None = None,
        identity: UserIdentity | None = None,
    ) -> Peer:
        return Peer("127.0.0.1", self.port, "STORE", "TUIPACS", tls, identity, settings)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(15)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def playing(play: Part, tls: ssl.SSLContext | None = None) -> Iterator[HostileAcceptor]:
    """An acceptor while the block lasts; what failed on its side fails the test."""
    acceptor = HostileAcceptor(play, tls)
    try:
        yield acceptor
    finally:
        acceptor.close()
    if acceptor.fault is not None:
        raise acceptor.fault


def accept(
    answers: dict[int, tuple[int, str]], *, max_length: int = 16384, user: bytes = b""
) -> bytes:
    """An A-ASSOCIATE-AC: context ID to result and transfer syntax."""
    body = b"\0\1\0\0" + b"STORE".ljust(16) + b"TUIPACS".ljust(16) + bytes(32)
    body += item(0x10, APPLICATION_CONTEXT.encode())
    for number, (result, syntax) in answers.items():
        body += item(0x21, bytes((number, 0, result, 0)) + item(0x40, syntax.encode("latin-1")))
    body += item(0x50, item(0x51, max_length.to_bytes(4, "big")) + item(0x52, b"1.2.3") + user)
    return pdu(2, body)


def response(
    command: dict[int, bytes],
    status: int,
    *,
    field: int | None = None,
    message_id: int | None = None,
    instance: str | None = None,
    comment: str = "",
    has_dataset: bool = False,
) -> bytes:
    """The command set of a response; what is given takes the place of what is right."""
    asked_for = int.from_bytes(command[0x0100], "little")
    body = element(0x0002, command[0x0002])
    body += element(0x0100, us(asked_for | 0x8000 if field is None else field))
    body += element(0x0120, command[0x0110] if message_id is None else us(message_id))
    body += element(0x0800, us(1 if has_dataset else 0x0101))
    if status >= 0:
        body += element(0x0900, us(status))
    if comment:
        body += element(0x0902, comment.encode("latin-1"))
    if instance is not None:
        body += element(0x1000, instance.encode())
    return element(0, len(body).to_bytes(4, "little")) + body
