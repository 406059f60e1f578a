"""Encoding shared by both connections: errors from answers, and the cleaning of hostile text."""

from __future__ import annotations

import enum
import os
import stat
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from tuipacs import errors
from tuipacs.domain.safe_text import clean
from tuipacs.paths import SHARED_FOLDER
from tuipacs.schema.messages import ErrorBody

Answer = TypeVar("Answer")

BASE_URL = "http://tuipacs"

_MEDIA_TYPE = "application/msgpack"
_BY_CODE: dict[str, type[errors.TuipacsError]] = {}


def _register(cls: type[errors.TuipacsError]) -> None:
    _BY_CODE[cls.code] = cls
    for child in cls.__subclasses__():
        _register(child)


_register(errors.TuipacsError)


def check_socket(path: Path) -> None:
    """Raise unless the socket of a long archive path lies in a private folder of this user.

    That folder is made in a place where anybody may make one: a password must not go to a trap.
    """
    folder = path.parent
    if folder.parent != SHARED_FOLDER:
        return
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return  # no daemon has made it: there is nothing to talk to
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o077:
        raise errors.DaemonUnreachableError(
            f"{folder} is not a private folder of this user",
            remedy="remove it, or use an archive folder with a shorter path",
        )


def headers(token: str) -> dict[str, str]:
    """The headers of a request; without a ``token`` for what works without a session."""
    given = {"accept": _MEDIA_TYPE, "content-type": _MEDIA_TYPE}
    if token:
        given["authorization"] = f"Bearer {token}"
    return given


def raise_for_error(status_code: int, body: bytes) -> None:
    """Raise the error of the tree that the daemon meant; return if ``status_code`` is a success."""
    if status_code < 400:
        return
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
    except msgspec.MsgspecError:
        raise errors.DaemonUnreachableError(
            f"the control socket gave an answer that is none of tuipacs' (HTTP {status_code})"
        ) from None
    cls = _BY_CODE.get(error.code, errors.TuipacsError)
    if cls is errors.ThrottledError:
        raise errors.ThrottledError(
            error.message, retry_after=error.retry_after, remedy=error.remedy
        )
    raise cls(error.message, remedy=error.remedy)


def unreachable(error: httpx.TransportError) -> errors.DaemonUnreachableError:
    """The error for a daemon that does not answer."""
    if isinstance(error, httpx.TimeoutException):
        return errors.DaemonUnreachableError(
            "the archive did not answer in time", remedy="is the machine overloaded? try again"
        )
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return errors.DaemonUnreachableError(
            "the archive broke off its answer", remedy="look into its log, then try again"
        )
    return errors.DaemonUnreachableError(
        "no archive is running there", remedy="start it with: tuipacs serve"
    )


def ended() -> errors.DaemonUnreachableError:
    """The error for an event stream that the daemon has closed."""
    return errors.DaemonUnreachableError(
        "the archive has stopped", remedy="start it with: tuipacs serve"
    )


def cleaned(value: Any) -> Any:
    """Return ``value`` with every text in it safe for a terminal; bytes are left alone."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, msgspec.Struct):
        changes = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            new = cleaned(old)
            if new is not old:
                changes[name] = new
        return msgspec.structs.replace(value, **changes) if changes else value
    if isinstance(value, tuple):
        items = tuple(cleaned(item) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
