"""C-GET as an asker: a peer sends objects on the association that we opened (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dimse.messages import C_GET_RQ, C_STORE_RQ
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.requestor.serving import Begin
from tuipacs.dimse.syntaxes import name_of
from tuipacs.scu.requestor import MAX_CONTEXTS, Association, Context, Peer, open_association
from tuipacs.scu.suboperations import Retrieval

MAX_STORAGE_CONTEXTS = MAX_CONTEXTS - 2  # the others are of the question


class Get(Retrieval):
    """The answers to one C-GET; see `Retrieval`.

    The objects go to ``begin`` while one iterates, also after `cancel`. ``refused``: what was
    proposed for them, and the peer did not take, or not in the role of the sender.
    """

    def __init__(
        self,
        association: Association,
        model: str,
        identifier: Dataset,
        storage_contexts: Sequence[Context],
        begin: Begin,
    ) -> None:
        if not association.has(model):
            raise AssociationFailedError(
                f"{association.peer} does not take {name_of(model)}", Failure.NO_CONTEXT
            )
        context = association.context_of(model)
        super().__init__(association, context, 1)
        takes = [
            c for c in storage_contexts if association.accepts(c) and _we_receive(association, c)
        ]
        self.refused = tuple(c for c in dict.fromkeys(storage_contexts) if c not in takes)
        if not takes:
            words = "does not send objects of any class in question on this association"
            raise AssociationFailedError(f"{association.peer} {words}", Failure.NO_CONTEXT)
        association.serve(C_STORE_RQ, frozenset(c.abstract_syntax for c in takes), begin)
        self._ask(identifier, lambda source: association.send(context, C_GET_RQ, source=source))


def _we_receive(association: Association, context: Context) -> bool:
    return association.roles.get(context.abstract_syntax, (True, False))[1]


@contextmanager
def get(
    peer: Peer,
    model: str,
    identifier: Dataset,
    storage_contexts: Sequence[Context],
    begin: Begin,
) -> Iterator[Get]:
    """Have ``peer`` send what ``identifier`` names (level and unique keys) right here.

    ``model``: the SOP class of an information model, such as STUDY_ROOT_GET. ``storage_contexts``:
    at most `MAX_STORAGE_CONTEXTS`, what objects may come in. ``begin`` is called for each C-STORE
    when its command is complete, as a provider's is: it returns the `Exchange` that takes the
    dataset while it comes, and answers. It has to check that the object was asked for: peers send
    others, and the same one twice. Leaving the block before the last answer aborts the association.

    Raises `AssociationFailedError`, an `UnavailableError`, if no association comes about, or one
    without any class in which the peer would send; `UsageError` for what cannot be asked.
    """
    contexts = [Context(model, ExplicitVRLittleEndian), Context(model, ImplicitVRLittleEndian)]
    roles = {context.abstract_syntax: (False, True) for context in storage_contexts}
    with open_association(peer, [*contexts, *storage_contexts], roles=roles) as association:
        yield Get(association, model, identifier, storage_contexts, begin)
