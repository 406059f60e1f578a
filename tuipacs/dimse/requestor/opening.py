"""How an association is opened: connection, TLS, request, and what the peer makes of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

from tuipacs.dimse.channel import Channel
from tuipacs.dimse.faults import AbortReason, PduError, PeerGoneError, PeerSlowError
from tuipacs.dimse.pdu import (
    BY_PROVIDER,
    BY_USER,
    HEADER_SIZE,
    PduType,
    encode_abort,
    read_type,
)
from tuipacs.dimse.requestor.connection import PeerTls, connect
from tuipacs.dimse.requestor.faults import (
    AssociationFailedError,
    Failure,
    abort_words,
    lost,
    rejection,
    unexpected,
)
from tuipacs.dimse.requestor.loop import Requestor, RequestorSettings
from tuipacs.dimse.requestor.negotiation import (
    MAX_ACCEPT,
    Accept,
    Proposal,
    encode_associate_request,
    parse_associate_accept,
)

_FOREIGN = {b"HTTP": "HTTP", b"SSH-": "SSH", b"\x15\x03": "TLS: it wants TLS on this port"}


OnConnect = Callable[[Callable[[], None]], None]
"""Told once there is a connection, with what takes it away again, at any time, from any thread."""


def associate(
    host: str,
    port: int,
    proposal: Proposal,
    settings: RequestorSettings,
    tls: PeerTls | None = None,
    on_connect: OnConnect | None = None,
) -> Requestor:
    """Open an association. Raises `AssociationFailedError`; its message goes on after a name."""
    sock = connect(host, port, settings.connect_timeout, tls)
    try:
        return _negotiate(sock, proposal, settings, on_connect)
    except BaseException:
        sock.close()
        raise


def _negotiate(
    sock: socket.socket,
    proposal: Proposal,
    settings: RequestorSettings,
    on_connect: OnConnect | None,
) -> Requestor:
    channel = Channel(sock, settings.max_pdu + 4 * HEADER_SIZE)
    if on_connect is not None:
        on_connect(channel.cut)
    timeout = settings.acse_timeout
    try:
        with suppress(PeerGoneError):  # it may have said why before it went: read on
            channel.send(encode_associate_request(proposal), timeout)
        accept = _answer(channel, proposal, timeout)
    except PduError as error:
        channel.send_last(encode_abort(BY_PROVIDER, error.reason), 1.0)
        channel.close(linger=True)
        raise AssociationFailedError(f"sent {error.words}", Failure.PROTOCOL) from error
    except PeerSlowError as error:
        channel.send_last(encode_abort(BY_USER), 1.0)
        words = f"did not answer the association request within {timeout:g} s"
        raise AssociationFailedError(words, Failure.TIMEOUT) from error
    except PeerGoneError as error:
        raise lost(error) from error
    requestor = Requestor(channel, settings, proposal, accept)
    identity = proposal.identity
    if identity is not None and identity.must_be_confirmed and not accept.identity_confirmed:
        requestor.abort()
        raise AssociationFailedError("did not confirm the user identity", Failure.IDENTITY)
    return requestor


def _answer(channel: Channel, proposal: Proposal, timeout: float) -> Accept:
    deadline = time.monotonic() + timeout
    header = bytes(channel.read(HEADER_SIZE, deadline, ""))
    if other := next((what for start, what in _FOREIGN.items() if header.startswith(start)), ""):
        raise PduError(f"no DICOM but {other}", AbortReason.UNRECOGNIZED_PDU)
    kind, length = read_type(header), int.from_bytes(header[2:6], "big")
    if kind not in (PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.ABORT):
        raise unexpected(kind)
    if length > MAX_ACCEPT:
        raise PduError(f"an answer of {length} bytes to the association request")
    body = channel.read(length, deadline, "")
    if kind is PduType.ASSOCIATE_AC:
        return parse_associate_accept(body, proposal)
    if kind is PduType.ASSOCIATE_RJ:
        failure, words = rejection(bytes(body))
        raise AssociationFailedError(words, failure)
    raise AssociationFailedError(abort_words(body), Failure.ABORTED)
