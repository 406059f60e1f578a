"""Requests of one open association to their services, and the answers back to the peer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tuipacs.dimse.acceptor.cancelling import CancelWatch
from tuipacs.dimse.acceptor.dismissal import Dismissal
from tuipacs.dimse.acceptor.suboperations import SubOperations
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import (
    AcceptedContext,
    Answer,
    AssociationInfo,
    Command,
    Exchange,
    ListenerSettings,
    Observer,
    Outcome,
    Reply,
    Request,
    ServiceProvider,
    called_by_scp,
)
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.guarding import CLASS_NOT_SUPPORTED, INTERNAL, Guarded
from tuipacs.dimse.messages import (
    C_CANCEL_RQ,
    C_GET_RQ,
    N_EVENT_REPORT_RQ,
    RESPONSE,
    STATUS,
    Message,
    encode_answer,
    priority_of,
)
from tuipacs.dimse.pdu import encode_data
from tuipacs.dimse.requests import encode_event_report

BATCH = 65536  # bytes of answers that are sent in one go
SEND_EVERY = 0.05  # seconds that an answer waits for others at most

_NO_ROLE = Answer(
    0x0122, "SOP class not supported", "the caller has no such role for it", Outcome.REFUSED
)
_UNRECOGNIZED_OPERATION = Answer(0x0211, "unrecognized operation", outcome=Outcome.OTHER)


class Serving:
    """Begins and answers requests; one thread, that of the association."""

    def __init__(
        self,
        settings: ListenerSettings,
        providers: Sequence[ServiceProvider],
        observer: Observer,
        info: AssociationInfo,
        channel: Channel,
        peer_max_length: int,
        dismissal: Dismissal,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._observer = observer
        self._info = info
        self._channel = channel
        self._peer_max_length = peer_max_length
        self._dismissal = dismissal
        self._line: SubOperations | None = None  # of the request at hand, if it is a C-GET
        # Reports of ours that have no answer yet: command field, context and message ID of that.
        self._events: dict[tuple[int, int, int], Callable[[int], None]] = {}
        self._event_id = 0

    def begin(self, context_id: int, command: Command) -> Exchange:
        """What takes the dataset of a request. Raises `PduError` for what is none."""
        if command.field == C_CANCEL_RQ:
            return Reply(INTERNAL)  # of what was answered already: `answer` will say nothing
        if command.field & RESPONSE:
            if (command.field, context_id, command.message_id) not in self._events:
                raise PduError("an answer to nothing that was asked")
            return Reply(INTERNAL)
        context = self._info.contexts[context_id]
        serving = [p for p in self._providers if p.command_field == command.field]
        if not serving:
            return Reply(_UNRECOGNIZED_OPERATION)
        provider = next((p for p in serving if p.serves(context.abstract_syntax)), None)
        if provider is None or command.sop_class_uid != context.abstract_syntax:
            return Reply(CLASS_NOT_SUPPORTED)
        by_scp = called_by_scp(provider)
        if not (context.peer_is_scp if by_scp else context.peer_is_scu):
            return Reply(_NO_ROLE)
        line = self._line = self._new_line(context, command)
        return Guarded(
            lambda: provider.begin(self._info, Request(context, command, line)),
            f"association {self._info.key}",
            self._settings.max_object_bytes,
        )

    def _new_line(self, context: AcceptedContext, command: Command) -> SubOperations | None:
        if command.field != C_GET_RQ:
            return None
        return SubOperations(
            self._settings,
            self._channel,
            self._info,
            self._peer_max_length,
            self._dismissal,
            context_id=context.context_id,
            message_id=command.message_id,
            priority=priority_of(command),
        )

    def answer(self, message: Message) -> Answer | None:
        """Finish a request, send its answer or all of them, and return the last.

        None for what gets no answer: a C-CANCEL of what was answered already, and answers to what
        we have reported. Raises as `Channel.send` and `CancelWatch`.
        """
        if message.command.field == C_CANCEL_RQ:
            return None
        if message.command.field & RESPONSE:
            self._take_answer(message)
            return None
        watch = CancelWatch(self._channel, message, self._dismissal, self._settings.max_pdu)
        try:
            result = message.exchange.finish(watch)
            if isinstance(result, Answer):
                self._send(self._encode(message, result))
                final = result
            else:
                final = self._stream(message, result)
        finally:
            message.exchange.discard()
        self._observer.answered(self._info.key, final, message.size)
        if isinstance(message.exchange, Guarded):
            message.exchange.sequel(partial(self._send_event, message))
        return final

    def _send_event(
        self,
        message: Message,
        event_type: int,
        dataset: bytes,
        on_answer: Callable[[int], None],
    ) -> None:
        """See `SendEvent`."""
        self._event_id = self._event_id % 0xFFFF + 1
        command = encode_event_report(
            self._event_id,
            message.command.sop_class_uid,
            message.command.sop_instance_uid,
            event_type,
        )
        limit = self._peer_max_length
        data = encode_data(message.context_id, command, limit, is_command=True)
        data += encode_data(message.context_id, dataset, limit, is_command=False)
        key = (N_EVENT_REPORT_RQ | RESPONSE, message.context_id, self._event_id)
        self._events[key] = on_answer
        self._send(data)

    def _take_answer(self, message: Message) -> None:
        command = message.command
        status = command.elements.get(STATUS, b"")
        if len(status) != 2:
            raise PduError("an answer without a status")
        on_answer = self._events.pop((command.field, message.context_id, command.message_id))
        on_answer(int.from_bytes(status, "little"))

    def _stream(self, message: Message, answers: Iterator[Answer]) -> Answer:
        """Send Pending answers in batches, and the final one; return that."""
        batch: list[bytes] = []
        size = 0
        sent_at = time.monotonic()
        heads: dict[tuple[int, str], bytes] = {}
        for answer in answers:
            if answer.is_pending and answer.dataset is not None:
                # All Pending answers of a request have the same command set.
                kind = (answer.status, answer.comment)
                head = heads.get(kind)
                if head is None:
                    head = heads[kind] = self._encode_command(message, answer)
                batch.append(head)
                data = self._encode_dataset(message, answer.dataset)
                batch.append(data)
                size += len(head) + len(data)
            else:
                batch.append(self._encode(message, answer))
                size += len(batch[-1])
                if not answer.is_pending:
                    if self._line is not None:
                        self._line.settle()
                    self._send(b"".join(batch))
                    return answer
            now = time.monotonic()
            # Counts are told at once: the next sub-operation may take a while.
            if size >= BATCH or now - sent_at >= SEND_EVERY or answer.counts is not None:
                self._send(b"".join(batch))
                batch.clear()
                size, sent_at = 0, now
        raise AssertionError("answers without a final one")

    def _encode(self, message: Message, answer: Answer) -> bytes:
        command = self._encode_command(message, answer)
        if answer.dataset is None:
            return command
        return command + self._encode_dataset(message, answer.dataset)

    def _encode_command(self, message: Message, answer: Answer) -> bytes:
        command = encode_answer(message.command, answer)
        return encode_data(message.context_id, command, self._peer_max_length, is_command=True)

    def _encode_dataset(self, message: Message, dataset: bytes) -> bytes:
        return encode_data(message.context_id, dataset, self._peer_max_length, is_command=False)

    def _send(self, data: bytes) -> None:
        self._channel.send(data, self._settings.dimse_timeout)
