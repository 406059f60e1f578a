"""What C-MOVE and C-GET have in common: the identifier, counts in answers, the last one."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from tuipacs.dicom.failed_list import encode_failed_list
from tuipacs.dicom.find_identifier import MAX_IDENTIFIER
from tuipacs.dimse.contract import Answer, AssociationInfo, Outcome, Request
from tuipacs.dimse.messages import comment_text
from tuipacs.domain.admission import Admission
from tuipacs.domain.find import FindModel
from tuipacs.errors import (
    ConfigError,
    ForbiddenError,
    InvalidQueryError,
    QueryModelError,
    TuipacsError,
    UnavailableError,
    UnknownDestinationError,
)
from tuipacs.scp.status import SUCCESS, Statuses, answer_to
from tuipacs.services.retrieval import Ending, Retrieval
from tuipacs.services.retrieve import RetrieveRequest

log = logging.getLogger(__name__)

PENDING_EVERY = 0.25  # seconds between two answers that tell other counts
ALIVE_EVERY = 2.0  # seconds after which the same counts are told again

_TOO_LARGE = Answer(
    0xA701, "out of resources", "the identifier is larger than 1 MiB", Outcome.REFUSED
)
_STATUSES: Statuses = (  # the first that fits
    (ForbiddenError, 0x0124, "not authorized"),
    (UnknownDestinationError, 0xA801, "move destination unknown"),
    (ConfigError, 0xA702, "unable to perform sub-operations"),
    (QueryModelError, 0xA900, "identifier does not match SOP class"),
    (InvalidQueryError, 0xC000, "unable to process"),
    (UnavailableError, 0xA701, "unable to calculate number of matches"),
    (TuipacsError, 0xC000, "unable to process"),
)


def refusal(error: TuipacsError) -> Answer:
    """The answer to a retrieve that did not begin (PS3.4 Tables C.4-2 and C.4-3)."""
    return answer_to(error, _STATUSES)


class IdentifierTaker:
    """Gathers the identifier of a request, up to a limit."""

    def __init__(self) -> None:
        self.identifier = bytearray()
        self._is_too_large = False

    def write(self, fragment: memoryview) -> None:
        """Gather; beyond the limit let go of all."""
        if len(self.identifier) + len(fragment) > MAX_IDENTIFIER:
            self._is_too_large = True
            self.identifier.clear()
        if not self._is_too_large:
            self.identifier += fragment

    @property
    def fault(self) -> Answer | None:
        """The answer if there is no identifier to read."""
        return _TOO_LARGE if self._is_too_large else None


def retrieve_request(
    association: AssociationInfo,
    request: Request,
    model: FindModel,
    identifier: bytearray,
    peer: Admission,
) -> RetrieveRequest:
    """What the service is asked for."""
    return RetrieveRequest(
        model=model,
        identifier=identifier,
        transfer_syntax_uid=request.context.transfer_syntax,
        is_relational=is_relational(association.extended.get(request.context.abstract_syntax)),
        character_set=peer.character_set,
    )


def relational_answer(information: bytes) -> bytes:
    """Our answer to a SOP class extended negotiation: relational if asked for (PS3.4 C.5.2.1)."""
    return bytes((is_relational(information),))


def is_relational(information: bytes | None) -> bool:
    """Whether keys above the level may be missing."""
    return (information or b"")[:1] == b"\1"


class Progress:
    """When to tell how far a retrieve is: at a pace that helps, however small the objects."""

    def __init__(self, retrieval: Retrieval, alive_every: float = ALIVE_EVERY) -> None:
        self._retrieval = retrieval
        self._alive_every = alive_every
        self._told_at = 0.0
        self._remaining = 0

    def is_due(self) -> bool:
        """Whether it is time for an answer."""
        is_news = self._retrieval.remaining != self._remaining
        wait = PENDING_EVERY if is_news else self._alive_every
        return time.monotonic() - self._told_at >= wait

    def now(self) -> Answer:
        """The answer that tells it."""
        self._told_at, self._remaining = time.monotonic(), self._retrieval.remaining
        return Answer(0xFF00, "Pending", counts=self._retrieval.counts(is_final=False))


def last_answer(retrieval: Retrieval, request: Request, *, cancelled: bool) -> Answer:
    """The final status, counts, and what failed (PS3.4 C.4.2.3.1)."""
    counts = retrieval.counts(is_final=not cancelled)
    outcome = Outcome.OTHER
    if cancelled:
        status, meaning = 0xFE00, "Cancel"
    elif retrieval.failed and retrieval.failed == retrieval.total:
        status, meaning, outcome = 0xA702, "unable to perform sub-operations", Outcome.REFUSED
    elif retrieval.failed or retrieval.warning:
        status, meaning = 0xB000, "sub-operations complete, some failed or with warnings"
    else:
        status, meaning = 0x0000, SUCCESS
    dataset = None
    if status:  # also where nothing failed: the list is empty then (PS3.4 C.4.2.1.4.2)
        dataset = encode_failed_list(retrieval.failed_uids, request.context.transfer_syntax)
    return Answer(status, meaning, comment_text(retrieval.why), outcome, dataset, counts)


def broken_answer(retrieval: Retrieval, request: Request, error: TuipacsError) -> Answer:
    """The last one if the rest could not even be looked up.

    Nobody can list that rest, so it is not counted as failed: count and list say the same.
    """
    dataset = encode_failed_list(retrieval.failed_uids, request.context.transfer_syntax)
    return replace(
        last_answer(retrieval, request, cancelled=False),
        status=0xC000,
        meaning="unable to process",
        comment=comment_text(error.message),
        outcome=Outcome.REFUSED,
        dataset=dataset,
    )


def end_quietly(retrieval: Retrieval, ending: Ending) -> None:
    """For a retrieve that cannot succeed any more, with its records or without."""
    try:
        retrieval.end(ending)
    except TuipacsError as error:
        log.error("a retrieve that failed has no audit record: %s", error.message)
