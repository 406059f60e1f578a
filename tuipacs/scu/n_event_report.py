"""N-EVENT-REPORT as the one who reports: the outcome of a storage commitment (PS3.4 J.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tuipacs.dimse.messages import N_EVENT_REPORT_RQ
from tuipacs.dimse.requests import encode_event_report
from tuipacs.dimse.syntaxes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tuipacs.domain.commitment import ALL_COMMITTED, SOME_FAILED
from tuipacs.scu.n_action import COMMITMENT_CONTEXTS, commitment_source
from tuipacs.scu.requestor import Peer, Response, open_association


def report_commitment(
    peer: Peer,
    transaction_uid: str,
    committed: Sequence[tuple[str, str]],
    failed: Sequence[tuple[str, str, int]],
) -> Response:
    """Tell a node what became of its request, on an association in our role of the SCP.

    ``committed``: SOP Class and SOP Instance UIDs; ``failed``: the same, and the Failure Reason.
    They can be retrieved from whom the peer is called as.
    Raises `AssociationFailedError`, an `UnavailableError`, if no association comes about.

    A node that passes over the role is told all the same: many take the report then.
    """
    roles = {STORAGE_COMMITMENT: (False, True)}
    with open_association(peer, COMMITMENT_CONTEXTS, roles=roles) as association:
        context = association.context_of(STORAGE_COMMITMENT)
        return association.act(
            N_EVENT_REPORT_RQ,
            partial(
                encode_event_report,
                sop_class_uid=STORAGE_COMMITMENT,
                sop_instance_uid=STORAGE_COMMITMENT_INSTANCE,
                event_type=SOME_FAILED if failed else ALL_COMMITTED,
            ),
            context,
            STORAGE_COMMITMENT_INSTANCE,
            commitment_source(
                context,
                transaction_uid,
                committed,
                failed,
                retrieve_ae_title=peer.calling_ae_title if committed else "",
            ),
        )
