"""An association that we open: one thread, one blocking socket, a deadline for every wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import AcceptedContext, Command, Exchange
from tuipacs.dimse.faults import (
    AbortReason,
    PduError,
    PeerGoneError,
    PeerSlowError,
    SourceFailedError,
)
from tuipacs.dimse.messages import RESPONSE, Assembler, encode_answer
from tuipacs.dimse.pdu import (
    BY_PROVIDER,
    BY_USER,
    HEADER_SIZE,
    PduType,
    data_values,
    encode_abort,
    encode_data,
    encode_release_response,
    read_length,
    read_type,
)
from tuipacs.dimse.requestor.answers import AnswerDataset, Received, Sent, checked
from tuipacs.dimse.requestor.faults import (
    AssociationFailedError,
    Failure,
    abort_words,
    lost,
    unexpected,
)
from tuipacs.dimse.requestor.negotiation import ACCEPTED, Accept, Proposal, encode_release_request
from tuipacs.dimse.requestor.serving import Begin, Patience, PeerRequests
from tuipacs.dimse.sending import DatasetSender, DatasetSource


@dataclass(frozen=True, kw_only=True)
class RequestorSettings:
    """Times in seconds, sizes in bytes."""

    connect_timeout: float = 10.0  # for TCP and TLS together
    acse_timeout: float = 30.0  # for the answer to an association or release request
    dimse_timeout: float = 60.0  # for each whole answer, and for sending each 256 KiB
    max_pdu: int = 131072
    max_object_bytes: int = 64 << 30  # of a dataset that the peer sends (C-GET)


class Requestor:
    """An established association, as its requestor. Use it from one thread; `cut` from any.

    Every method that talks raises `AssociationFailedError` once the association has ended, for
    whatever reason, and ends it itself where the peer leaves no other way: nothing hangs.
    """

    def __init__(
        self,
        channel: Channel,
        settings: RequestorSettings,
        proposal: Proposal,
        accept: Accept,
    ) -> None:
        self._channel = channel
        self._settings = settings
        self._assembler = Assembler(self._begin)
        self._requests = PeerRequests(settings.max_object_bytes)
        self._received: deque[tuple[int, Command, bytes]] = deque()
        self._message_id = 0
        self._waiting: Sent | None = None  # the request whose last answer has not come
        self._answered_early = False  # while its dataset was still being sent
        self._sender = DatasetSender(channel, accept.max_length, settings.dimse_timeout)
        self.accept = accept
        self.ended: AssociationFailedError | None = None
        proposed = {context.context_id: context for context in proposal.contexts}
        self.contexts: Mapping[int, AcceptedContext] = MappingProxyType(
            {
                answer.context_id: AcceptedContext(
                    answer.context_id,
                    proposed[answer.context_id].abstract_syntax,
                    answer.transfer_syntax,
                )
                for answer in accept.contexts
                if answer.result == ACCEPTED
            }
        )

    # -- messages

    def next_message_id(self) -> int:
        """1 to 65535, over and over (PS3.7 9.3)."""
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, request: Sent, command: bytes, source: DatasetSource | None = None) -> None:
        """Send a request, and the dataset that it announces.

        Raises `SourceFailedError` if that cannot be read: nothing was sent, and the association
        goes on; if it was in the middle, the association is ended instead.
        """
        self._check_open()
        head = encode_data(
            request.context.context_id, command, self.accept.max_length, is_command=True
        )
        first = memoryview(b"")
        if source is not None:
            first = self._sender.read_block(source)
        with self._talking():
            self._waiting = request
            self._answered_early = False
            if source is None:
                self._channel.send(head, self._settings.dimse_timeout)
            else:
                context_id = request.context.context_id
                self._sender.send(context_id, head, first, source, self._look_for_an_answer)

    def _look_for_an_answer(self) -> None:
        """Note whether the peer has begun an answer to what is not yet sent to its end."""
        pdu = self._channel.look(1)
        self._answered_early = bool(self._received) or (
            pdu is not None and pdu[0] == PduType.P_DATA
        )

    def receive(self, *, is_final: bool = True, patience: int = 1) -> Received:
        """The next answer to the request that was sent, whole; ``is_final``: expect no other.

        ``patience``: DIMSE timeouts that it may take. Where the peer may send requests they are
        served meanwhile, and silence counts from the last one.
        """
        request = self._waiting
        if request is None:
            raise AssertionError("no request waits for an answer")
        with self._talking():
            timeout = self._settings.dimse_timeout * patience
            words = f"did not answer within {timeout:g} s"
            waits = Patience(timeout, words, for_each=self._requests.are_served)
            while not self._received:
                self._read_data(waits)
            context_id, command, dataset = self._received.popleft()
            received = checked(request, self.contexts[context_id], command, dataset)
            if self._answered_early and not received.is_failure:  # a refusal may come early
                raise PduError("an answer before it had the whole request")
            if is_final or not received.is_pending:
                self._waiting = None
            return received

    def send_cancel(self, command: bytes) -> None:
        """Send a C-CANCEL for the request that waits."""
        if self._waiting is None:
            return
        context_id = self._waiting.context.context_id
        with self._talking():
            data = encode_data(context_id, command, self.accept.max_length, is_command=True)
            self._channel.send(data, self._settings.dimse_timeout)

    def serve(self, field: int, sop_classes: frozenset[str], begin: Begin) -> None:
        """Take this request of the peer from now on: see `PeerRequests.offer`."""
        self._requests.offer(field, sop_classes, begin)

    @property
    def served(self) -> int:
        """Requests of the peer that have their answer."""
        return self._requests.served

    def attend(self, seconds: float) -> bool:
        """Wait for a request of the peer, and serve it. False if none began in time."""
        with self._talking():
            served = self._requests.served
            try:
                self._channel.wait(time.monotonic() + seconds, "")
            except PeerSlowError:
                return False
            timeout = self._settings.dimse_timeout
            waits = Patience(timeout, f"sent no whole request within {timeout:g} s", for_each=True)
            while served == self._requests.served:
                self._read_data(waits)
                if self._received:
                    raise PduError("an answer to nothing that was asked")
        return True

    def _read_data(self, waits: Patience) -> None:
        """Take the next PDU in the middle of an association."""
        kind, body = self._read_pdu(waits)
        if kind is PduType.P_DATA:
            for context_id, header, fragment in data_values(body):
                whole = self._take(context_id, header, fragment)
                waits.got_on(self._assembler.received, whole=whole)
        elif kind is PduType.RELEASE_RQ:
            self._channel.send_last(encode_release_response(), self._settings.acse_timeout)
            words = "released the association instead of answering"
            raise AssociationFailedError(words, Failure.RELEASED)
        else:
            raise unexpected(kind)

    def _take(self, context_id: int, header: int, fragment: memoryview) -> bool:
        """Take one PDV; True if it ended a message."""
        if context_id not in self.contexts:
            raise PduError("data for a presentation context that was not accepted")
        message = self._assembler.feed(context_id, header, fragment)
        if message is None:
            return False
        if isinstance(message.exchange, AnswerDataset):
            dataset = bytes(message.exchange.data)
            self._received.append((context_id, message.command, dataset))
        else:
            answer = encode_answer(message.command, self._requests.answer(message))
            data = encode_data(context_id, answer, self.accept.max_length, is_command=True)
            self._channel.send(data, self._settings.dimse_timeout)
        return True

    def _begin(self, context_id: int, command: Command) -> Exchange:
        """Who takes the message that begins."""
        if command.field & RESPONSE:
            return AnswerDataset()
        return self._requests.begin(self.contexts[context_id], command)

    def _read_pdu(self, waits: Patience) -> tuple[PduType, memoryview]:
        header = self._channel.read(HEADER_SIZE, waits.until, waits.words)
        kind = read_type(header)
        length = read_length(header, kind, self._settings.max_pdu)
        body = self._channel.read(length, waits.body_until(), waits.words)
        if kind is PduType.ABORT:
            raise AssociationFailedError(abort_words(body), Failure.ABORTED)
        return kind, body

    # -- the end

    @property
    def is_open(self) -> bool:
        """False once it has ended; what the peer does meanwhile is noticed by the next request."""
        return self.ended is None

    def release(self) -> None:
        """End it in order (PS3.8 7.2); in the middle of a request, abort instead."""
        if self.ended is not None:
            return
        if self._waiting is not None:
            self.abort()
            return
        with self._talking():
            timeout = self._settings.acse_timeout
            waits = Patience(timeout, f"did not answer the release within {timeout:g} s")
            self._channel.send(encode_release_request(), timeout)
            while True:
                kind, _ = self._read_pdu(waits)
                if kind is PduType.RELEASE_RP:
                    break
                if kind is PduType.RELEASE_RQ:  # a collision: answer, then wait on (Sta9, Sta11)
                    self._channel.send(encode_release_response(), timeout)
                elif kind is not PduType.P_DATA:  # data that was on its way (Sta7)
                    raise unexpected(kind)
        self._end(AssociationFailedError("was released by us", Failure.ENDED))
        self._channel.close(linger=False)

    def abort(self) -> None:
        """End it at once (PS3.8 7.3)."""
        if self.ended is None:
            ended = AssociationFailedError("was aborted by us", Failure.ENDED)
            self._abort(ended, BY_USER)

    def cut(self) -> None:
        """Take the connection away: whatever waits in the other thread fails at once."""
        self._channel.cut()

    def _abort(
        self,
        why: AssociationFailedError,
        source: int,
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
    ) -> None:
        self._end(why)
        if self._channel.is_torn:  # an abort there would be taken for data
            self._channel.close(linger=False)
            return
        self._channel.send_last(encode_abort(source, reason), 1.0)
        self._channel.close(linger=True)

    def _end(self, why: AssociationFailedError) -> None:
        self.ended = why
        self._assembler.discard()
        self._received.clear()

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Whatever goes wrong inside ends the association, in the right way, and is told."""
        self._check_open()
        try:
            yield
        except PduError as error:
            why = AssociationFailedError(f"sent {error.words}", Failure.PROTOCOL)
            self._abort(why, BY_PROVIDER, error.reason)
        except PeerSlowError as error:
            why = self._last_word() or AssociationFailedError(error.words, Failure.TIMEOUT)
            self._abort(why, BY_USER)
        except SourceFailedError as error:
            why = AssociationFailedError(f"was sent half an object: {error.words}", Failure.SOURCE)
            self._abort(why, BY_USER)
        except PeerGoneError as error:
            self._end(self._last_word() or lost(error))
            self._channel.close(linger=False)
        except AssociationFailedError as error:
            self._end(error)
            self._channel.close(linger=False)
        except BaseException:
            self.abort()
            raise
        self._check_open()

    def _check_open(self) -> None:
        if self.ended is not None:  # a new one: each raise of the same would grow its traceback
            raise AssociationFailedError(self.ended.message, self.ended.failure)

    def _last_word(self) -> AssociationFailedError | None:
        """A peer that stops reading may have said why."""
        try:
            pdu = self._channel.look(HEADER_SIZE + 4)
        except PeerGoneError:
            return None
        if pdu is None or pdu[0] != PduType.ABORT:
            return None
        return AssociationFailedError(abort_words(pdu[HEADER_SIZE:]), Failure.ABORTED)
