"""The error tree as HTTP statuses: the only place where one becomes the other."""

from __future__ import annotations

import logging
import math
import secrets

import msgspec
from starlette.responses import Response

from tuipacs import errors
from tuipacs.schema.messages import ErrorBody

log = logging.getLogger(__name__)

_STATUS: dict[type[errors.TuipacsError], int] = {
    errors.TuipacsError: 500,
    errors.UsageError: 400,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.AuthenticationError: 401,
    errors.SessionLockedError: 423,
    errors.ThrottledError: 429,
    errors.ForbiddenError: 403,
    errors.UnavailableError: 503,
    errors.StorageFullError: 507,
    errors.InvalidObjectError: 422,
    errors.DecodeError: 422,
}


def status_of(error: errors.TuipacsError) -> int:
    """The HTTP status of an error: its own class's, or the nearest base's."""
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def error_response(error: errors.TuipacsError, status: int | None = None) -> Response:
    """The answer for an error of our tree; ``status`` for where HTTP has a word of its own."""
    retry_after = error.retry_after if isinstance(error, errors.ThrottledError) else 0.0
    body = ErrorBody(
        code=error.code, message=error.message, remedy=error.remedy, retry_after=retry_after
    )
    headers = {"retry-after": str(math.ceil(retry_after))} if retry_after else None
    return Response(
        msgspec.json.encode(body),
        status_code=status or status_of(error),
        headers=headers,
        media_type="application/json",
    )


def incident(error: BaseException, during: str) -> errors.TuipacsError:
    """Log a bug under an incident id; return the error that tells a client no more than that."""
    number = secrets.token_hex(4)
    log.error("incident %s during %s", number, during, exc_info=error)
    return errors.TuipacsError(
        f"the archive met an error of its own (incident {number})",
        remedy="the log of the daemon has it under that number",
    )
