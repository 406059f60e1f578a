"""How an association that we open, or want to open, can fail; each in its own words."""

from __future__ import annotations

import ssl
from enum import StrEnum

from tuipacs.dimse.faults import AbortReason, PduError, PeerGoneError
from tuipacs.dimse.pdu import PduType
from tuipacs.dimse.tls import handshake_words
from tuipacs.errors import UnavailableError


class Failure(StrEnum):
    """What went wrong, for whoever decides whether to try again."""

    NAME = "name"  # the host name has no address
    CONNECTION = "connection"  # refused, unreachable, no answer to the connection
    TLS = "tls"  # no handshake, or a certificate that is not the peer's
    REJECTED = "rejected"  # A-ASSOCIATE-RJ, permanent
    BUSY = "busy"  # A-ASSOCIATE-RJ, transient
    NO_CONTEXT = "no-context"  # accepted, but none of the presentation contexts
    IDENTITY = "identity"  # accepted without the confirmation of our user that was asked for
    ABORTED = "aborted"  # by the peer
    RELEASED = "released"  # by the peer, while we waited for an answer
    LOST = "lost"  # the connection, without a word
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"  # the peer sent what it must not; we aborted
    SOURCE = "source"  # what we were sending could not be read to its end; we aborted
    ENDED = "ended"  # by ourselves


class AssociationFailedError(UnavailableError):
    """No association came about, or it ended before its time. ``failure`` says which way."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


_RESULTS = {1: "permanently", 2: "for now"}
_REASONS = {  # (source, reason): PS3.8 9.3.4
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given (ACSE)",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
_ABORTS = {
    AbortReason.NOT_SPECIFIED: "no reason given",
    AbortReason.UNRECOGNIZED_PDU: "unrecognized PDU",
    AbortReason.UNEXPECTED_PDU: "unexpected PDU",
    AbortReason.UNRECOGNIZED_PARAMETER: "unrecognized PDU parameter",
    AbortReason.UNEXPECTED_PARAMETER: "unexpected PDU parameter",
    AbortReason.INVALID_PARAMETER: "invalid PDU parameter value",
}


def rejection(body: bytes) -> tuple[Failure, str]:
    """The body of an A-ASSOCIATE-RJ in words (PS3.8 9.3.4)."""
    if len(body) < 4:
        return Failure.REJECTED, "rejected the association without a reason"
    _, result, source, reason = body[:4]
    # A careless acceptor that mixes up source and reason is still quoted with its numbers.
    words = _REASONS.get((source, reason), "a reason that the standard does not know")
    failure = Failure.BUSY if result == 2 else Failure.REJECTED
    how = _RESULTS.get(result, "")
    return failure, (
        f"rejected the association{' ' if how else ''}{how}: {words}"
        f" (result {result}, source {source}, reason {reason})"
    )


def abort_words(body: bytes | memoryview) -> str:
    """The body of an A-ABORT in words (PS3.8 9.3.8)."""
    if len(body) < 4:
        return "aborted the association"
    source, reason = body[2], body[3]
    if source != 2:
        return "aborted the association (service user)"
    words = {int(key): text for key, text in _ABORTS.items()}.get(reason, f"reason {reason}")
    return f"aborted the association (service provider: {words})"


def unexpected(kind: PduType) -> PduError:
    """A PDU that is known, but not due now."""
    return PduError(f"an unexpected {kind.name} PDU", AbortReason.UNEXPECTED_PDU)


def lost(error: PeerGoneError) -> AssociationFailedError:
    """The connection went; TLS alerts come this way too, late, as a peer may send them."""
    if isinstance(error.__cause__, ssl.SSLError) and not isinstance(
        error.__cause__, ssl.SSLEOFError
    ):
        return AssociationFailedError(handshake_words(error.__cause__), Failure.TLS)
    return AssociationFailedError("closed the connection without a release", Failure.LOST)
