"""Requests in and answers out: JSON for people with curl, MessagePack for our own clients."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tuipacs.errors import TuipacsError, UsageError

JSON = "application/json"
MSGPACK = "application/msgpack"
MAX_REQUEST = 1024 * 1024  # bytes
BODY_SECONDS = 30.0


class RequestRefusedError(UsageError):
    """A request that HTTP has a status of its own for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request) -> bytes:
    """The body, of at most `MAX_REQUEST` bytes, that must arrive within `BODY_SECONDS`."""
    too_large = RequestRefusedError(413, f"the request is larger than {MAX_REQUEST} bytes")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > MAX_REQUEST:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MAX_REQUEST:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise RequestRefusedError(408, "the request did not arrive in time") from None
    return b"".join(parts)


def decode(body: bytes, content_type: str, kind: type[Any]) -> Any:
    """The request in ``body``; an empty body has no fields. Raises `UsageError` in words."""
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == MSGPACK:
            return _in_range(msgspec.msgpack.decode(body or b"\x80", type=kind))
        if media_type in (JSON, ""):
            return _in_range(msgspec.json.decode(body or b"{}", type=kind))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the request makes no sense: {_words(error)}") from None
    raise RequestRefusedError(415, f"send {JSON} or {MSGPACK}")


def _in_range(message: msgspec.Struct) -> msgspec.Struct:
    """Whole numbers fit the index: 64 bits with a sign."""
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"the request makes no sense: `{name}` is out of range")
    return message


def _words(error: Exception) -> str:
    if isinstance(error, msgspec.DecodeError):
        return str(error)  # type and place, e.g. "Expected `int`, got `str` - at `$.limit`"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is nested too deeply"


def encode(answer: Any, accept: str) -> Response:
    """The answer as JSON, or as MessagePack if the client accepts that."""
    if MSGPACK in accept.lower():
        return Response(msgspec.msgpack.encode(answer), media_type=MSGPACK)
    return Response(msgspec.json.encode(answer) + b"\n", media_type=JSON)


def status_for(error: TuipacsError) -> int | None:
    """HTTP's own status for a refused request; None leaves it to the error tree."""
    return error.status if isinstance(error, RequestRefusedError) else None
