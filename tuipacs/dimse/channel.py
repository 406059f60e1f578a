"""A connection to a peer: exact reads with deadlines, and no more memory than was agreed."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tuipacs.dimse import tls
from tuipacs.dimse.faults import PeerGoneError, PeerSlowError

log = logging.getLogger(__name__)

LINGER = 1.0  # seconds that a peer has to close after our last word
_MAX_PARTS = 1000  # of one sendmsg: IOV_MAX is 1024 on Linux
_SHORT = 1024  # bytes of a part below which joining is cheaper than gathering
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Channel:
    """One thread reads and writes; `interrupt` may be called from any other."""

    def __init__(self, sock: socket.socket, buffer_size: int) -> None:
        self._socket = sock
        self._buffer = bytearray(buffer_size)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self.received = 0  # bytes so far
        self._ended = False  # nothing more comes
        self.is_torn = False  # nothing more can be sent: the peer has half of something
        self._wrapping = threading.Lock()  # TLS moves the connection into another object
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def first_byte(self, deadline: float, words: str) -> int:
        """The first byte of the connection, left where it is. Raises as `read`."""
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            raise PeerSlowError(words) from None
        except OSError as error:
            raise PeerGoneError from error
        if not data:
            raise PeerGoneError
        self.received = 1
        return data[0]

    def secure(self, context: ssl.SSLContext, deadline: float, words: str) -> str:
        """Go on in TLS, as its server; return the SHA-256 of the certificate shown, or nothing.

        Nothing may have been read before. Raises `HandshakeError`, and as `read`.
        """
        try:
            with self._wrapping:
                secured = tls.wrap(self._socket, context)
                self._socket = secured
            return tls.shake_hands(secured, max(0.001, deadline - time.monotonic()))
        except TimeoutError:
            raise PeerSlowError(words) from None
        except OSError as error:
            raise PeerGoneError from error

    @property
    def holds(self) -> int:
        """Bytes that have arrived and were not asked for yet."""
        return self._end - self._start

    def wait(self, deadline: float, words: str) -> None:
        """Return once at least one byte is there. Raises `PeerSlowError`, `PeerGoneError`."""
        if not self.holds:
            self._start = self._end = 0
            self._end = self._receive(self._view, deadline, words)

    def read(self, size: int, deadline: float, words: str) -> memoryview:
        """Exactly ``size`` bytes, valid until the next read. ``deadline`` is of `time.monotonic`.

        Raises `PeerSlowError` with ``words`` and `PeerGoneError`.
        """
        if size > len(self._buffer):
            return self._read_apart(size, deadline, words)
        if self._start + size > len(self._buffer):
            self._compact()
        while self.holds < size:
            self._end += self._receive(self._view[self._end :], deadline, words)
        data = self._view[self._start : self._start + size]
        self._start += size
        if self._start == self._end:
            self._start = self._end = 0
        return data

    def look(self, size: int) -> memoryview | None:
        """The next ``size`` bytes without taking them, or None: they have not come. Never waits.

        Raises `PeerGoneError` when nothing more can come.
        """
        if self.holds < size:
            self._compact()
            self._fetch()
        if self.holds < size:
            if self._ended or size > len(self._buffer):
                raise PeerGoneError
            return None
        return self._view[self._start : self._start + size]

    def skip(self, size: int) -> None:
        """Take bytes that `look` has shown."""
        self._start += size

    def _compact(self) -> None:
        held = self.holds
        self._view[:held] = self._view[self._start : self._end]
        self._start, self._end = 0, held

    def _fetch(self) -> None:
        if self._ended or self._end == len(self._buffer):
            return
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.settimeout(0)
            elif not self._poll.poll(0):
                return
            received = self._socket.recv_into(self._view[self._end :])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            received = 0
        self._ended = not received
        self._end += received
        self.received += received

    def _read_apart(self, size: int, deadline: float, words: str) -> memoryview:
        """What is larger than the buffer. Room is made as it comes, not as it is announced."""
        whole = bytearray(self._view[self._start : self._end])
        self._start = self._end = 0
        while len(whole) < size:
            room = self._view[: size - len(whole)]
            whole += room[: self._receive(room, deadline, words)]
        return memoryview(whole)

    def _receive(self, into: memoryview, deadline: float, words: str) -> int:
        if self._ended:
            raise PeerGoneError
        left = deadline - time.monotonic()
        if left <= 0:
            raise PeerSlowError(words)
        try:
            self._limit(left)
            if _QUICKACK is not None:  # else a sender with Nagle on waits for our delayed ACK
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            received = self._socket.recv_into(into)
        except TimeoutError:
            raise PeerSlowError(words) from None
        except OSError as error:
            raise PeerGoneError from error
        if not received:
            raise PeerGoneError
        self.received += received
        return received

    def _limit(self, seconds: float) -> None:
        """Let the next operation take so long, or a little longer.

        To set the time lets other threads run, and has to wait for them: where one hashes the next
        object, that cost a quarter of the objects a second.
        """
        now = self._socket.gettimeout()
        if now is None or not seconds <= now <= 1.02 * seconds + 0.05:
            self._socket.settimeout(seconds)

    def send(self, data: bytes, timeout: float) -> None:
        """Send all of it. Raises `PeerSlowError`, `PeerGoneError`."""
        deadline = time.monotonic() + timeout
        rest = memoryview(data)
        with self._sending("took no answer"):
            while rest:  # not sendall: over TLS each of its records would have the whole time
                self._limit(max(0.001, deadline - time.monotonic()))
                rest = rest[self._socket.send(rest) :]

    def send_parts(self, parts: Sequence[bytes | memoryview], timeout: float) -> None:
        """`send` for many pieces of memory, which go out in one call without being joined."""
        size = sum(map(len, parts))
        if size < _SHORT * len(parts) or isinstance(self._socket, ssl.SSLSocket):
            self.send(b"".join(parts), timeout)
            return
        deadline = time.monotonic() + timeout
        with self._sending("took no more data"):
            while size:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._limit(left)
                sent = self._socket.sendmsg(parts[:_MAX_PARTS])
                size -= sent
                if size:
                    parts = _without(parts, sent)

    @contextmanager
    def _sending(self, slow: str) -> Iterator[None]:
        """All that is sent inside goes out, or nothing ever after: it would be taken for the rest.

        ``slow`` says what the peer did not do in time.
        """
        if self.is_torn:
            raise PeerGoneError
        self.is_torn = True
        try:
            yield
        except TimeoutError:
            raise PeerSlowError(slow) from None
        except OSError as error:
            raise PeerGoneError from error
        self.is_torn = False

    def send_last(self, data: bytes, timeout: float) -> None:
        """Send a last word: if the peer is gone or does not listen, that changes nothing."""
        try:
            self.send(data, timeout)
        except (PeerGoneError, PeerSlowError):
            log.debug("the peer did not take the last PDU")

    def interrupt(self) -> None:
        """Make a waiting read end; what has arrived is still read, and sending goes on."""
        self._shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """End reading and sending at once."""
        self._shutdown(socket.SHUT_RDWR)

    def close(self, *, linger: bool) -> None:
        """Close; with ``linger`` let the peer take our last PDU and close first (PS3.8 Sta13).

        Closing with unread input would reset the connection, and the peer would lose that PDU.
        """
        if linger:
            self._close_tls()
            self._shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + LINGER
            try:
                while (left := deadline - time.monotonic()) > 0:
                    self._socket.settimeout(left)
                    # Below TLS: what still comes is not looked at.
                    if not socket.socket.recv_into(self._socket, self._view):
                        break
            except OSError as error:
                log.debug("the peer did not close first: %s", type(error).__name__)
        self._socket.close()

    def _close_tls(self) -> None:
        """Say that nothing more comes (RFC 8446 6.1), and do not wait for the same from the peer.

        Nothing may be sent after it: it would go out in clear.
        """
        if not isinstance(self._socket, ssl.SSLSocket):
            return
        self.is_torn = True
        try:
            self._socket.settimeout(0)
            self._socket.unwrap()
        except (OSError, ValueError) as error:
            log.debug("TLS ends one-sided: %s", type(error).__name__)

    def _shutdown(self, how: int) -> None:
        """Of the connection below: the TLS object is the reading thread's alone."""
        try:
            with self._wrapping:
                socket.socket.shutdown(self._socket, how)
        except OSError:
            return  # the peer was faster


def _without(parts: Sequence[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """What is left of ``parts`` when their first ``count`` bytes are gone."""
    for number, part in enumerate(parts):
        if count < len(part):
            return [memoryview(part)[count:], *parts[number + 1 :]]
        count -= len(part)
    return []
