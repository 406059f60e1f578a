"""Durable jobs as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum

from msgspec import Struct

ROUTING_SUBMITTER = "(routing)"
"""Who submits what a routing rule sends. No account can have that name."""


class JobKind(StrEnum):
    """One file in ``tuipacs/jobs`` for each."""

    IMPORT = "import"
    SEND = "send"
    RETRIEVE = "retrieve"
    COMMIT = "commit"


class JobState(StrEnum):
    """Where a job is. Ended ones stay as they are, unless somebody retries them by hand."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"  # for ``retry_at``, or for an event that may come before
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"  # it cannot be done as it stands: no right, no such node
    CANCELLED = "cancelled"
    DEAD = "dead"  # a dead letter: something was not delivered, and is not tried again by itself

    @property
    def ended(self) -> bool:
        """True when nothing more will happen by itself."""
        return self in _ENDED

    @property
    def can_be_retried(self) -> bool:
        """Whether somebody may queue it again, with what it has done kept."""
        return self in _RETRIED


_RETRIED = frozenset((JobState.FAILED, JobState.CANCELLED, JobState.DEAD))
_ENDED = _RETRIED | {JobState.DONE}


class JobPriority(IntEnum):
    """Within a lane the higher one goes first, then the older."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


class JobRecord(Struct, frozen=True, kw_only=True):
    """One job. ``rate`` is objects a second, ``eta`` seconds left; None when unknown.

    ``done`` counts what was dealt with; of these ``warned`` were taken with a warning and
    ``failed`` were not taken. ``stored``, ``duplicate`` and ``refused`` are an import's.
    """

    key: int
    kind: JobKind
    state: JobState
    title: str
    submitted_by: str
    created_at: float
    started_at: float | None  # its last run
    finished_at: float | None
    total: int  # objects to look at; 0 while still counting
    done: int
    stored: int
    duplicate: int
    refused: int
    bytes_done: int
    message: str = ""
    rate: float | None = None
    eta: float | None = None
    node: int = 0  # whom it calls: its lane; 0: nobody; below 0: it was removed
    node_title: str = ""  # AE title when it was submitted
    priority: JobPriority = JobPriority.NORMAL
    begun_at: float | None = None  # its first run
    attempts: int = 0  # in a row that got nothing done
    tries_left: int | None = None  # before it is given up; None: it is not to be tried again
    retry_at: float | None = None  # of a waiting one
    warned: int = 0
    failed: int = 0
    is_stopping: bool = False  # it was asked to pause or to end, and is at an object still


class Refusal(Struct, frozen=True, kw_only=True):
    """One path that an import did not take, and why."""

    path: str
    reason: str


class ItemState(StrEnum):
    """What became of one instance of a job."""

    WAITING = "waiting"
    DONE = "done"
    WARNING = "warning"  # done, and the peer had something to say
    FAILED = "failed"


class JobItem(Struct, frozen=True, kw_only=True):
    """One instance of a job. ``status`` is the peer's; None while it has not answered.

    ``words`` say the status and the peer's comment, or why there is none; clean.
    """

    position: int  # from 1
    sop_class_uid: str
    sop_instance_uid: str
    state: ItemState
    instance: int = 0  # its key; 0: not here
    status: int | None = None
    words: str = ""


class LaneRecord(Struct, frozen=True, kw_only=True):
    """The jobs of one node that have not ended; ``node`` 0 is the lane of the imports.

    ``paused``: none of them runs. ``opens_at``: its time window is closed until then.
    """

    node: int
    node_title: str
    paused: bool = False
    opens_at: float | None = None
    window: str = ""
    running: int = 0
    queued: int = 0
    waiting: int = 0
    held: int = 0  # paused, each by itself


def counted(count: int, noun: str, nouns: str = "") -> str:
    """For the title of a job: "1 study", "1,200 objects"."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def objects_of(objects: int, studies: int) -> str:
    """For the title of a job: "140 objects of 1 study"."""
    return f"{counted(objects, 'object')} of {counted(studies, 'study', 'studies')}"


def and_more(names: Sequence[str]) -> str:
    """For the title of a job: "1.2.3", "1.2.3 and 4 more"."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
