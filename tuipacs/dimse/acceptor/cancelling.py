"""Seeing that a peer cancels its request, or aborts, while the request is served."""

from __future__ import annotations

import math
import time

from tuipacs.dimse.acceptor.dismissal import Dismissal
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.faults import PduError, PeerAbortsError, PeerGoneError
from tuipacs.dimse.messages import C_CANCEL_RQ, Message, parse_command
from tuipacs.dimse.pdu import HEADER_SIZE, PduType, abort_words, data_values

LOOK_EVERY = 0.005  # seconds between two looks
_CANCEL_SIZE = 1024  # bytes of a PDU that may be of a C-CANCEL


class CancelWatch:
    """Whether the peer cancelled a request (PS3.7 9.3.2.3). Looks at a bounded rate.

    It takes nothing: the message loop passes over cancels of what was answered. Whole C-CANCELs for
    other messages are looked past, in however many fragments; at anything else it stops looking,
    for that waits for its turn. ``room``: bytes that the channel can hold at least.
    """

    def __init__(self, channel: Channel, message: Message, dismissal: Dismissal, room: int) -> None:
        self._channel = channel
        self._context_id = message.context_id
        self._message_id = message.command.message_id
        self._dismissal = dismissal
        self._room = room
        self._at = 0  # bytes that were looked at
        self._command = bytearray()  # of a message that has not come whole
        self._command_context = 0  # and on which context it comes
        self._cancelled = False
        self._next_look = 0.0

    def __call__(self) -> bool:
        """Raises `PeerGoneError` when there is nobody to answer, or nothing more to be said."""
        if self._dismissal.reason:
            raise PeerGoneError
        now = time.monotonic()
        if not self._cancelled and now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            while not self._cancelled and (body := self._next_body()) is not None:
                self._feed(body)
        return self._cancelled

    def _next_body(self) -> memoryview | None:
        """The next P-DATA-TF; None if it has not come, or nothing more is looked at."""
        begin = self._at + HEADER_SIZE
        header = self._channel.look(begin) if begin <= self._room else None
        if header is None:
            return None
        kind = header[self._at]
        end = begin + int.from_bytes(header[self._at + 2 : begin], "big")
        if kind == PduType.ABORT:
            body = self._channel.look(end) if end <= self._room else None
            raise PeerAbortsError(abort_words(body[begin:] if body else memoryview(b"")))
        if kind != PduType.P_DATA or end - begin > _CANCEL_SIZE or end > self._room:
            self._stop()
            return None
        whole = self._channel.look(end)
        if whole is None:
            return None
        self._at = end
        return whole[begin:]

    def _feed(self, body: memoryview) -> None:
        try:
            for context_id, header, fragment in data_values(body):
                if not header & 1 or (self._command and context_id != self._command_context):
                    self._stop()
                    return
                self._command += fragment
                self._command_context = context_id
                if header & 2 and not self._is_cancel(context_id):
                    self._stop()
                    return
        except PduError:
            self._stop()  # the message loop will say so

    def _is_cancel(self, context_id: int) -> bool:
        command = parse_command(self._command)
        self._command.clear()
        if command.field != C_CANCEL_RQ:
            return False
        if (context_id, command.message_id) == (self._context_id, self._message_id):
            self._cancelled = True
        return True

    def _stop(self) -> None:
        self._next_look = math.inf
