"""One association, from the connection to its close, in one thread that owns the socket."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import (
    AcceptedContext,
    Admit,
    Answer,
    AssociationInfo,
    Caller,
    ListenerSettings,
    Observer,
    Outcome,
    Request,
    ServiceProvider,
)
from tuipacs.dimse.faults import AbortReason, PduError, PeerGoneError, PeerSlowError
from tuipacs.dimse.messages import (
    C_CANCEL_RQ,
    RESPONSE,
    Assembler,
    Command,
    Message,
    encode_answer,
)
from tuipacs.dimse.negotiation import Acceptance, Rejection, local_limit, negotiate
from tuipacs.dimse.pdu import (
    HEADER_SIZE,
    MAX_REQUEST,
    AssociateRequest,
    PduType,
    data_values,
    encode_abort,
    encode_associate_accept,
    encode_associate_reject,
    encode_command,
    encode_release_response,
    parse_associate_request,
)
from tuipacs.dimse.slots import AssociationSlots
from tuipacs.domain.node import AssociationState

log = logging.getLogger(__name__)

_USER, _PROVIDER = 0, 2  # who aborts (PS3.8 9.3.8)
_SLACK = 16  # bytes by which some senders miss the maximum length that they agreed to
_SHORT_PDU = 1024
_LIMITS = {  # longest body of a PDU that an acceptor may be sent
    PduType.ASSOCIATE_RQ: MAX_REQUEST,
    PduType.RELEASE_RQ: _SHORT_PDU,
    PduType.ABORT: _SHORT_PDU,
}
_FOREIGN = {
    b"GET ": "HTTP",
    b"POST": "HTTP",
    b"HEAD": "HTTP",
    b"OPTI": "HTTP",
    b"SSH-": "SSH",
    b"\x16\x03": "TLS on a port without TLS",
}

_UNRECOGNIZED_OPERATION = Answer(0x0211, "unrecognized operation", outcome=Outcome.OTHER)
_CLASS_NOT_SUPPORTED = Answer(
    0x0122,
    "SOP class not supported",
    "not the SOP class of this presentation context",
    Outcome.REFUSED,
)
_TOO_LARGE = Answer(0xA700, "out of resources", "larger than this archive takes", Outcome.REFUSED)
_INTERNAL = Answer(0x0110, "processing failure", "internal error", Outcome.REFUSED)


@dataclass(frozen=True)
class Engine:
    """What all associations of one listener share."""

    settings: ListenerSettings
    admit: Admit
    providers: Sequence[ServiceProvider]
    observer: Observer
    slots: AssociationSlots


class Association:
    """The acceptor's side. `run` is its thread; `dismiss` and `cut` are for other threads."""

    def __init__(self, engine: Engine, channel: Channel, address: str) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._channel = channel
        self._assembler = Assembler(engine.settings.max_object_bytes, self._wants_dataset)
        self.caller = Caller("", "", address)
        self.info: AssociationInfo | None = None  # once accepted
        self._lock = threading.Lock()  # guards the next two
        self._dismissed = ""  # why we end it ourselves
        self._between = True  # two messages, or before the first: nothing would be lost
        self._peer_max_length = 0

    def dismiss(self, reason: str) -> None:
        """End it as soon as the request that is being received or served has its answer."""
        with self._lock:
            self._dismissed = self._dismissed or reason
            if self._between:
                self._channel.interrupt()

    def cut(self) -> None:
        """End it now, in the middle of whatever it does."""
        self._channel.cut()

    def run(self) -> None:
        """Talk until the socket is closed. Raises nothing that the peer can cause."""
        linger = True
        try:
            accepted = self._associate()
            if accepted is not None:
                self._serve(*accepted)
        except PeerGoneError:
            linger = False
        finally:
            self._channel.close(linger=linger)

    # -- association establishment (PS3.8 7.1)

    def _associate(self) -> tuple[Acceptance, bytes] | None:
        """The acceptance and the PDU that will say so; None if it was refused."""
        deadline = time.monotonic() + self._settings.acse_timeout
        words = f"sent no whole association request in {self._settings.acse_timeout:g} s"
        try:
            request = self._read_request(deadline, words)
        except PeerGoneError:
            if self._channel.received:  # nothing at all is a port probe, and nothing to report
                self._report_refusal("went away inside its association request")
            raise
        except PeerSlowError as slow:
            self._report_refusal(slow.words)
            return None
        except PduError as error:
            self._send(encode_abort(_PROVIDER, error.reason))
            self._report_refusal(f"sent {error.words}")
            return None
        verdict = negotiate(
            request,
            self.caller,
            self._settings,
            self._engine.admit,
            self._engine.providers,
        )
        if isinstance(verdict, Acceptance):
            full = self._engine.slots.claim(self.caller, verdict.admission)
            if not full:
                return self._accept(request, verdict)
            verdict = local_limit(full, verdict.admission)
        self._reject(verdict)
        return None

    def _read_request(self, deadline: float, words: str) -> AssociateRequest:
        header = bytes(self._channel.read(HEADER_SIZE, deadline, words))
        if header[0] != PduType.ASSOCIATE_RQ:
            raise PduError(_foreign(header), AbortReason.UNEXPECTED_PDU)
        length = int.from_bytes(header[2:6], "big")
        if length > MAX_REQUEST:
            raise PduError(f"an association request of {length} bytes")
        request = parse_associate_request(self._channel.read(length, deadline, words))
        self._peer_max_length = request.max_length
        self.caller = Caller(request.calling_ae_title, request.called_ae_title, self.caller.address)
        return request

    def _accept(
        self, request: AssociateRequest, acceptance: Acceptance
    ) -> tuple[Acceptance, bytes]:
        contexts = MappingProxyType({c.context_id: c for c in acceptance.accepted})
        admission = acceptance.admission
        key = self._engine.observer.opened(self.caller, admission.known, acceptance.outcomes)
        self.info = AssociationInfo(key, self.caller, admission, contexts)
        log.info("association %d open, %d contexts accepted", key, len(contexts))
        return acceptance, encode_associate_accept(
            request, acceptance.answers, acceptance.roles, self._settings.max_pdu
        )

    def _reject(self, rejection: Rejection) -> None:
        self._send(encode_associate_reject(rejection.result, rejection.source, rejection.reason))
        self._engine.observer.rejected(
            self.caller, rejection.known, rejection.words, rejection.outcomes
        )

    def _report_refusal(self, words: str) -> None:
        self._engine.observer.rejected(self.caller, False, words)

    # -- data transfer and release (PS3.8 7.2 to 7.6)

    def _serve(self, acceptance: Acceptance, greeting: bytes) -> None:
        state, reason, offence = AssociationState.ABORTED, "", False
        try:
            self._channel.send(greeting, self._settings.dimse_timeout)
            state, reason = self._converse()
        except PduError as error:
            reason, offence = f"sent {error.words}", True
            self._send(encode_abort(_PROVIDER, error.reason))
        except PeerSlowError as slow:
            reason = slow.words
            self._send(encode_abort(_PROVIDER))
        except PeerGoneError:
            if self._dismissed:
                reason = self._dismissed
                self._send(encode_abort(_USER))
            else:
                unfinished = " inside an object" if self._assembler.unfinished else ""
                reason = f"the connection was lost{unfinished}, without a release"
        finally:
            self._engine.slots.give_back(self.caller, acceptance.admission)
            if self.info is not None:
                log.info("association %d %s: %s", self.info.key, state.value, reason or "-")
                self._engine.observer.closed(self.info.key, state, reason, offence)

    def _converse(self) -> tuple[AssociationState, str]:
        while True:
            kind, length = self._next_header()
            deadline = time.monotonic() + self._settings.dimse_timeout
            body = self._channel.read(length, deadline, "sent no whole PDU in time")
            if kind is PduType.P_DATA:
                for context_id, header, fragment in data_values(body):
                    self._take(context_id, header, fragment)
            elif kind is PduType.RELEASE_RQ:
                self._send(encode_release_response())
                unfinished = self._assembler.unfinished
                return AssociationState.RELEASED, "inside an object" if unfinished else ""
            else:
                return AssociationState.ABORTED, _abort_words(bytes(body))

    def _next_header(self) -> tuple[PduType, int]:
        idle = self._settings.idle_timeout
        with self._lock:
            self._between = not self._assembler.unfinished
            if self._dismissed and self._between:
                raise PeerGoneError
        self._channel.wait(idle, f"sent nothing for {idle:g} s")
        with self._lock:
            self._between = False
        deadline = time.monotonic() + self._settings.dimse_timeout
        header = self._channel.read(HEADER_SIZE, deadline, "sent no whole PDU in time")
        try:
            kind = PduType(header[0])
        except ValueError:
            raise PduError(
                f"a PDU of the unknown type 0x{header[0]:02X}", AbortReason.UNRECOGNIZED_PDU
            ) from None
        if kind not in (PduType.P_DATA, PduType.RELEASE_RQ, PduType.ABORT):
            raise PduError(
                f"an {kind.name} in the middle of an association", AbortReason.UNEXPECTED_PDU
            )
        length = int.from_bytes(header[2:6], "big")
        if length > _LIMITS.get(kind, self._settings.max_pdu + _SLACK):
            raise PduError(f"a PDU of {length} bytes, more than was agreed")
        return kind, length

    # -- messages

    def _wants_dataset(self, command: Command) -> bool:
        """Whether a service here is open to this caller and has a use for the dataset."""
        info = self._open_info()
        provider = self._provider_of(command)
        return (
            provider is not None
            and provider.takes_dataset
            and provider.right in info.admission.services
        )

    def _provider_of(self, command: Command) -> ServiceProvider | None:
        return next((p for p in self._engine.providers if p.command_field == command.field), None)

    def _take(self, context_id: int, header: int, fragment: memoryview) -> None:
        info = self._open_info()
        context = info.contexts.get(context_id)
        if context is None:
            raise PduError("data for a presentation context that was not accepted")
        message = self._assembler.feed(context_id, header, fragment)
        if message is None or message.command.field == C_CANCEL_RQ:
            return  # there is nothing that a cancel could stop yet
        if message.command.field & RESPONSE:
            raise PduError("an answer to nothing that was asked")
        answer = self._answer(info, context, message)
        command = encode_answer(message.command, answer)
        self._channel.send(
            encode_command(context_id, command, self._peer_max_length),
            self._settings.dimse_timeout,
        )
        size = len(message.dataset) if message.dataset is not None else 0
        self._engine.observer.answered(info.key, answer, size)

    def _answer(self, info: AssociationInfo, context: AcceptedContext, message: Message) -> Answer:
        command = message.command
        provider = self._provider_of(command)
        if provider is None:
            return _UNRECOGNIZED_OPERATION
        abstract_syntax = context.abstract_syntax
        if command.sop_class_uid != abstract_syntax or not provider.serves(abstract_syntax):
            return _CLASS_NOT_SUPPORTED
        if message.overflow:
            return _TOO_LARGE
        request = Request(
            context=context,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            dataset=message.dataset,
        )
        try:
            return provider.handle(info, request)
        except Exception:
            # The border of the services: a bug there costs the peer one object, not the listener.
            log.exception("association %d: a service failed", info.key)
            return _INTERNAL

    def _open_info(self) -> AssociationInfo:
        if self.info is None:
            raise AssertionError("data before the association is open")
        return self.info

    def _send(self, data: bytes) -> None:
        """Send a last word; a peer that is gone or does not listen does not matter any more."""
        try:
            self._channel.send(data, self._settings.acse_timeout)
        except (PeerGoneError, PeerSlowError):
            log.debug("the peer did not take the last PDU")


def _foreign(header: bytes) -> str:
    for start, what in _FOREIGN.items():
        if header.startswith(start):
            return f"no DICOM but {what}"
    if header[0] in tuple(PduType):
        return "another PDU than an association request first"
    return "no DICOM"


def _abort_words(body: bytes) -> str:
    if len(body) < 4:
        return "the peer aborted"
    return f"the peer aborted (source {body[2]}, reason {body[3]})"
