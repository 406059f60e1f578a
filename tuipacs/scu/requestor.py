"""An association that we open: the seam between the services here and the engine below them.

Today the engine is pynetdicom; nothing else in this package knows its association class.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.presentation import build_context

from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.errors import UnavailableError, UsageError

MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255
MAX_PDU = 131072
CONNECT_TIMEOUT, ACSE_TIMEOUT, DIMSE_TIMEOUT = 10.0, 30.0, 60.0  # seconds


@dataclass(frozen=True)
class Peer:
    """Whom to call, and as whom."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str


@dataclass(frozen=True, order=True)
class Context:
    """A presentation context to propose: one abstract syntax with one transfer syntax."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Response:
    """A DIMSE status with its error comment; ``status`` is None when no answer came."""

    status: int | None
    comment: str = ""


class Association:
    """An established association. Use it from one thread."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._message_id = 0
        self._is_lost = False

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def accepts(self, context: Context) -> bool:
        """Whether the peer took this pair of syntaxes."""
        return any(
            accepted.abstract_syntax == context.abstract_syntax
            and context.transfer_syntax in accepted.transfer_syntax
            for accepted in self._engine.accepted_contexts
        )

    @property
    def is_open(self) -> bool:
        """False once either side released or aborted it, or an answer did not come."""
        engine = self._engine
        return bool(engine.is_established and engine.dul.is_alive() and not self._is_lost)

    def echo(self) -> Response:
        """C-ECHO (PS3.7 9.1.5)."""
        return self._response(self._engine.send_c_echo(self._next_message_id()))

    def store(self, source: Dataset | Path) -> Response:
        """C-STORE (PS3.7 9.1.1) in the source's own transfer syntax, which must be accepted.

        A dataset needs its file meta information. The bytes of a file are sent as they stand.
        """
        return self._response(self._engine.send_c_store(source, self._next_message_id()))

    def _response(self, answer: Dataset) -> Response:
        if "Status" not in answer:
            self._is_lost = True
            return Response(None, "the peer did not answer, or ended the association")
        return Response(int(answer.Status), str(answer.get("ErrorComment", "")))


@contextmanager
def open_association(peer: Peer, contexts: Sequence[Context]) -> Iterator[Association]:
    """An association that is released at the end, or aborted if the block raises.

    Raises `UnavailableError` when there is no connection or the peer rejects or aborts it, and
    `UsageError` for more than 128 contexts.
    """
    if len(contexts) > MAX_CONTEXTS:
        raise UsageError(f"more than {MAX_CONTEXTS} presentation contexts for one association")
    _config.STORE_SEND_CHUNKED_DATASET = True  # else a file is decoded and encoded again
    entity = AE(ae_title=peer.calling_ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = CONNECT_TIMEOUT
    entity.acse_timeout = ACSE_TIMEOUT
    entity.dimse_timeout = DIMSE_TIMEOUT
    engine = entity.associate(
        peer.host,
        peer.port,
        contexts=[build_context(c.abstract_syntax, c.transfer_syntax) for c in contexts],
        ae_title=peer.called_ae_title,
        max_pdu=MAX_PDU,
        evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay), (evt.EVT_CONN_CLOSE, _wake)],
    )
    if not engine.is_established:
        raise UnavailableError(_why_not(engine, peer))
    association = Association(engine)
    try:
        yield association
    except BaseException:
        engine.abort()
        raise
    if association.is_open:
        engine.release()


def _no_delay(event: Any) -> None:
    """Without this, small objects wait 40 ms each for the peer's delayed acknowledgement."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _wake(event: Any) -> None:
    """Who waits for an answer when the connection goes would else wait for the whole timeout."""
    event.assoc.dimse.msg_queue.put((None, None))


def _why_not(engine: Any, peer: Peer) -> str:
    where = f"{peer.called_ae_title} at {peer.host}:{peer.port}"
    if engine.is_rejected:
        answer = engine.acceptor.primitive
        return f"{where} rejected the association: {answer.reason_str}"
    if engine.is_aborted:
        return f"{where} aborted the association, or there is no connection"
    return f"{where} accepted none of the proposed presentation contexts"
