"""Messages about storage commitment that we ask other nodes for."""

from __future__ import annotations

from tuipacs.domain.commitment import StudyCommitment
from tuipacs.domain.job import JobPriority
from tuipacs.schema.job_messages import RowRef
from tuipacs.schema.messages import Message


class CommitRequest(Message, frozen=True, kw_only=True):
    """Ask a node to commit to what these study, series and SOP instance UIDs and rows name.

    The node of that key, or of that AE title (or the digits of a key) where it is 0.
    """

    uids: tuple[str, ...] = ()
    rows: tuple[RowRef, ...] = ()
    node: int = 0
    ae_title: str = ""
    priority: JobPriority = JobPriority.NORMAL


class StudyCommitmentsRequest(Message, frozen=True, kw_only=True):
    """What nodes have said of one study, by the key of its row."""

    study: int


class StudyCommitments(Message, frozen=True, kw_only=True):
    """One for each node that has committed to any of it."""

    nodes: tuple[StudyCommitment, ...]
