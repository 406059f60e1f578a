"""The channel over TLS: what OpenSSL holds back counts, and other threads do not tear it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.dimse.tls_site import Site
from tests.waiting import eventually
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.faults import PeerGoneError, PeerSlowError
from tuipacs.dimse.tls import HandshakeError, server_context

BOTH = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def soon() -> float:
    return time.monotonic() + 10


@contextmanager
def connected(
    site: Site, version: ssl.TLSVersion, buffer_size: int = 16384
) -> Iterator[tuple[Channel, ssl.SSLSocket]]:
    """A channel after its handshake, and its peer."""
    context = site.context(site.ct1)
    context.minimum_version = context.maximum_version = version
    with socket.create_server(("127.0.0.1", 0)) as door:
        peer = socket.create_connection(door.getsockname(), timeout=10)
        channel = Channel(door.accept()[0], buffer_size)
    made: list[ssl.SSLSocket] = []
    client = threading.Thread(target=lambda: made.append(context.wrap_socket(peer)))
    client.start()
    channel.secure(server_context(site.files()), soon(), "")
    client.join()
    with made[0]:
        try:
            yield channel, made[0]
        finally:
            channel.close(linger=False)


@BOTH
def test_looking_never_waits_and_sees_all_that_came(site: Site, version: ssl.TLSVersion) -> None:
    with connected(site, version) as (channel, peer):
        assert channel.look(6) is None
        peer.sendall(b"abc")
        assert channel.look(6) is None
        peer.sendall(b"defghi")
        shown = eventually(lambda: channel.look(6))
        assert bytes(shown) == b"abcdef"
        channel.skip(6)
        assert bytes(channel.read(3, soon(), "")) == b"ghi"
        peer.close()
        with pytest.raises(PeerGoneError):
            eventually(lambda: channel.look(1))


@BOTH
def test_what_is_decrypted_and_not_yet_asked_for_is_not_forgotten(
    site: Site, version: ssl.TLSVersion
) -> None:
    """A record is larger than the room for it: the rest stays inside OpenSSL."""
    data = os.urandom(100_000)
    with connected(site, version, buffer_size=1000) as (channel, peer):
        sender = threading.Thread(target=peer.sendall, args=(data,))
        sender.start()
        channel.wait(soon(), "")
        taken = bytes(channel.read(999, soon(), ""))
        sender.join()
        shown = eventually(lambda: channel.look(1000))
        assert bytes(shown) == data[999:1999]
        channel.skip(1000)
        assert taken + data[999:1999] + bytes(channel.read(98_001, soon(), "")) == data


@BOTH
def test_an_interrupt_ends_the_waiting_and_the_last_word_still_goes_out(
    site: Site, version: ssl.TLSVersion
) -> None:
    with connected(site, version) as (channel, peer):
        threading.Timer(0.1, channel.interrupt).start()
        with pytest.raises(PeerGoneError):
            channel.wait(soon(), "")
        channel.send(b"last word", 5)
        assert peer.recv(100) == b"last word"


@BOTH
def test_a_cut_ends_reading_and_sending(site: Site, version: ssl.TLSVersion) -> None:
    with connected(site, version) as (channel, peer):
        threading.Timer(0.1, channel.cut).start()
        with pytest.raises(PeerGoneError):
            channel.read(1, soon(), "")
        with pytest.raises(PeerGoneError):
            channel.send(b"x" * 100_000, 5)
        with pytest.raises(OSError):
            assert peer.recv(100) == b""
            raise OSError  # an end without data is as good


@BOTH
def test_a_peer_that_takes_nothing_has_one_deadline_for_all_of_it(
    site: Site, version: ssl.TLSVersion
) -> None:
    with connected(site, version) as (channel, _):
        with pytest.raises(PeerSlowError, match="took no answer"):
            channel.send(bytes(32 << 20), 0.3)
        with pytest.raises(PeerGoneError):  # half of a record is out: nothing can follow
            channel.send(b"abort", 5)


@BOTH
def test_silence_after_the_handshake_has_its_words(site: Site, version: ssl.TLSVersion) -> None:
    with connected(site, version) as (channel, _), pytest.raises(PeerSlowError, match="nothing"):
        channel.wait(time.monotonic() + 0.05, "sent nothing")


def test_a_cut_in_the_handshake_is_not_lost(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        peer = socket.create_connection(door.getsockname())
        channel = Channel(door.accept()[0], 1000)
    with peer:
        threading.Timer(0.1, channel.cut).start()
        with pytest.raises((PeerGoneError, HandshakeError)):
            channel.secure(server_context(site.files()), soon(), "")
        channel.close(linger=False)


def test_a_peer_that_went_before_the_handshake_is_gone(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        peer = socket.create_connection(door.getsockname())
        channel = Channel(door.accept()[0], 1000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()  # by a reset
    with pytest.raises((PeerGoneError, HandshakeError)):
        channel.secure(server_context(site.files()), soon(), "")
    with pytest.raises((PeerGoneError, PeerSlowError)):
        channel.first_byte(time.monotonic() + 0.05, "")
    channel.close(linger=True)
