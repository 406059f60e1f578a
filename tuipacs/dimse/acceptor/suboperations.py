"""C-STORE requests of ours on an association that the peer opened, inside its C-GET (PS3.7 9.1.3).

The peer may answer them and cancel its C-GET meanwhile, and nothing else.
"""

from __future__ import annotations

import time

from tuipacs.dimse.acceptor.cancelling import LOOK_EVERY
from tuipacs.dimse.acceptor.dismissal import Dismissal
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import (
    PENDING,
    AcceptedContext,
    Answer,
    AssociationInfo,
    Command,
    Exchange,
    ListenerSettings,
    Reply,
    StoreReply,
)
from tuipacs.dimse.faults import (
    AbortReason,
    PduError,
    PeerAbortsError,
    PeerGoneError,
    SourceFailedError,
    UnfinishedError,
)
from tuipacs.dimse.messages import (
    C_CANCEL_RQ,
    C_STORE_RQ,
    COMMENT,
    DATASET_TYPE,
    FIELD,
    MESSAGE_ID,
    PRIORITY,
    RESPONSE,
    SOP_CLASS,
    SOP_INSTANCE,
    STATUS,
    Assembler,
    Message,
    encode_command,
    padded,
)
from tuipacs.dimse.pdu import (
    HEADER_SIZE,
    PduType,
    abort_words,
    data_values,
    encode_data,
    read_length,
    read_type,
)
from tuipacs.dimse.sending import DatasetSender, DatasetSource
from tuipacs.domain.dimse_status import is_warning

_SHORT = 1024  # bytes of a PDU that may be all of an answer or a cancel


class SubOperations:
    """The `Line` of one C-GET, in the association's thread."""

    def __init__(
        self,
        settings: ListenerSettings,
        channel: Channel,
        info: AssociationInfo,
        peer_max_length: int,
        dismissal: Dismissal,
        *,
        context_id: int,
        message_id: int,
        priority: int,
    ) -> None:
        self._settings = settings
        self._channel = channel
        self._contexts = info.contexts
        self._max_length = peer_max_length
        self._dismissal = dismissal
        self._request = (context_id, message_id)
        self._priority = priority.to_bytes(2, "little")  # handed on (PS3.4 C.4.3.1.2)
        self._message_id = 0  # of the last C-STORE
        self._waiting: tuple[int, str] | None = None  # context and SOP instance of an open one
        self._reply: StoreReply | None = None
        self._cancelled = False
        self._next_look = 0.0
        self._assembler = Assembler(self._begin)
        self._sender = DatasetSender(channel, peer_max_length, settings.dimse_timeout)

    def is_cancelled(self) -> bool:
        """Whether the peer has cancelled its C-GET. Looks at a bounded rate, and never waits.

        Raises `PeerGoneError` when there is nobody to send to, or nothing more to be sent, and
        `PduError`.
        """
        if self._dismissal.reason:
            raise PeerGoneError
        now = time.monotonic()
        if not self._cancelled and now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            self._take_what_came()
        return self._cancelled

    def store(
        self, context: AcceptedContext, sop_instance_uid: str, source: DatasetSource
    ) -> StoreReply:
        """Send one object, and wait for its answer.

        Raises `SourceFailedError` if nothing was sent of it, `UnfinishedError` if it cannot be read
        to its end, and what `Channel` raises.
        """
        first = self._sender.read_block(source)
        self._reply = None
        self._waiting = (context.context_id, sop_instance_uid)
        command = self._command(context, sop_instance_uid)
        number = context.context_id
        head = encode_data(number, command, self._max_length, is_command=True)
        try:
            self._sender.send(number, head, first, source, self._check_nothing_is_stored)
        except SourceFailedError as error:
            raise UnfinishedError(f"half an object was sent: {error.words}") from error
        timeout = self._settings.dimse_timeout
        deadline = time.monotonic() + timeout
        words = f"did not answer a C-STORE within {timeout:g} s"
        while self._reply is None:
            kind, length = self._header(self._channel.read(HEADER_SIZE, deadline, words))
            self._take(kind, self._channel.read(length, deadline, words))
        return self._reply

    def settle(self) -> None:
        """Take the rest of a message that has begun, so that the next one is read from its start.

        Raises as `store`.
        """
        timeout = self._settings.dimse_timeout
        deadline = time.monotonic() + timeout
        words = f"sent no whole message in {timeout:g} s"
        while self._assembler.unfinished:
            kind, length = self._header(self._channel.read(HEADER_SIZE, deadline, words))
            self._take(kind, self._channel.read(length, deadline, words))

    def _command(self, context: AcceptedContext, sop_instance_uid: str) -> bytes:
        self._message_id = self._message_id % 0xFFFF + 1
        return encode_command(
            [
                (SOP_CLASS, padded(context.abstract_syntax, b"\0")),
                (FIELD, C_STORE_RQ.to_bytes(2, "little")),
                (MESSAGE_ID, self._message_id.to_bytes(2, "little")),
                (PRIORITY, self._priority),
                (DATASET_TYPE, b"\1\0"),
                (SOP_INSTANCE, padded(sop_instance_uid, b"\0")),
            ]
        )

    def _check_nothing_is_stored(self) -> None:
        """A refusal may come before the object is whole; what says that it is stored is wrong."""
        self._take_what_came()
        reply = self._reply
        if reply is not None and (reply.status == 0x0000 or is_warning(reply.status)):
            raise PduError("an answer before it had the whole request")

    # -- what the peer sends meanwhile

    def _take_what_came(self) -> None:
        while (header := self._channel.look(HEADER_SIZE)) is not None:
            kind, length = self._header(header)
            if length > _SHORT:
                return  # `store` will read it
            whole = self._channel.look(HEADER_SIZE + length)
            if whole is None:
                return
            self._channel.skip(HEADER_SIZE + length)
            self._take(kind, whole[HEADER_SIZE:])

    def _header(self, header: memoryview) -> tuple[PduType, int]:
        kind = read_type(header)
        if kind not in (PduType.P_DATA, PduType.ABORT):
            raise PduError(f"an {kind.name} in the middle of its C-GET", AbortReason.UNEXPECTED_PDU)
        return kind, read_length(header, kind, self._settings.max_pdu)

    def _take(self, kind: PduType, body: memoryview) -> None:
        if kind is PduType.ABORT:
            raise PeerAbortsError(abort_words(body))
        for context_id, header, fragment in data_values(body):
            if context_id not in self._contexts:
                raise PduError("data for a presentation context that was not accepted")
            message = self._assembler.feed(context_id, header, fragment)
            if message is not None:
                self._take_message(message)

    def _begin(self, context_id: int, command: Command) -> Exchange:
        if command.field not in (C_CANCEL_RQ, C_STORE_RQ | RESPONSE):
            raise PduError(
                f"another message (0x{command.field:04X}) in the middle of its C-GET",
                AbortReason.UNEXPECTED_PDU,
            )
        return _Dropped()

    def _take_message(self, message: Message) -> None:
        command = message.command
        if command.field == C_CANCEL_RQ:
            self._cancelled |= (message.context_id, command.message_id) == self._request
            return
        if self._waiting is None:
            raise PduError("an answer to nothing that was asked")
        context_id, sop_instance_uid = self._waiting
        if (message.context_id, command.message_id) != (context_id, self._message_id):
            raise PduError("the answer to another message")
        if command.sop_instance_uid not in ("", sop_instance_uid):
            raise PduError("the answer for another SOP instance")
        status = command.elements.get(STATUS, b"")
        if len(status) != 2:
            raise PduError("an answer without a status")
        comment = command.elements.get(COMMENT, b"").decode("latin-1").strip(" \0")
        self._reply = StoreReply(int.from_bytes(status, "little"), comment)
        if self._reply.status in PENDING:
            raise PduError("a pending status where there is one answer")
        self._waiting = None


class _Dropped(Reply):
    """The dataset of an answer, which has none by the standard."""

    def __init__(self) -> None:
        super().__init__(Answer(0x0000, "not sent"))
        self._size = 0

    def write(self, fragment: memoryview) -> None:
        """Drop it. Raises `PduError` if there is no end of it."""
        self._size += len(fragment)
        if self._size > _SHORT:
            raise PduError("an answer to a C-STORE with a dataset")
