"""The archive folder itself: made private, kept private, opened to one group if so configured."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from tuipacs.errors import ConfigError, ConflictError, StorageFailedError
from tuipacs.paths import ArchivePaths

_PRIVATE = 0o700
_GROUP_MAY_PASS = 0o710  # to the socket, without seeing what else is there


def make_folder(paths: ArchivePaths) -> None:
    """Make the folder of a new archive, mode 0700.

    Raises `ConflictError` when it holds something already, `StorageFailedError` when it cannot be
    made or written.
    """
    try:
        paths.root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        check_empty(paths)
        paths.root.chmod(_PRIVATE)
    except OSError as error:
        raise StorageFailedError(
            f"the folder {paths.root} cannot be made: {error.strerror}",
            remedy="choose another one with --archive, or give this user the right to write there",
        ) from None


def check_empty(paths: ArchivePaths) -> None:
    """Raise `ConflictError` unless the folder is free for a new archive."""
    if paths.exists:
        raise ConflictError(f"there is an archive in {paths.root} already")
    found = sorted(entry.name for entry in paths.root.iterdir() if entry.name != paths.lock.name)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ConflictError(
            f"the folder {paths.root} is not empty: {', '.join(found[:3])}{more}",
            remedy="move that away, or choose another folder with --archive",
        )


def prepare_folder(paths: ArchivePaths, socket_group: str) -> None:
    """Give the folder of an archive (and of its socket, if elsewhere) the modes it must have."""
    gid = group_id(socket_group) if socket_group else -1
    try:
        os.chown(paths.root, -1, gid)
        paths.root.chmod(_GROUP_MAY_PASS if socket_group else _PRIVATE)
    except OSError as error:
        raise StorageFailedError(
            f"the archive folder {paths.root} cannot be used: {error.strerror}",
            remedy="it must belong to the user that runs the daemon (and that user to the group of"
            " [control] socket_group)",
        ) from None
    if paths.socket.parent != paths.root:
        _private_socket_folder(paths.socket.parent)


def _private_socket_folder(folder: Path) -> None:
    """A folder in a shared place may be somebody else's trap: it must be ours and ours alone."""
    try:
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageFailedError(f"{folder} cannot be made: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StorageFailedError(
            f"{folder} is not a private folder of this user",
            remedy="remove it, or use an archive folder with a shorter path",
        )


def group_id(name: str) -> int:
    """The number of a Unix group. Raises `ConfigError` for one that is not known."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"there is no Unix group {name} ([control] socket_group)") from None


def write_private(path: Path, text: str) -> None:
    """Write a whole new file, mode 0600, that is either complete on the disk or not there."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
