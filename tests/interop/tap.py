"""Stands between clients and the archive, and takes down what the clients really sent.

Most clients re-encode a file when they send it, so the file is no oracle for the bytes that the
archive has to keep. The wire is.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator

_C_STORE_RQ = b"\x01\x00"


class Tap:
    """A TCP relay on loopback: connect to `port` instead of the archive's; then ask `stored`.

    Before another program it takes down what the archive sends to that (C-MOVE, send jobs).
    """

    def __init__(self, archive_port: int) -> None:
        self._archive_port = archive_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake, self._stop = socket.socketpair()
        self._sent: list[bytearray] = []
        self._given: list[bytearray] = []
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def stored(self) -> dict[str, bytes]:
        """SOP Instance UID to the dataset, of every C-STORE request that came whole."""
        return {uid: data for sent in self._sent for uid, data in stores(bytes(sent))}

    def given(self) -> dict[str, bytes]:
        """As `stored`, of the requests that came the other way, on the caller's association."""
        return {uid: data for given in self._given for uid, data in stores(bytes(given))}

    def close(self) -> None:
        """Close all connections."""
        self._stop.close()
        self._thread.join()

    def _relay(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        heard: dict[socket.socket, bytearray] = {}
        with selectors.DefaultSelector() as selector, self._wake, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    break
                for source in ready:
                    assert isinstance(source, socket.socket)
                    if source is self._listener:
                        client = source.accept()[0]
                        try:
                            archive = socket.create_connection(("127.0.0.1", self._archive_port))
                        except OSError:
                            client.close()  # nobody is there: not through the tap either
                            continue
                        other |= {client: archive, archive: client}
                        heard |= {client: bytearray(), archive: bytearray()}
                        self._sent.append(heard[client])
                        self._given.append(heard[archive])
                        selector.register(client, selectors.EVENT_READ)
                        selector.register(archive, selectors.EVENT_READ)
                    elif source in other and not _pass_on(source, other[source], heard[source]):
                        for end in (source, other.pop(source)):
                            selector.unregister(end)
                            end.close()
                            other.pop(end, None)
            for end in other:
                end.close()


def _pass_on(source: socket.socket, target: socket.socket, heard: bytearray) -> bool:
    """Hand on what is there; False when one of them has closed."""
    try:
        data = source.recv(1 << 16)
        target.sendall(data)
    except OSError:
        return False
    heard += data
    return bool(data)


def stores(sent: bytes) -> Iterator[tuple[str, bytes]]:
    """(SOP Instance UID, dataset) of each C-STORE-RQ in all that one requestor sent."""
    command, dataset, uid = b"", b"", ""
    for header, fragment in _fragments(sent):  # PS3.8 E.2: bit 0 is "command", bit 1 is "last"
        if header & 1:
            command += fragment
            if header & 2:
                uid, command, dataset = _instance_to_store(command), b"", b""
        else:
            dataset += fragment
            if header & 2 and uid:
                yield uid, dataset


def _fragments(sent: bytes) -> Iterator[tuple[int, bytes]]:
    """The message control header and the fragment of each PDV (PS3.8 9.3.5)."""
    at = 0
    while at < len(sent):
        end = at + 6 + int.from_bytes(sent[at + 2 : at + 6], "big")
        pdv = at + 6
        while sent[at] == 4 and pdv < end <= len(sent):
            size = int.from_bytes(sent[pdv : pdv + 4], "big")
            yield sent[pdv + 5], sent[pdv + 6 : pdv + 4 + size]
            pdv += 4 + size
        at = end


def _instance_to_store(command: bytes) -> str:
    """Affected SOP Instance UID if this command set is a C-STORE-RQ, else nothing."""
    elements, at = {}, 0
    while at < len(command):
        size = int.from_bytes(command[at + 4 : at + 8], "little")
        elements[int.from_bytes(command[at + 2 : at + 4], "little")] = command[
            at + 8 : at + 8 + size
        ]
        at += 8 + size
    if elements[0x0100] != _C_STORE_RQ:
        return ""
    return elements[0x1000].rstrip(b"\0 ").decode()
