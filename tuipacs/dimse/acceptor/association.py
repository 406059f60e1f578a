"""One association, from the connection to its close, in one thread that owns the socket.

Here is how it comes about or is refused (PS3.8 7.1); `conversation` is what follows.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from types import MappingProxyType

from tuipacs.dimse.acceptor.conversation import Conversation
from tuipacs.dimse.acceptor.dismissal import Dismissal
from tuipacs.dimse.acceptor.engine import Engine
from tuipacs.dimse.acceptor.negotiation import Acceptance, Rejection, local_limit, negotiate
from tuipacs.dimse.acceptor.pdus import (
    MAX_REQUEST,
    AssociateRequest,
    encode_associate_accept,
    encode_associate_reject,
    parse_associate_request,
)
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import AssociationInfo, Caller, TlsSource
from tuipacs.dimse.faults import (
    AbortReason,
    PduError,
    PeerAbortedError,
    PeerGoneError,
    PeerSlowError,
)
from tuipacs.dimse.pdu import BY_USER, HEADER_SIZE, PduType, encode_abort
from tuipacs.dimse.tls import CLIENT_HELLO, HandshakeError
from tuipacs.domain.admission import Admission

log = logging.getLogger(__name__)

_FOREIGN = {
    b"GET ": "HTTP",
    b"POST": "HTTP",
    b"HEAD": "HTTP",
    b"OPTI": "HTTP",
    b"SSH-": "SSH",
    b"\x16\x03": "TLS on a port without TLS",
}


class Association:
    """The acceptor's side. `run` is its thread; `dismiss` and `cut` are for other threads."""

    def __init__(
        self, engine: Engine, channel: Channel, address: str, tls: TlsSource | None = None
    ) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._channel = channel
        self._tls = tls  # for a connection to the TLS port
        self.caller = Caller("", "", address)
        self.info: AssociationInfo | None = None  # once accepted
        self._dismissal = Dismissal(channel)
        self._peer_max_length = 0
        self._slot: Admission | None = None  # as whom it was claimed, while it is

    @property
    def has_slot(self) -> bool:
        """True from its acceptance until its end begins; before and after it only waits."""
        return self._slot is not None

    def dismiss(self, reason: str, grace: float = math.inf) -> None:
        """End it as soon as the request that is being received or served has its answer.

        A stream of answers ends at once. After ``grace`` seconds it `is_overdue`.
        """
        self._dismissal.ask(reason, grace)

    @property
    def is_overdue(self) -> bool:
        """True when the time is over that `dismiss` gave it: it should be cut."""
        return self._dismissal.is_overdue

    def cut(self) -> None:
        """End it now, in the middle of whatever it does."""
        self._channel.cut()
        self._dismissal.wake()

    def run(self) -> None:
        """Talk until the socket is closed. Raises nothing that the peer can cause."""
        linger = True
        try:
            greeting = self._associate()
            if greeting and self.info is not None:
                self._converse(self.info, greeting)
        except PeerGoneError:
            linger = False
        finally:
            self._channel.close(linger=linger)

    def _associate(self) -> bytes:
        """The PDU that will say that it was accepted; empty if it was refused, and all is said."""
        deadline = time.monotonic() + self._settings.acse_timeout
        if self._tls is not None and not self._secure(self._tls, deadline):
            return b""
        words = f"sent no whole association request in {self._settings.acse_timeout:g} s"
        try:
            request = self._read_request(deadline, words)
        except PeerGoneError:
            if self._channel.received:  # nothing at all is a port probe, and nothing to report
                self._report_refusal("went away inside its association request")
            raise
        except (PeerSlowError, PeerAbortedError) as end:
            self._report_refusal(end.words)
            return b""
        except PduError as error:
            # Before an association it is the service user that aborts (PS3.8 9.2.2, AA-1).
            self._send(encode_abort(BY_USER))
            self._report_refusal(f"sent {error.words}")
            return b""
        verdict = negotiate(
            request,
            self.caller,
            self._settings,
            self._engine.admit,
            self._engine.providers,
            self._engine.identify,
        )
        if isinstance(verdict, Acceptance):
            self.caller = verdict.caller
            full = self._engine.slots.claim(self.caller, verdict.admission)
            if not full:
                self._slot = verdict.admission
                return self._accept(request, verdict)
            verdict = local_limit(full, verdict.admission)
        self._reject(verdict)
        return b""

    def _secure(self, source: TlsSource, deadline: float) -> bool:
        """The TLS handshake; False if it failed, and all is said."""
        words = f"finished no TLS handshake in {self._settings.acse_timeout:g} s"
        try:
            first = self._channel.first_byte(deadline, words)
            if first == CLIENT_HELLO:
                shown = self._channel.secure(source.context(), deadline, words)
                self.caller = dataclasses.replace(
                    self.caller, is_tls=True, certificate_sha256=shown
                )
                return True
            if first in tuple(PduType):
                words = "sent DICOM without TLS to the TLS port"
                self._send(encode_abort(BY_USER))  # in clear, as it was spoken to
            else:
                words = "sent no TLS to the TLS port"
            self._report_refusal(words)
        except (PeerSlowError, HandshakeError) as end:
            self._report_refusal(end.words)
        except PeerGoneError:
            if self._channel.received:
                self._report_refusal("went away inside the TLS handshake")
            raise
        return False

    def _read_request(self, deadline: float, words: str) -> AssociateRequest:
        header = bytes(self._channel.read(HEADER_SIZE, deadline, words))
        if header[0] == PduType.ABORT:
            raise PeerAbortedError
        if header[0] != PduType.ASSOCIATE_RQ:
            raise PduError(_foreign(header), AbortReason.UNEXPECTED_PDU)
        length = int.from_bytes(header[2:6], "big")
        if length > MAX_REQUEST:
            raise PduError(f"an association request of {length} bytes")
        request = parse_associate_request(self._channel.read(length, deadline, words))
        self._peer_max_length = request.max_length
        self.caller = dataclasses.replace(
            self.caller,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            implementation=request.implementation,
        )
        return request

    def _accept(self, request: AssociateRequest, acceptance: Acceptance) -> bytes:
        contexts = MappingProxyType({c.context_id: c for c in acceptance.accepted})
        admission = acceptance.admission
        key = self._engine.observer.opened(self.caller, admission.known, acceptance.outcomes)
        extended = MappingProxyType(acceptance.extended)
        self.info = AssociationInfo(key, self.caller, admission, contexts, extended)
        log.info("association %d open, %d contexts accepted", key, len(contexts))
        return encode_associate_accept(
            request,
            acceptance.answers,
            acceptance.roles,
            self._settings.max_pdu,
            extended=acceptance.extended,
            confirm_identity=acceptance.confirm_identity,
        )

    def _reject(self, rejection: Rejection) -> None:
        self._send(encode_associate_reject(rejection.result, rejection.source, rejection.reason))
        self._engine.observer.rejected(
            self.caller, rejection.known, rejection.words, rejection.outcomes
        )

    def _report_refusal(self, words: str) -> None:
        """If we ended it ourselves, that is the reason, and not what came of it."""
        self._engine.observer.rejected(self.caller, False, self._dismissal.reason or words)

    def _converse(self, info: AssociationInfo, greeting: bytes) -> None:
        conversation = Conversation(
            self._engine,
            self._channel,
            info,
            self._peer_max_length,
            self._dismissal,
            leave=self._leave,
        )
        try:
            conversation.run(greeting)
        finally:
            self._leave()
            state, reason = conversation.state, conversation.reason
            log.info("association %d %s: %s", info.key, state.value, reason or "-")
            self._engine.observer.closed(info.key, state, reason, conversation.offence)

    def _leave(self) -> None:
        """Give the slot back, once."""
        if self._slot is not None:
            self._engine.slots.give_back(self.caller, self._slot)
            self._slot = None

    def _send(self, data: bytes) -> None:
        self._channel.send_last(data, self._settings.acse_timeout)


def _foreign(header: bytes) -> str:
    for start, what in _FOREIGN.items():
        if header.startswith(start):
            return f"no DICOM but {what}"
    if header[0] in tuple(PduType):
        return "another PDU than an association request first"
    return "no DICOM"
