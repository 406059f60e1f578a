"""The one place where an error becomes a DIMSE status (PS3.4 B.2.3, C.4.1.1.4, PS3.7 C)."""

from __future__ import annotations

from typing import TypeAlias

from tuipacs.dicom.commitment import TooManyReferencesError
from tuipacs.dimse.contract import Answer, Outcome
from tuipacs.dimse.messages import comment_text
from tuipacs.errors import (
    ConflictError,
    ForbiddenError,
    InvalidObjectError,
    InvalidQueryError,
    NotFoundError,
    QueryModelError,
    TuipacsError,
    UidMismatchError,
    UnavailableError,
)

SUCCESS = "Success"
Statuses: TypeAlias = tuple[tuple[type[TuipacsError], int, str], ...]

_STATUSES: Statuses = (  # the first that fits
    (ForbiddenError, 0x0124, "not authorized"),
    (UidMismatchError, 0xA900, "data set does not match SOP class"),
    (InvalidObjectError, 0xC000, "cannot understand"),
    (QueryModelError, 0xA900, "identifier does not match SOP class"),
    (InvalidQueryError, 0xC000, "unable to process"),
    (UnavailableError, 0xA700, "out of resources"),  # full, failed or busy: try again later
    (TuipacsError, 0x0110, "processing failure"),
)


NO_IDENTIFIER = Answer(
    0xA900, "identifier does not match SOP class", "no identifier followed", Outcome.REFUSED
)


def refusal(error: TuipacsError) -> Answer:
    """The answer to a request that ended in ``error``, whose message carries no PHI."""
    return answer_to(error, _STATUSES)


def answer_to(error: TuipacsError, statuses: Statuses) -> Answer:
    """As `refusal`, for a service with statuses of its own; the last one fits any error."""
    status, meaning = next(row[1:] for row in statuses if isinstance(error, row[0]))
    tag, subject = 0, ""
    if isinstance(error, InvalidQueryError):
        tag, subject = error.tag, error.subject
    return Answer(
        status,
        meaning,
        comment_text(error.message),
        Outcome.REFUSED,
        offending=(tag,) if tag else (),
        subject=subject,
    )


_NORMALIZED: Statuses = (  # PS3.7 10.1.1.1.8, 10.1.4.1.10
    (ForbiddenError, 0x0124, "not authorized"),
    (TooManyReferencesError, 0x0213, "resource limitation"),
    (InvalidObjectError, 0x0115, "invalid argument value"),
    (ConflictError, 0x0115, "invalid argument value"),
    (NotFoundError, 0x0115, "invalid argument value"),
    (UnavailableError, 0x0213, "resource limitation"),
    (TuipacsError, 0x0110, "processing failure"),
)


def normalized_refusal(error: TuipacsError) -> Answer:
    """As `refusal`, for the services whose names begin with N."""
    return answer_to(error, _NORMALIZED)
