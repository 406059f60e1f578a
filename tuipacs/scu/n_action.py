"""N-ACTION as an asker: storage commitment, Push Model (PS3.4 J.3.2)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from functools import partial

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tuipacs.dicom.commitment import encode_commitment
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.messages import N_ACTION_RQ, N_EVENT_REPORT_RQ
from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.dimse.requestor.serving import Begin
from tuipacs.dimse.requests import encode_action
from tuipacs.dimse.sending import DatasetSource
from tuipacs.dimse.syntaxes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tuipacs.scu.requestor import Association, Context, Peer, Response, open_association

COMMITMENT_CONTEXTS = (
    Context(STORAGE_COMMITMENT, ExplicitVRLittleEndian),
    Context(STORAGE_COMMITMENT, ImplicitVRLittleEndian),
)
_REQUEST = 1  # Action Type ID
_LOOK_EVERY = 0.1  # seconds


def request_commitment(
    peer: Peer,
    transaction_uid: str,
    items: Sequence[tuple[str, str]],
    *,
    wait: float = 0,
    on_report: Begin | None = None,
    is_reported: Callable[[], bool] = lambda: False,
) -> Response:
    """Ask a node to commit to objects: pairs of SOP Class and SOP Instance UID.

    The status is only of the request: 0x0000 that it was taken on. The outcome comes as an
    N-EVENT-REPORT, usually on an association that the node opens. With ``wait`` this one stays open
    for as many seconds, or until it was reported here: such a report goes to ``on_report``, as to a
    provider, and ``is_reported`` says that it came another way. Raises `AssociationFailedError`, an
    `UnavailableError`, if no association comes about.
    """
    with open_association(peer, COMMITMENT_CONTEXTS) as association:
        if on_report is not None:  # it may come before the answer
            association.serve(N_EVENT_REPORT_RQ, frozenset((STORAGE_COMMITMENT,)), on_report)
        context = association.context_of(STORAGE_COMMITMENT)
        response = association.act(
            N_ACTION_RQ,
            partial(
                encode_action,
                sop_class_uid=STORAGE_COMMITMENT,
                sop_instance_uid=STORAGE_COMMITMENT_INSTANCE,
                action_type=_REQUEST,
            ),
            context,
            STORAGE_COMMITMENT_INSTANCE,
            commitment_source(context, transaction_uid, items),
        )
        if response.status == 0x0000 and on_report is not None:
            _wait(association, wait, is_reported)
        return response


def _wait(association: Association, seconds: float, is_reported: Callable[[], bool]) -> None:
    """What goes wrong here changes nothing: the report comes another way, or never."""
    until = time.monotonic() + seconds
    try:
        while not association.served and not is_reported():
            left = until - time.monotonic()
            if left <= 0:
                return
            association.attend(min(left, _LOOK_EVERY))
    except AssociationFailedError:
        return


def commitment_source(
    context: AcceptedContext,
    transaction_uid: str,
    referenced: Sequence[tuple[str, str]],
    failed: Sequence[tuple[str, str, int]] = (),
    *,
    retrieve_ae_title: str = "",
) -> DatasetSource:
    """The dataset of a request or report, encoded for its context."""
    data = encode_commitment(
        transaction_uid,
        referenced,
        failed,
        implicit=context.transfer_syntax == ImplicitVRLittleEndian,
        retrieve_ae_title=retrieve_ae_title,
    )
    return DatasetSource(io.BytesIO(data), len(data))
