"""Lists of nodes in files on the user's own machine, and what makes the daemon know them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tuipacs.domain.node_files.formats import Format, parse
from tuipacs.domain.node_files.found import FileNode, FileNodes, LeftOut
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.schema.node_messages import NodeAddRequest

MAX_BYTES = 1 << 20


def read_files(paths: list[Path], format_: Format | None) -> FileNodes:
    """All nodes of these files; without a format each one's is guessed.

    Raises `NotFoundError`, and `UsageError` that names the file for one that cannot be read.
    """
    nodes: list[FileNode] = []
    left_out: list[LeftOut] = []
    for path in paths:
        try:
            found = parse(read_text(path), format_)
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", remedy=error.remedy) from None
        nodes += found.nodes
        left_out += found.left_out
    return FileNodes(nodes=tuple(nodes), left_out=tuple(left_out))


def read_text(path: Path) -> str:
    """A regular file of a fair size, as text. Raises `NotFoundError` and `UsageError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES >> 20} MiB, which no list of nodes is")
    if b"\0" in data:
        raise UsageError("not a text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def request_of(node: FileNode) -> NodeAddRequest:
    """What adds a node of a file."""
    return NodeAddRequest(
        ae_title=node.ae_title,
        address=node.address,
        services=node.services,
        description=node.description,
        call=node.call,
    )
