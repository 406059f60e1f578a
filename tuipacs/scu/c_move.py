"""C-MOVE as an asker: a peer sends objects to a third node, or to us (PS3.4 C.4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dimse.messages import C_MOVE_RQ
from tuipacs.dimse.requestor.answers import Sent
from tuipacs.dimse.sending import DatasetSource
from tuipacs.domain.ae_title import check_ae_title
from tuipacs.scu.requestor import Association, Context, Peer, open_association
from tuipacs.scu.suboperations import Retrieval

PATIENCE = 10
"""DIMSE timeouts from one answer to the next.

Pending answers are optional (PS3.4 C.4.2.3.1), a sub-operation may be gigabytes, and some archives
fetch from tape.
"""


class Move(Retrieval):
    """The answers to one C-MOVE; see `Retrieval`."""

    def __init__(
        self, association: Association, model: str, identifier: Dataset, destination: str
    ) -> None:
        context = association.context_of(model)
        super().__init__(association, context, PATIENCE)

        def send(source: DatasetSource) -> Sent:
            return association.send(context, C_MOVE_RQ, source=source, move_destination=destination)

        self._ask(identifier, send)


@contextmanager
def move(peer: Peer, model: str, identifier: Dataset, destination: str) -> Iterator[Move]:
    """Have ``peer`` send what ``identifier`` names (level and unique keys) to an AE title.

    ``model``: the SOP class of an information model, such as STUDY_ROOT_MOVE. The peer has to know
    ``destination``. Leaving the block before the last answer aborts the association: cancel and
    iterate on to be polite. Raises `AssociationFailedError`, an `UnavailableError`, if no
    association comes about, and `UsageError` for no AE title or a text that cannot be sent.
    """
    title = check_ae_title(destination)
    contexts = [Context(model, ExplicitVRLittleEndian), Context(model, ImplicitVRLittleEndian)]
    with open_association(peer, contexts) as association:
        yield Move(association, model, identifier, title)
