"""The node that a person names by its AE title, or by its key where titles are not enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tuipacs.errors import NotFoundError, UsageError


class _Node(Protocol):
    @property
    def key(self) -> int: ...
    @property
    def ae_title(self) -> str: ...


Node = TypeVar("Node", bound=_Node)


def choose(nodes: Sequence[Node], wanted: str, *, missing: str = "no such node") -> Node:
    """The one of that title, or of that key if no title is like it.

    Raises `NotFoundError`, and `UsageError` if it is not clear which one.
    """
    found = [node for node in nodes if node.ae_title == wanted]
    if not found and wanted.isdecimal():
        found = [node for node in nodes if node.key == int(wanted)]
    if not found:
        alike = [node.ae_title for node in nodes if node.ae_title.lower() == wanted.lower()]
        hint = f" (but {alike[0]}: capitals count)" if alike else ""
        raise NotFoundError(f"{missing}: {wanted}{hint}", remedy="tuipacs node list")
    if len(found) > 1:
        keys = ", ".join(str(node.key) for node in found)
        raise UsageError(f"{wanted} names several nodes", remedy=f"give one of the keys {keys}")
    return found[0]
