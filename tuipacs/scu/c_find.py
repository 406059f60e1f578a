"""C-FIND as an asker: a peer's matches one by one, then its last word (PS3.4 C.4.1)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dicom.tree import tree
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.messages import C_FIND_RQ
from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.dimse.sending import DatasetSource
from tuipacs.dimse.syntaxes import STUDY_ROOT_FIND
from tuipacs.errors import InvalidObjectError, UsageError
from tuipacs.scu.requestor import (
    Association,
    Context,
    Peer,
    Response,
    open_association,
    response_of,
)
from tuipacs.scu.texts import can_be_said, in_utf_8, is_said

STUDY_ROOT = STUDY_ROOT_FIND
MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"


class Matches:
    """The answers to one C-FIND, in the order they come. Iterate once, to the end.

    ``final`` is the last answer, once iterating has ended: 0x0000 all matches came, 0xFE00 it was
    cancelled, another status with the peer's comment, or None with the words why no last answer
    came. Matches before a ``final`` without a success are not all there are.

    ``optional_keys_ignored``: the peer does not match some key of the question (0xFF01).
    """

    def __init__(self, association: Association, model: str, identifier: Dataset) -> None:
        self._association = association
        self._context = association.context_of(model)
        self.final: Response | None = None
        self.optional_keys_ignored = False
        data = encode_identifier(identifier, self._context)
        source = DatasetSource(io.BytesIO(data), len(data))
        self._is_cancelled = False
        try:
            self._request = association.send(self._context, C_FIND_RQ, source=source)
        except AssociationFailedError:
            self.final = Response(None, association.end)

    def __iter__(self) -> Iterator[Dataset]:
        """Each match. Raises `InvalidObjectError` for one that cannot be read."""
        for data in self.datasets():
            yield decode_identifier(data, self._context)

    def datasets(self) -> Iterator[bytes]:
        """Each match as it came, for who reads it: see `transfer_syntax`."""
        while self.final is None:
            try:
                received = self._association.receive(is_final=False)
            except AssociationFailedError:
                self.final = Response(None, self._association.end)
                return
            if not received.is_pending:
                self.final = response_of(received)
                return
            self.optional_keys_ignored |= received.status == 0xFF01
            yield received.dataset

    @property
    def transfer_syntax(self) -> str:
        """The UID of the transfer syntax that matches come in."""
        return self._context.transfer_syntax

    def cancel(self) -> None:
        """Ask the peer to stop (C-CANCEL). Matches on their way still come: iterate on."""
        if self.final is None and not self._is_cancelled:
            self._is_cancelled = True
            try:
                self._association.cancel(self._request)
            except AssociationFailedError:
                self.final = Response(None, self._association.end)


@contextmanager
def find(peer: Peer, model: str, identifier: Dataset) -> Iterator[Matches]:
    """Ask for what matches ``identifier`` (with its level), on an association of its own.

    ``model``: the SOP class of an information model, such as STUDY_ROOT. Leaving the block before
    the last answer aborts the association: cancel and iterate on to be polite. Raises
    `AssociationFailedError`, an `UnavailableError`, if no association comes about, and `UsageError`
    if the question has a text that cannot be sent as it is.
    """
    contexts = [Context(model, ExplicitVRLittleEndian), Context(model, ImplicitVRLittleEndian)]
    with open_association(peer, contexts) as association:
        yield Matches(association, model, identifier)


def _is_implicit(context: AcceptedContext) -> bool:
    return context.transfer_syntax == ImplicitVRLittleEndian


def encode_identifier(identifier: Dataset, context: AcceptedContext) -> bytes:
    """A question in the character set that it names if that can say all of it, else in UTF-8.

    Raises `UsageError` for what no character set can say: a question that was changed would be
    another one, and pydicom's ``?`` for a missing character is a wildcard.
    """
    implicit = _is_implicit(context)
    for question in (identifier, in_utf_8(identifier)):
        if not can_be_said(question):
            continue
        file = DicomBytesIO()
        file.is_little_endian = True
        file.is_implicit_VR = implicit
        write_dataset(file, question)
        data = file.getvalue()
        if is_said(question, read_dataset(io.BytesIO(data), implicit, is_little_endian=True)):
            return data
    raise UsageError("the question has a text that cannot be sent")


def decode_identifier(data: bytes, context: AcceptedContext) -> Dataset:
    """A peer's identifier. Raises `InvalidObjectError` for one that cannot be read.

    Every element is decoded here, so that nobody stumbles over one later.

    Our own bounded walk goes first: pydicom takes a value that is cut off for a short one, and a
    deep sequence takes its stack.
    """
    implicit = _is_implicit(context)
    try:
        for _ in tree(data, 0, len(data), implicit=implicit, big_endian=False):
            pass
        dataset = read_dataset(io.BytesIO(data), implicit, is_little_endian=True)
        for _ in dataset.iterall():
            pass
        dataset.decode()
    except Exception as error:
        # pydicom raises whatever the bytes make it stumble over; there is no list.
        raise InvalidObjectError("the peer sent an identifier that cannot be read") from error
    return dataset
