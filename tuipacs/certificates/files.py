"""Files of certificates and keys: written once and privately, read with a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError

MAX_FILE_BYTES = 1 << 20  # a file of CA certificates is some hundred kB at most


def read_limited(path: Path) -> bytes:
    """The whole regular file.

    Raises `NotFoundError`, `ForbiddenError` and `UsageError`, each naming the path.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ForbiddenError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # before `fdopen`: it takes no folder
            raise _no_file(path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ForbiddenError(f"{path}: cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    return data


def _no_file(path: Path) -> UsageError:
    return UsageError(f"{path}: is no regular file", remedy="the file itself has to be there")


def key_file_fault(path: Path) -> str:
    """Why a private key there is not private; empty if it is.

    A key of root may be readable for its group (Debian keeps keys so), as PostgreSQL has it.
    Raises as `read_limited` for a file that cannot be looked at.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ForbiddenError(f"{path}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(state.st_mode):
        raise _no_file(path)
    by_root = state.st_uid == 0 and os.geteuid() != 0
    if state.st_mode & (0o037 if by_root else 0o077):
        return f"{path}: others can read this key, mode {stat.S_IMODE(state.st_mode):04o}"
    if state.st_uid not in (0, os.geteuid()):
        return f"{path}: this key belongs to another user"
    return ""


def write_new(path: Path, data: bytes) -> None:
    """A new file, mode 0600, durable when this returns. Never overwrites.

    Raises `ConflictError` for a name that is taken, `ForbiddenError` for a place that is not ours.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise ConflictError(
            f"{path} exists already and is not overwritten",
            remedy="move it away, or take another name or --folder",
        ) from None
    except OSError as error:
        raise ForbiddenError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink()  # half a key is none, and its name would be taken
        raise ForbiddenError(f"{path}: cannot be written: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """The folder for keys, mode 0700 if it is new. Raises `ForbiddenError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ForbiddenError(f"{path}: cannot be made: {error.strerror}") from None
