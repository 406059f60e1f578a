"""Requests and answers of queries across nodes, and of retrieving what they find."""

from __future__ import annotations

from msgspec import Struct

from tuipacs.domain.level import Level
from tuipacs.domain.node import CallService
from tuipacs.domain.remote import (
    HERE,
    NodeAnswer,
    RemoteQuery,
    RemoteRow,
    SeriesComparison,
)
from tuipacs.schema.messages import Message


class RemoteNode(Struct, frozen=True, kw_only=True):
    """A node that can be called, and what it may be asked for.

    ``answers``: whether its last test or echo was answered; None if it was not tested.
    """

    key: int
    ae_title: str
    description: str
    services: tuple[CallService, ...]
    answers: bool | None = None


class RemoteNodes(Message, frozen=True, kw_only=True):
    """All of them, by AE title."""

    nodes: tuple[RemoteNode, ...]


class RemoteStart(Message, frozen=True, kw_only=True):
    """Ask these nodes (keys; HERE for this archive), all at once."""

    nodes: tuple[int, ...]
    query: RemoteQuery


class CompareStart(Message, frozen=True, kw_only=True):
    """List every SOP Instance UID of a study at a node, and hold it against what is here."""

    node: int
    study_instance_uid: str


class RemoteTask(Message, frozen=True, kw_only=True):
    """A question that is being asked. Only the session that began it can follow it."""

    token: str


class RemotePoll(Message, frozen=True, kw_only=True):
    """What is new since ``after``, which is the ``next`` of the answer before; 0 at first."""

    token: str
    after: int = 0


class RemoteAnswers(Message, frozen=True, kw_only=True):
    """A piece of the rows (or of the series of a comparison), and how each node stands.

    ``finished``: every node has ended, and there are no rows behind ``next``.
    """

    nodes: tuple[NodeAnswer, ...]
    rows: tuple[RemoteRow, ...] = ()
    series: tuple[SeriesComparison, ...] = ()
    next: int
    finished: bool


class HoldingsRequest(Message, frozen=True, kw_only=True):
    """How many SOP instances are here below each of these UIDs? At most 1,000."""

    level: Level
    uids: tuple[str, ...]


class Holdings(Message, frozen=True, kw_only=True):
    """In the order asked."""

    counts: tuple[int, ...]


class RetrieveTarget(Message, frozen=True, kw_only=True):
    """A study, one of its series, or one SOP instance of a series."""

    study_instance_uid: str
    series_instance_uid: str = ""
    sop_instance_uid: str = ""


class RetrieveRequest(Message, frozen=True, kw_only=True):
    """Have ``node`` send these to ``destination`` (HERE, or the key of another node).

    ``only_missing``: not what the destination has, as far as it can be asked.
    """

    node: int
    targets: tuple[RetrieveTarget, ...]
    destination: int = HERE
    only_missing: bool = True
    priority: int = 1
