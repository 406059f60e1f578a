"""The data transfer phase of an association: from its acceptance to its end (PS3.8 7.2 to 7.6)."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuipacs.dimse.acceptor.dismissal import Dismissal
from tuipacs.dimse.acceptor.engine import Engine
from tuipacs.dimse.acceptor.serving import Serving
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import PROGRESS_BYTES, AssociationInfo, Outcome
from tuipacs.dimse.faults import (
    AbortReason,
    PduError,
    PeerAbortsError,
    PeerGoneError,
    PeerSlowError,
    UnfinishedError,
)
from tuipacs.dimse.messages import Assembler
from tuipacs.dimse.pdu import (
    BY_PROVIDER,
    BY_USER,
    HEADER_SIZE,
    PduType,
    abort_words,
    data_values,
    encode_abort,
    encode_release_response,
    read_length,
    read_type,
)
from tuipacs.domain.node import AssociationState
from tuipacs.domain.permissions import NodeService

TELL_EVERY = 4 << 20  # bytes of one message after which the observer hears of it


class Conversation:
    """Messages in, answers out. One thread.

    ``leave`` is called before the last word: a peer that hears it may come back at once.
    ``state``, ``reason`` and ``offence`` (the peer broke the protocol) tell how it ended.
    """

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        info: AssociationInfo,
        peer_max_length: int,
        dismissal: Dismissal,
        *,
        leave: Callable[[], None],
    ) -> None:
        self._settings = engine.settings
        self._observer = engine.observer
        self._channel = channel
        self._info = info
        self._dismissal = dismissal
        self._leave = leave
        self._serving = Serving(
            engine.settings,
            engine.providers,
            engine.observer,
            info,
            channel,
            peer_max_length,
            dismissal,
        )
        # Who may do no more than echo has no hurry; without a pause a few such callers would take
        # the processor from those who store.
        admission = info.admission
        self._is_paced = not admission.known or admission.services <= {NodeService.ECHO}
        self._assembler = Assembler(self._serving.begin)
        self._progress = 0  # bytes of the message at hand when it last got on
        self._progress_at = 0.0  # and when that was
        self._answered_at = time.monotonic()
        self._told = 0  # bytes of the message at hand that the observer knows of
        self.state = AssociationState.ABORTED
        self.reason = ""
        self.offence = False

    def run(self, greeting: bytes) -> None:
        """Send the acceptance, then serve until the end. Raises `PeerGoneError`."""
        try:
            self._channel.send(greeting, self._settings.dimse_timeout)
            self.state, self.reason = self._converse()
        except PduError as error:
            self.reason, self.offence = f"sent {error.words}", True
            self._send(encode_abort(BY_PROVIDER, error.reason))
        except PeerSlowError as slow:
            self.reason = slow.words
            self._send(encode_abort(BY_PROVIDER))
        except UnfinishedError as error:
            self.reason = error.words
            self._send(encode_abort(BY_USER))
        except PeerAbortsError as aborts:
            self.reason = aborts.words
            raise
        except PeerGoneError:
            if self._dismissal.reason:
                self.reason = self._dismissal.reason
                self._send(encode_abort(BY_USER))
            else:
                unfinished = " inside an object" if self._assembler.unfinished else ""
                self.reason = f"the connection was lost{unfinished}, without a release"
                raise
        finally:
            self._assembler.discard()

    def _converse(self) -> tuple[AssociationState, str]:
        while True:
            kind, length = self._next_header()
            deadline = time.monotonic() + self._settings.dimse_timeout
            body = self._channel.read(length, deadline, "sent no whole PDU in time")
            if kind is PduType.P_DATA:
                if int.from_bytes(body[:4], "big") + 4 != length:
                    # Several values: to answer the first may read on, over the others' place.
                    body = memoryview(bytes(body))
                for context_id, header, fragment in data_values(body):
                    self._take(context_id, header, fragment)
            elif kind is PduType.RELEASE_RQ:
                self._send(encode_release_response())
                unfinished = self._assembler.unfinished
                return AssociationState.RELEASED, "inside an object" if unfinished else ""
            else:
                return AssociationState.ABORTED, abort_words(body)

    def _next_header(self) -> tuple[PduType, int]:
        until, words = self._patience()
        if self._assembler.unfinished:
            self._channel.wait(until, words)
        else:
            if self._dismissal.pause():
                raise PeerGoneError
            self._channel.wait(until, words)
            self._dismissal.resume()
        # The same patience goes on: else who always leaves half a header waiting is never at fault.
        soon = time.monotonic() + self._settings.dimse_timeout
        if soon < until:
            until, words = soon, "sent no whole PDU in time"
        header = self._channel.read(HEADER_SIZE, until, words)
        kind = read_type(header)
        if kind not in (PduType.P_DATA, PduType.RELEASE_RQ, PduType.ABORT):
            raise PduError(
                f"an {kind.name} in the middle of an association", AbortReason.UNEXPECTED_PDU
            )
        return kind, read_length(header, kind, self._settings.max_pdu)

    def _patience(self) -> tuple[float, str]:
        """Until when the next PDU has to begin, and what to say if it does not."""
        settings = self._settings
        received = self._assembler.received
        if not self._assembler.unfinished:
            words = f"sent no request for {settings.idle_timeout:g} s"
            return self._answered_at + settings.idle_timeout, words
        if received - self._progress >= PROGRESS_BYTES or received < self._progress:
            self._progress, self._progress_at = received, time.monotonic()
        words = f"sent too little of a message in {settings.dimse_timeout:g} s"
        return self._progress_at + settings.dimse_timeout, words

    def _take(self, context_id: int, header: int, fragment: memoryview) -> None:
        if context_id not in self._info.contexts:
            raise PduError("data for a presentation context that was not accepted")
        if not self._assembler.unfinished:
            self._progress, self._progress_at, self._told = 0, time.monotonic(), 0
        message = self._assembler.feed(context_id, header, fragment)
        if message is None:
            if self._assembler.received - self._told >= TELL_EVERY:
                self._told = self._assembler.received
                self._observer.receiving(self._info.key, self._told)
        else:
            answer = self._serving.answer(message)
            if self._is_paced and (answer is None or answer.outcome is not Outcome.STORED):
                self._dismissal.rest(self._settings.stranger_pause)
            if answer is not None:
                self._answered_at = time.monotonic()

    def _send(self, data: bytes) -> None:
        self._leave()
        self._channel.send_last(data, self._settings.acse_timeout)
