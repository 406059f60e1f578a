"""The one place where an error becomes a DIMSE status (PS3.4 B.2.3, C.4.1.1.4, PS3.7 C)."""

from __future__ import annotations

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

_STATUSES: tuple[tuple[type[TuipacsError], int, str], ...] = (  # the first that fits
    (ForbiddenError, 0x0124, "not authorized"),
    (UidMismatchError, 0xA900, "data set does not match SOP class"),
    (InvalidObjectError, 0xC000, "cannot understand"),
    (QueryModelError, 0xA900, "identifier does not match SOP class"),
    (InvalidQueryError, 0xC000, "unable to process"),
    (UnavailableError, 0xA700, "out of resources"),  # full, failed or busy: try again later
    (TuipacsError, 0x0110, "processing failure"),
)


def refusal(error: TuipacsError) -> Answer:
    """The answer to a request that ended in ``error``, whose message carries no PHI."""
    for kind, status, meaning in _STATUSES:
        if isinstance(error, kind):
            tag = error.tag if isinstance(error, InvalidQueryError) else 0
            return Answer(
                status,
                meaning,
                comment_text(error.message),
                Outcome.REFUSED,
                offending=(tag,) if tag else (),
            )
    raise AssertionError("the table ends with the root of all errors")


_NORMALIZED: tuple[tuple[type[TuipacsError], int, str], ...] = (  # PS3.7 10.1.1.1.8, 10.1.4.1.10
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
    for kind, status, meaning in _NORMALIZED:
        if isinstance(error, kind):
            return Answer(status, meaning, comment_text(error.message), Outcome.REFUSED)
    raise AssertionError("the table ends with the root of all errors")
