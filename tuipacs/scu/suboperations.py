"""The answers to C-MOVE and C-GET: counts that peers tell, and a list (PS3.7 9.1.3, 9.1.4)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tuipacs.dicom.tree import TreeEndedError, tree
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.messages import COMPLETED, FAILED, REMAINING, WARNING
from tuipacs.dimse.requestor.answers import Received, Sent
from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.dimse.sending import DatasetSource
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid, strip_uid
from tuipacs.scu.c_find import encode_identifier
from tuipacs.scu.requestor import Association, Response, response_of

_FAILED_UIDS = 0x00080058  # Failed SOP Instance UID List


@dataclass(frozen=True)
class SubOperations:
    """How far a peer says that it is. Nobody has checked it: it may lie, and run backwards."""

    remaining: int | None
    completed: int
    failed: int
    warning: int


class Retrieval:
    """The answers to one C-MOVE or C-GET, in the order they come. Iterate once, to the end.

    Iterating gives the counts of each Pending answer; those without any repeat the last.

    ``final`` is the last answer, once iterating has ended: 0x0000 all went well, 0xB000 some
    failed, 0xFE00 it was cancelled, another status with the peer's comment, or None with the words
    why no last answer came. ``counts`` are the last that were told, None if never any were.
    ``failed_uids``: the SOP instances that the peer names as failed, once each, if its list can be
    read. What really came has to be looked up where it should be.
    """

    def __init__(self, association: Association, context: AcceptedContext, patience: int) -> None:
        self._association = association
        self._context = context
        self._patience = patience
        self._request: Sent | None = None
        self._is_cancelled = False
        self.final: Response | None = None
        self.counts: SubOperations | None = None
        self.failed_uids: tuple[str, ...] = ()

    def _ask(self, identifier: Dataset, send: Callable[[DatasetSource], Sent]) -> None:
        data = encode_identifier(identifier, self._context)
        try:
            self._request = send(DatasetSource(io.BytesIO(data), len(data)))
        except AssociationFailedError:
            self.final = Response(None, self._association.end)

    def __iter__(self) -> Iterator[SubOperations]:
        """The counts of each Pending answer."""
        while self.final is None:
            try:
                received = self._association.receive(is_final=False, patience=self._patience)
            except AssociationFailedError:
                self.final = Response(None, self._association.end)
                return
            self.counts = _counts(received, self.counts)
            if not received.is_pending:
                self.failed_uids = self._failed(received.dataset)
                self.final = response_of(received)
                return
            yield self.counts or SubOperations(None, 0, 0, 0)

    def cancel(self) -> None:
        """Ask the peer to stop (C-CANCEL). What is on its way still comes: iterate on."""
        if self.final is None and self._request is not None and not self._is_cancelled:
            self._is_cancelled = True
            try:
                self._association.cancel(self._request)
            except AssociationFailedError:
                self.final = Response(None, self._association.end)

    def cut(self) -> None:
        """Take the connection away, from any thread: who iterates gets no more."""
        self._association.cut()

    def _failed(self, data: bytes) -> tuple[str, ...]:
        implicit = self._context.transfer_syntax == ImplicitVRLittleEndian
        value = b""
        try:
            for node in tree(data, 0, len(data), implicit=implicit, big_endian=False):
                if node.depth == 0 and node.tag == _FAILED_UIDS:
                    value = data[node.start : node.stop]
        except TreeEndedError:
            return ()  # it is only what the peer says
        uids = (strip_uid(uid) for uid in value.decode("latin-1").split("\\"))
        return tuple(
            dict.fromkeys(uid for uid in uids if is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH))
        )


def _counts(received: Received, before: SubOperations | None) -> SubOperations | None:
    elements = received.command.elements
    told = {
        number: int.from_bytes(value, "little")
        for number in (REMAINING, COMPLETED, FAILED, WARNING)
        if len(value := elements.get(number, b"")) == 2
    }
    if not told:
        return before
    last = before or SubOperations(None, 0, 0, 0)
    return SubOperations(
        remaining=told.get(REMAINING),
        completed=told.get(COMPLETED, last.completed),
        failed=told.get(FAILED, last.failed),
        warning=told.get(WARNING, last.warning),
    )
