"""Requests and answers about known nodes; the records come from ``tuipacs.domain.node``."""

from __future__ import annotations

from tuipacs.domain.node import NEVER_CALLED, NodeCall, NodeRecord
from tuipacs.domain.node_health import NodeHealth, RungResult
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.messages import Message

MAX_NODES = 1000
"""That one `NodeAddAllRequest` can hold."""


class NodeAddRequest(Message, frozen=True, kw_only=True):
    """A new known node, or what one shall become; fields as of `NodeRecord`.

    ``address`` is an IP address, a CIDR, or empty for any. ``certificate_sha256``: 64 hexadecimal
    digits, or empty for no certificate of its own.
    """

    ae_title: str
    address: str
    services: tuple[NodeService, ...]
    description: str = ""
    certificate_sha256: str = ""
    require_tls: bool = False
    require_identity: bool = False
    call: NodeCall = NEVER_CALLED
    character_set: str = ""
    max_results: int = 0


class NodeEditRequest(Message, frozen=True, kw_only=True):
    """Make of the node ``seen`` what ``node`` says; refused if it is not as it was seen any more.

    Its lane (``paused``) stays as it is.
    """

    seen: NodeRecord
    node: NodeAddRequest


class NodeAddAllRequest(Message, frozen=True, kw_only=True):
    """Many new nodes, all or none. ``source`` names where they come from, for the audit log."""

    nodes: tuple[NodeAddRequest, ...]
    source: str = ""


class NodeAdded(Message, frozen=True, kw_only=True):
    """What `NodeAddAllRequest` has made known, in its order."""

    nodes: tuple[NodeRecord, ...]


class NodeRemoveRequest(Message, frozen=True, kw_only=True):
    """Forget a node; its associations end."""

    key: int


class NodeList(Message, frozen=True, kw_only=True):
    """All known nodes; ``health`` of those of which there is anything to tell."""

    nodes: tuple[NodeRecord, ...]
    health: tuple[NodeHealth, ...] = ()


class NodeTestRequest(Message, frozen=True, kw_only=True):
    """Test a node, or echo it: by its key, or by AE title (or the digits of a key) where that is 0.

    ``ticket``: any word under which to ask for the rungs meanwhile.
    """

    key: int = 0
    ae_title: str = ""
    ticket: str = ""


class NodeTestProgressRequest(Message, frozen=True, kw_only=True):
    """How far the test of that ticket is."""

    ticket: str


class NodeTestReport(Message, frozen=True, kw_only=True):
    """The rungs in their order; while the test runs, those that are done.

    ``endpoint``: where it was called, such as ``10.0.4.9:104``.
    """

    ae_title: str = ""
    endpoint: str = ""
    rungs: tuple[RungResult, ...]
